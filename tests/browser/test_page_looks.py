"""The page is good to look at: what belongs together is together, and nothing is broken or squeezed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fake_feed import FakeService
from page_viewer import Viewer
from playwright.sync_api import Page

LONG = "/api/v1/organisations/{organisation_id}/projects/{project_id}/environments/{environment_id}/deployments/{deployment}/"
WIDTHS = (360, 820, 1280, 2560)


def shown(view: Callable[..., Viewer], service: FakeService) -> Viewer:
    """Return a viewer of routes of all methods, two of which differ in their last part only."""
    for method in ("GET", "DELETE", "OPTIONS"):
        for route in ("/orders", f"{LONG}logs", f"{LONG}events"):
            service.request(route, 0.02, method=method)
    return view().open(service.reading(complete=True))


def test_a_method_is_never_broken_and_routes_stand_below_each_other(view: Callable[..., Viewer], service: FakeService) -> None:
    viewer = shown(view, service)
    heights = "() => [...document.querySelectorAll('.method')].map((one) => one.getClientRects()[0].height)"
    lefts = "() => [...document.querySelectorAll('#operations .row-name bdi')].map((one) => one.getBoundingClientRect().left)"
    for width in WIDTHS:
        viewer.page.set_viewport_size({"width": width, "height": 900})
        assert max(viewer.page.evaluate(heights)) < 20, width
        assert max(found := viewer.page.evaluate(lefts)) - min(found) < 1, width


def test_long_routes_are_told_apart_at_all_widths(view: Callable[..., Viewer], service: FakeService) -> None:
    viewer = shown(view, service)
    names = """() => [...document.querySelectorAll('#operations .row-name bdi')].map(
        (one) => [one.textContent, one.scrollHeight - one.clientHeight, one.title])"""
    for width in WIDTHS:
        viewer.page.set_viewport_size({"width": width, "height": 900})
        found = viewer.page.evaluate(names)
        assert {text for text, _, _ in found} >= {
            "/api/v1/organisations/{organisation_id}/…/deployments/{deployment}/logs",
            "/api/v1/organisations/{organisation_id}/…/deployments/{deployment}/events",
        }
        assert all(beyond <= 0 for _, beyond, _ in found), width
    assert f"{LONG}logs" in {title for _, _, title in found}


@pytest.mark.parametrize(
    "path",
    ["/" * 5000, "a" * 5000, "/" + "a" * 5000, "a" * 5000 + "/", "a/" * 100_000, "\U0001f600" * 100 + "/" + "\U0001f600" * 100],
    ids=["slashes", "none", "first", "last", "many", "emoji"],
)
def test_any_text_can_be_a_long_path(library: Page, path: str) -> None:
    assert library.evaluate("path => visible(withEnd(path, 90), 90).length <= 90", path)


def test_a_wide_screen_has_all_parts_in_one_look(view: Callable[..., Viewer], service: FakeService) -> None:
    viewer = shown(view, service)
    lefts = (
        "() => ['operations', 'changes', 'cardinality'].map((id) => document.getElementById(id).getBoundingClientRect().left)"
    )
    viewer.page.set_viewport_size({"width": 2560, "height": 1440})
    operations, changes, cardinality = viewer.page.evaluate(lefts)
    assert operations < changes < cardinality
    viewer.page.keyboard.press("w")  # large type needs more room
    operations, changes, cardinality = viewer.page.evaluate(lefts)
    assert operations < changes == cardinality


def test_titles_stand_above_their_tables(view: Callable[..., Viewer], service: FakeService) -> None:
    viewer = shown(view, service)
    first = """() => ['h2', 'th'].map((name) => {
        const range = document.createRange();
        range.selectNodeContents(document.querySelector(`section[aria-labelledby=cardinality-title] ${name}`));
        return range.getBoundingClientRect().left;
    })"""
    for width in WIDTHS:
        viewer.page.set_viewport_size({"width": width, "height": 900})
        title, head = viewer.page.evaluate(first)
        assert abs(title - head) < 1, width


def test_what_changed_in_the_same_way_is_one_row(view: Callable[..., Viewer], service: FakeService) -> None:
    tags = {"http.request.method": "GET", "http.route": "/pay", "http.response.status_code": "200"}
    for name in ("http.server.request.body.size", "http.server.response.body.size"):
        service.family(name, "histogram", "histogram", unit="bytes")
        service.observe(name, 1, tags)
    service.inc("jobs")
    service.request("/pay", 0.02)
    viewer = view().open(service.reading(complete=True))
    viewer.page.keyboard.press("1")
    documents = []
    for second in range(40):
        times = 1 if second < 20 else 9
        service.request("/pay", 0.02, times=times)
        for name in ("http.server.request.body.size", "http.server.response.body.size"):
            service.observe(name, 1, tags, times=times)
        service.inc("jobs", 9 if second < 20 else 1)
        documents.append(service.reading())
    viewer.show(*documents)
    rows = viewer.page.locator("#changes tbody tr").all_inner_texts()
    assert [row.split("\n")[0].split("\t")[0] for row in rows] == ["http.server.request.duration", "jobs"]
    assert "and 2 alike" in rows[0]
    others = viewer.page.locator("#changes .alike").first.get_attribute("title")
    assert (others or "").split("\n") == ["http.server.request.body.size", "http.server.response.body.size"]


@pytest.mark.parametrize("width", [360, 1280])
def test_the_numbers_of_an_axis_are_whole_whatever_their_unit(
    view: Callable[..., Viewer], service: FakeService, width: int
) -> None:
    service.family("bytes_sent", "counter", "sum", unit="bytes")
    service.family("temperature", "gauge", "gauge", unit="degrees celsius")
    service.inc("bytes_sent", 1)
    service.set("temperature", -1234.5)
    viewer = view(viewport={"width": width, "height": 900}).open(service.reading(complete=True))
    documents = []
    for _ in range(12):
        service.inc("bytes_sent", 30e6)
        documents.append(service.reading())
    viewer.show(*documents)
    for name in ("bytes_sent", "temperature"):
        viewer.page.keyboard.press("/")
        viewer.page.keyboard.type(name)
        viewer.page.keyboard.press("Enter")
    viewer.page.wait_for_selector("#plots .plot-card:nth-child(2) .tick-y")
    beyond = """() => [...document.querySelectorAll('#plots .tick-y')].filter((one) => {
        const [text, area] = [one, one.closest('.plot')].map((part) => part.getBoundingClientRect());
        return text.left < area.left - 0.5;
    }).map((one) => one.textContent)"""
    assert viewer.page.evaluate(beyond) == []
    texts = viewer.page.locator("#plots .plot-card").first.locator(".tick-y").all_text_contents()
    assert [text.replace("\u2009", " ") for text in texts] == ["0 B/s", "16 MiB/s", "32 MiB/s"]


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (0.2, ["0 s", "100 ms", "200 ms"]),
        (50, ["0 s", "30 s", "1 min"]),
        (200, ["0 s", "2 min", "4 min"]),
        (4000, ["0 s", "30 min", "1 h", "1.5 h"]),
        (900_000, ["0 s", "4 d", "8 d", "12 d"]),
    ],
    ids=str,
)
def test_the_axis_of_a_duration_has_round_times(library: Page, most: float, expected: list[str]) -> None:
    texts = library.evaluate("most => ticks(0, most, 3, duration).map(duration)", most)
    assert [text.replace("\u2009", " ") for text in texts] == expected


def test_what_is_chosen_is_seen_where_the_system_chooses_the_colours(view: Callable[..., Viewer], service: FakeService) -> None:
    viewer = view(forced_colors="active").open(service.reading(complete=True))
    outlines = "() => [...document.querySelectorAll('.segments button')].map((one) => getComputedStyle(one).outlineStyle)"
    viewer.page.keyboard.press("1")
    assert viewer.page.evaluate(outlines) == ["solid", "none", "none", "none"]
