"""Chromium, and the page in it: fed by a service that is made up, and watched for errors."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fake_feed import FILES, FakeFeed, FakeService
from page_viewer import Viewer
from playwright.sync_api import Browser, Page, sync_playwright

REQUIRED = "TALLYMARK_REQUIRE_CHROMIUM"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder that drive the browser are marked, and share it in one worker."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser; for a module, since its event loop must not run while others' tests do."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        (pytest.fail if os.environ.get(REQUIRED) else pytest.skip)(f"needs Chromium ({REQUIRED} makes this a failure)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def feed() -> Iterator[FakeFeed]:
    feed = FakeFeed()
    yield feed
    feed.close()


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def view(chromium: Browser, feed: FakeFeed) -> Iterator[Callable[..., Viewer]]:
    """Makes viewers. In the end, none of them may have had anything to complain of."""
    made: list[Viewer] = []

    def view(**context: Any) -> Viewer:
        made.append(Viewer(chromium, feed, **context))
        return made[-1]

    yield view
    for viewer in made:
        viewer.context.close()
    assert [complaint for viewer in made for complaint in viewer.complaints] == []


@pytest.fixture(scope="module")
def library(chromium: Browser) -> Iterator[Page]:
    """The parts of the page's script that show nothing, in a page of their own."""
    page = chromium.new_page(locale="en-US")
    for name in ("format", "axis", "series", "store", "histogram", "operations", "changes", "panels", "ticks"):
        page.add_script_tag(content=(FILES / f"{name}.js").read_text(encoding="utf-8"))
    yield page
    page.close()
