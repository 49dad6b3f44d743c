"""What the page costs the browser: its memory is bounded, and it is painted before anything is asked."""

from __future__ import annotations

from collections.abc import Callable

from fake_feed import FakeService
from page_viewer import Viewer
from playwright.sync_api import Page

ROUTES = 250


def many(service: FakeService, count: int) -> None:
    for number in range(ROUTES):
        service.request(f"/route/{number}", 0.01)
    service.families["http.server.request.duration"]["series"].extend({"n": str(n)} for n in range(count - ROUTES))
    empty = [0] * 17
    rows = service.families["http.server.request.duration"]["rows"]
    rows.extend([[n, *empty] for n in range(ROUTES, count)])


def test_memory_is_bounded_by_points_and_series(library: Page, service: FakeService) -> None:
    for number in range(10):
        service.inc("jobs", 1, worker=str(number))
        service.observe("wait", 0.01, {"worker": str(number)})
    script = """([first, readings]) => {
        const store = new Store();
        store.take(first);
        for (let n = 1; n <= readings; n++) {
            const rows = Array.from({ length: 10 }, (_, at) => [at, 1 + n]);
            store.take({ ...first, time: first.time + n, complete: false, families: [{ name: "jobs", rows }] });
        }
        return store.columns.held;
    }"""
    first = service.reading(complete=True)
    held = library.evaluate(script, [first, 10])
    assert held == library.evaluate(script, [first, 5000]) == 10 * 660


def test_series_that_there_is_no_room_for_have_their_value_and_no_history(library: Page, service: FakeService) -> None:
    script = """([first, second]) => {
        const store = new Store(3 * 660);
        store.take(first);
        store.take(second);
        return [store.columns.held, store.columns.missing, store.families.get("jobs").rows.map((one) => one.value)];
    }"""
    for number in range(5):
        service.inc("jobs", 1, worker=str(number))
    first = service.reading(complete=True)
    for number in range(5):
        service.inc("jobs", 1, worker=str(number))
    assert library.evaluate(script, [first, service.reading()]) == [3 * 660, 2, [2] * 5]


def test_what_is_gone_frees_its_memory(library: Page, service: FakeService) -> None:
    service.inc("jobs")
    first = service.reading(complete=True)
    service.inc("jobs")
    second = service.reading()
    service.drop("jobs")
    script = "(told) => { const store = new Store(); for (const one of told) store.take(one); return store.columns.held; }"
    assert library.evaluate(script, [first, second]) == 660
    assert library.evaluate(script, [first, second, service.reading()]) == 0


def test_what_the_feed_leaves_out_is_told(view: Callable[..., Viewer], service: FakeService) -> None:
    service.request("/pay", 0.01)
    service.families["http.server.request.duration"] |= {"cut": True, "count": 12_000, "total": None}
    viewer = view().open(service.reading(complete=True))
    assert "only 1 of 12,000 series are told" in viewer.text("#operations-title")
    assert viewer.row("http.server.request.duration", "#cardinality")["series"] == "12,000 of 2,000"
    assert "12,000" in viewer.text("#tiles")


def test_the_page_is_painted_before_any_reading_comes(view: Callable[..., Viewer]) -> None:
    viewer = view()  # its feed answers, and says nothing
    viewer.page.goto(viewer.feed.url)
    viewer.page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length === 1")
    assert viewer.text("#service") == "Tallymark"


def test_ten_thousand_series_are_drawn(view: Callable[..., Viewer], service: FakeService) -> None:
    many(service, 10_000)
    viewer = view().open(service.reading(complete=True))
    for number in range(ROUTES):
        service.families["http.server.request.duration"]["rows"][number][1:5] = [2, 0.02, 0, 2]
    service._changed["http.server.request.duration"] = set(range(ROUTES))
    viewer.show(service.reading())
    assert viewer.page.locator("#operations tbody tr").count() == 50
    assert "10,000" in viewer.text("#tiles")
    viewer.page.get_by_role("button", name=f"Show all {ROUTES + 1}").click()
    assert viewer.page.locator("#operations tbody tr").count() == ROUTES + 1
