"""The endpoint that dies under the page, and comes back; and polling."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fake_feed import FakeFeed, FakeService
from page_viewer import Viewer
from playwright.sync_api import Browser


def lost(viewer: Viewer, feed: FakeFeed) -> None:
    feed.down()
    viewer.page.wait_for_function("() => document.getElementById('status').dataset.state === 'lost'")


def test_an_endpoint_that_dies_is_told_and_what_was_seen_is_kept(
    view: Callable[..., Viewer], feed: FakeFeed, service: FakeService
) -> None:
    service.request("/pay", 0.02)
    viewer = view().open(service.reading(complete=True))
    documents = []
    for _ in range(20):
        service.request("/pay", 0.02, times=4)
        documents.append(service.reading())
    viewer.show(*documents)
    viewer.page.get_by_role("button", name="/pay").click()
    lost(viewer, feed)
    assert viewer.text("#status-text") == "Disconnected"
    assert "Connection lost" in viewer.text("#banner")
    assert viewer.row("/pay")["rate"] == "4/s"
    feed.up()
    service.restart()
    service.request("/pay", 0.02, times=100)
    feed.latest = back = service.reading(60, complete=True)
    viewer.page.get_by_role("button", name="Retry now").click()
    viewer.see(back)
    assert viewer.text("#status-text") == "Live"
    assert not viewer.page.locator("#banner").is_visible()
    feed.wait_for_viewer()
    service.request("/pay", 0.02, times=4)
    viewer.show(service.reading())
    assert viewer.row("/pay")["rate"] == "4/s"
    assert "no data" in (viewer.page.locator(".detail .chart svg").first.text_content() or "")
    assert all("ERR_" in complaint for complaint in viewer.complaints)  # the browser's own words
    viewer.complaints.clear()


def test_the_page_comes_back_by_itself(view: Callable[..., Viewer], feed: FakeFeed, service: FakeService) -> None:
    viewer = view().open(service.reading(complete=True))
    lost(viewer, feed)
    feed.up()
    feed.latest = back = service.reading(2, complete=True)
    viewer.see(back)
    viewer.complaints.clear()


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "wants credentials"), (404, "no feed"), (503, "too many viewers"), (500, "answered with status 500")],
)
def test_a_refusal_is_told_in_words(
    view: Callable[..., Viewer], feed: FakeFeed, service: FakeService, status: int, words: str
) -> None:
    feed.status = status
    viewer = view()
    viewer.page.goto(feed.url)
    viewer.page.wait_for_function("words => document.getElementById('banner').innerText.includes(words)", arg=words)
    assert all(str(status) in complaint for complaint in viewer.complaints)
    viewer.complaints.clear()


def test_what_the_page_cannot_read_is_told(view: Callable[..., Viewer], feed: FakeFeed) -> None:
    viewer = view()
    feed.latest = {"nonsense": True}
    viewer.page.goto(feed.url)
    viewer.page.wait_for_function("() => document.getElementById('banner').innerText.includes('cannot read')")


def test_families_that_are_gone_are_gone_from_the_page(view: Callable[..., Viewer], service: FakeService) -> None:
    service.request("/pay", 0.02)
    service.inc("jobs")
    viewer = view().open(service.reading(complete=True))
    service.drop("http.server.request.duration")
    viewer.show(service.reading())
    assert viewer.page.locator("#operations tbody tr").count() == 0
    assert viewer.row("jobs", "#cardinality")["series"] == "1 of 2,000"


@pytest.fixture
def polled() -> Iterator[FakeFeed]:
    feed = FakeFeed("poll")
    yield feed
    feed.close()


def test_polling_shows_the_same(chromium: Browser, polled: FakeFeed, service: FakeService) -> None:
    viewer = Viewer(chromium, polled)
    service.request("/pay", 0.02)
    viewer.open(service.reading(complete=True))
    service.request("/pay", 0.02, times=8)
    polled.latest = second = service.reading(2, complete=True)
    viewer.see(second)
    assert viewer.row("/pay")["rate"] == "4/s"
    assert viewer.text("#status-text") == "Live"
    assert viewer.complaints == []
    viewer.context.close()


def test_who_hides_a_polling_page_for_long_costs_nothing_and_catches_up(
    chromium: Browser, polled: FakeFeed, service: FakeService
) -> None:
    viewer = Viewer(chromium, polled)
    viewer.page.clock.install()
    viewer.open(service.reading(complete=True))
    hide = """(hidden) => {
        Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    viewer.page.evaluate(hide, True)
    viewer.page.clock.fast_forward(301_000)
    viewer.page.wait_for_function("() => document.getElementById('status').dataset.state === 'waiting'")
    asked = polled.asked
    viewer.page.clock.fast_forward(600_000)
    assert polled.asked == asked
    polled.latest = back = service.reading(900, complete=True)
    viewer.page.evaluate(hide, False)
    viewer.see(back)
    assert viewer.text("#status-text") == "Live"
    viewer.context.close()
