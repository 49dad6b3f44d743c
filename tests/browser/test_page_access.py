"""Everybody can use the page: by keyboard, with a screen reader, in the dark, on a phone and on a wall."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from axe_playwright_python.sync_playwright import Axe
from fake_feed import FakeService
from page_viewer import Viewer


def busy(service: FakeService, seconds: int) -> Iterator[dict]:
    """A service that does a little of everything."""
    service.family("wait", "histogram", "exponential", unit="seconds", description="Time in the queue.")
    service.family("errors_seen", "counter", "sum", limit=4)
    for second in range(seconds):
        service.request("/pay", 0.02, "503" if second % 9 == 0 else "200", "POST", times=3)
        service.request("/items/{id}", 0.004 * (1 + second % 5), times=9)
        service.observe("operation_duration", 0.3, {"operation": "charge", "status": "success"})
        service.set("queue_depth", 20 + 10 * math.sin(second / 5), queue="mail")
        service.inc("errors_seen", 1, kind=str(second % 5))
        service.inc("tallymark_rejected", 1, metric="errors_seen", reason="max_series")
        row = service.row("wait", {}, [0, 0, 3, 0, [-20, []], [0, []]])
        row[1:] = [second, second / 10, 3, 0, [-20, [second] * 8], [0, []]]
        yield service.reading(complete=second == 0)


def opened(viewer: Viewer, service: FakeService) -> Viewer:
    """Return a viewer of a page in which everything is shown: charts, plots, and a search."""
    first, *others = busy(service, 30)
    viewer.open(first).show(*others)
    viewer.page.get_by_role("button", name="/pay").click()
    for query in ("queue_depth", "wait"):
        viewer.page.keyboard.press("/")
        viewer.page.keyboard.type(query)
        viewer.page.keyboard.press("Enter")
    return viewer


def test_axe_finds_nothing(view: Callable[..., Viewer], service: FakeService) -> None:
    viewer = opened(view(), service)
    for scheme, state, width in (("light", "page", 1280), ("dark", "page", 360), ("dark", "search", 360)):
        viewer.page.emulate_media(color_scheme=scheme)
        viewer.page.set_viewport_size({"width": width, "height": 900})
        if state == "search":
            viewer.page.keyboard.press("/")
        found = Axe().run(viewer.page).response["violations"]
        told = [
            f"{one['id']}: {one['help']}: {node['html'][:200]} {node['failureSummary']}"
            for one in found
            for node in one["nodes"]
        ]
        assert told == [], (scheme, state)


def test_a_keyboard_is_enough_to_search_plot_and_read_a_chart(view: Callable[..., Viewer], service: FakeService) -> None:
    first, *others = busy(service, 20)
    viewer = view().open(first).show(*others)
    press = viewer.page.keyboard.press
    press("/")
    viewer.page.keyboard.type("queue mail")
    press("Enter")
    focused = "() => document.activeElement.closest('.plot-card')?.querySelector('h3').textContent"
    assert viewer.page.evaluate(focused) == "queue_depth"
    for _ in range(2):
        press("Tab")
    chart = viewer.page.locator(":focus")
    assert chart.get_attribute("role") == "slider"
    summary = chart.get_attribute("aria-valuetext") or ""
    assert "from 13.9 to 30" in summary
    press("ArrowLeft")
    press("ArrowLeft")
    text = chart.get_attribute("aria-valuetext") or ""
    value = 20 + 10 * math.sin(18 / 5)
    assert f": queue=mail {value:.1f}" in text
    press("Escape")
    assert chart.get_attribute("aria-valuetext") == summary


def test_a_keyboard_is_enough_to_choose_a_route(view: Callable[..., Viewer], service: FakeService) -> None:
    first, *others = busy(service, 10)
    viewer = view().open(first).show(*others)
    viewer.page.keyboard.press("Tab")
    assert viewer.text(":focus") == "Skip to the operations"
    viewer.page.keyboard.press("Enter")
    for _ in range(20):
        viewer.page.keyboard.press("Tab")
        if "/pay" in viewer.text(":focus"):
            break
    assert viewer.page.locator(":focus").get_attribute("aria-expanded") == "false"
    viewer.page.keyboard.press("Enter")
    assert viewer.page.locator(":focus").get_attribute("aria-expanded") == "true"
    viewer.show(*busy_again(service))
    assert "/pay" in viewer.text(":focus"), "a reading takes the focus away"
    viewer.page.keyboard.press("Tab")
    rows_further = viewer.page.locator(":focus").get_attribute("role")
    assert rows_further == "slider"
    outline = viewer.page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def busy_again(service: FakeService) -> list[dict]:
    service.request("/pay", 0.02)
    return [service.reading()]


def test_sorting_by_a_column_is_told_and_done(view: Callable[..., Viewer], service: FakeService) -> None:
    first, *others = busy(service, 10)
    viewer = view().open(first).show(*others)
    names = "() => [...document.querySelectorAll('#operations .row-name bdi')].map((one) => one.textContent)"
    assert viewer.page.evaluate(names) == ["/items/{id}", "/pay", "charge"]
    viewer.page.get_by_role("button", name="p95").click()
    assert viewer.page.evaluate(names) == ["charge", "/pay", "/items/{id}"]
    head = viewer.page.locator("th", has_text="p95")
    assert head.get_attribute("aria-sort") == "descending"
    viewer.page.get_by_role("button", name="p95").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert viewer.page.evaluate(names) == ["/items/{id}", "/pay", "charge"]


def test_nothing_is_cut_off_from_phone_to_wall(view: Callable[..., Viewer], service: FakeService) -> None:
    viewer = opened(view(), service)
    beyond = """() => [...document.querySelectorAll('main *')].filter((one) => {
        const box = one.getBoundingClientRect();
        return box.width > 1 && box.right > innerWidth + 1 && !one.closest('.table-scroll, .tag, .tag-line');
    }).map((one) => one.outerHTML.slice(0, 100))"""
    for width in (360, 768, 1280, 2560, 3840):
        viewer.page.set_viewport_size({"width": width, "height": 800})
        assert viewer.page.evaluate("() => document.documentElement.scrollWidth") == width
        assert viewer.page.evaluate(beyond) == [], width


def test_who_wants_no_motion_gets_none(view: Callable[..., Viewer], service: FakeService) -> None:
    viewer = view(reduced_motion="reduce").open(service.reading(complete=True))
    moving = (
        "() => [...document.querySelectorAll('*')].filter((one) => getComputedStyle(one).transitionDuration !== '0s').length"
    )
    assert viewer.page.evaluate(moving) == 0


def test_theme_and_wall_are_remembered_before_anything_is_painted(view: Callable[..., Viewer], service: FakeService) -> None:
    viewer = view().open(service.reading(complete=True))
    for key in ("t", "t", "w"):
        viewer.page.keyboard.press(key)
    viewer.page.add_init_script("window.requestAnimationFrame = () => 0")  # only what is there before the first paint
    viewer.page.reload()
    looks = "() => [document.documentElement.dataset.theme, document.documentElement.dataset.density]"
    assert viewer.page.evaluate(looks) == ["dark", "wall"]


def test_the_window_is_remembered(view: Callable[..., Viewer], service: FakeService) -> None:
    viewer = view().open(service.reading(complete=True))
    viewer.page.keyboard.press("1")
    viewer.page.reload()
    assert viewer.page.get_by_role("button", name="1 minute").get_attribute("aria-pressed") == "true"


def test_a_page_without_anything_tells_what_to_do(view: Callable[..., Viewer], service: FakeService) -> None:
    viewer = view().open(service.reading(complete=True))
    assert "Nothing recorded yet" in viewer.text("#operations")
    assert 'tm.counter("jobs").inc()' in viewer.text("#operations")
    assert "Nothing was rejected" in viewer.text("#rejected")
    viewer.page.keyboard.press("/")
    assert viewer.text(".search-count") == "nothing recorded yet"


def test_a_pause_holds_what_is_shown_while_readings_go_on(view: Callable[..., Viewer], service: FakeService) -> None:
    first, *others = busy(service, 10)
    viewer = view().open(first).show(*others)
    viewer.page.keyboard.press("p")
    shown = viewer.text("#tiles")
    assert viewer.text("#status-text") == "Paused"
    service.request("/pay", 1, times=1000)
    viewer.show(service.reading())
    assert viewer.text("#tiles") == shown
    viewer.page.keyboard.press("p")
    viewer.page.wait_for_function("shown => document.getElementById('tiles').innerText !== shown", arg=shown)
