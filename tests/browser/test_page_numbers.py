"""What the page shows is what was recorded: rates, errors and quantiles, over restarts and gaps."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from fake_feed import BOUNDS, FakeService
from page_viewer import Viewer
from playwright.sync_api import Page

LIBRARY = """([documents, script]) => {
    const store = new Store();
    for (const told of documents) store.take(told);
    return new Function("store", `return ${script}`)(store);
}"""


TILES = "() => [...document.querySelectorAll('.tile')].map((tile) => tile.innerText.split('\\n').slice(0, 2))"
"""The name and the number of each tile."""


def histogram_quantile(q: float, bounds: Sequence[float], counts: Sequence[float]) -> float:
    """As Prometheus' documentation tells it."""
    rank = q * sum(counts)
    below = 0.0
    for index, count in enumerate(counts):  # noqa: B007
        if below + count >= rank and count:
            break
        below += count
    if index == len(bounds):
        return bounds[-1]
    lower = bounds[index - 1] if index else 0.0
    return lower + (bounds[index] - lower) * (rank - below) / counts[index]


def of(library: Page, documents: Sequence[dict[str, Any]], script: str) -> Any:
    """Feed documents to a new store, and return the value of an expression about it."""
    return library.evaluate(LIBRARY, [list(documents), script])


def test_a_route_has_the_rate_errors_and_quantiles_that_were_recorded(
    view: Callable[..., Viewer], service: FakeService
) -> None:
    service.request("/pay", 0.02)
    viewer = view().open(service.reading(complete=True))
    viewer.page.keyboard.press("1")
    recorded = random.Random(18)
    counts = [0] * (len(BOUNDS) + 1)
    documents = []
    for second in range(60):
        for _ in range(10):
            bucket = recorded.randrange(11)
            counts[bucket] += 1
            service.request("/pay", BOUNDS[bucket], "503" if second % 20 == 0 else "200")
        documents.append(service.reading())
    viewer.show(*documents)
    row = viewer.row("/pay")
    assert row["rate"] == "10/s"
    assert row["errors"] == "5 %"
    for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        expected = histogram_quantile(q, BOUNDS, counts)
        number, unit = row[name].split()
        shown = float(number) * {"s": 1, "ms": 1e-3}[unit]
        assert shown == pytest.approx(expected, rel=0.005), name
    tiles = viewer.text("#tiles")
    assert "600 in 1 min" in tiles.replace("\u2009", " ")
    assert "30 of 600" in tiles


def test_the_tiles_are_about_requests_where_there_are_any(view: Callable[..., Viewer], service: FakeService) -> None:
    service.set("http.server.active_requests", 3)
    service.set("operations_in_flight", 4, operation="charge")
    service.request("/pay", 0.01)
    service.observe("operation_duration", 0.1, {"operation": "charge", "status": "success"})
    viewer = view().open(service.reading(complete=True))
    service.observe("operation_duration", 0.1, {"operation": "charge", "status": "success"}, times=7)
    viewer.show(service.reading())
    tiles = viewer.page.evaluate(TILES)
    assert [*tiles[0], *tiles[3]] == ["Operations", "7/s", "In progress", "4"]
    service.request("/pay", 0.01, times=2)
    viewer.show(service.reading())
    tiles = viewer.page.evaluate(TILES)
    assert [*tiles[0], *tiles[3]] == ["Requests", "1/s", "In progress", "3"]


def test_the_tiles_of_a_worker_are_about_its_tasks(view: Callable[..., Viewer], service: FakeService) -> None:
    service.set("celery.worker.tasks.active", 2)
    service.observe("celery.task.duration", 0.1, {"task": "mail.send", "state": "SUCCESS"})
    viewer = view().open(service.reading(complete=True))
    service.observe("celery.task.duration", 0.1, {"task": "mail.send", "state": "FAILURE"}, times=3)
    viewer.show(service.reading())
    tiles = viewer.page.evaluate(TILES)
    assert [*tiles[0], *tiles[3]] == ["Tasks", "3/s", "In progress", "2"]


def test_a_task_that_was_revoked_or_is_to_run_again_did_not_fail(view: Callable[..., Viewer], service: FakeService) -> None:
    for state in ("SUCCESS", "RETRY", "REVOKED", "REJECTED", "FAILURE"):
        service.observe("celery.task.duration", 0.1, {"task": "mail.send", "state": state})
    viewer = view().open(service.reading(complete=True))
    for state in ("SUCCESS", "RETRY", "REVOKED", "REJECTED", "FAILURE"):
        service.observe("celery.task.duration", 0.1, {"task": "mail.send", "state": state})
    assert viewer.show(service.reading()).row("mail.send")["errors"] == "20 %"


def test_a_restart_is_never_a_negative_rate(view: Callable[..., Viewer], service: FakeService) -> None:
    service.inc("jobs", 1000)
    service.request("/pay", 0.02, times=1000)
    viewer = view().open(service.reading(complete=True))
    documents = []
    for second in range(20):
        if second == 10:
            service.restart()
        service.inc("jobs", 5)
        service.request("/pay", 0.02, times=5)
        documents.append(service.reading())
    viewer.show(*documents)
    assert viewer.row("/pay")["rate"] == "5/s"
    lines = viewer.page.evaluate(
        """() => {
            const { store } = tallymark;
            const { at } = store.window(60);
            return [...store.families.values()].flatMap((family) => family.rows.flatMap(
                (series) => [...series.columns].flatMap(([key, column]) => at.map((index) => column[index]))));
        }"""
    )
    assert min(lines) >= 0
    assert sum(lines) == pytest.approx(20 * 5 + 20 * 5 + 20 * 5 * 0.02)


def test_a_gap_is_shown_as_one_and_counts_for_nothing(view: Callable[..., Viewer], service: FakeService) -> None:
    service.request("/pay", 0.02)
    viewer = view().open(service.reading(complete=True))
    documents = []
    for second in range(40):
        service.request("/pay", 0.02, times=2 if second != 20 else 5000)
        documents.append(service.reading(60 if second == 20 else 1))
    viewer.show(*documents)
    assert viewer.row("/pay")["rate"] == "2/s"
    viewer.page.get_by_role("button", name="/pay").click()
    charts = viewer.page.locator(".detail .chart")
    assert charts.count() == 4
    for chart in charts.all():
        assert "no data" in (chart.locator("svg").text_content() or "")
    line = charts.first.locator("path.line").first.get_attribute("d") or ""
    assert line.count("M") == 2  # one part before the gap, and one after it


def test_a_counter_that_comes_later_began_at_zero(library: Page, service: FakeService) -> None:
    first = service.reading(complete=True)
    service.inc("jobs", 7, queue="a")
    second = service.reading()
    service.inc("jobs", 3, queue="b")
    documents = [first, second, service.reading()]
    script = 'store.families.get("jobs").rows.map((series) => recorded(store.window(60), series))'
    assert of(library, documents, script) == [7, 3]


def test_what_a_counter_held_before_the_first_reading_and_in_a_gap_is_no_rate(library: Page, service: FakeService) -> None:
    service.inc("jobs", 1e9)
    documents = [service.reading(complete=True)]
    service.inc("jobs", 2)
    documents.append(service.reading())
    service.inc("jobs", 1e6)
    documents.append(service.reading(30, complete=True))
    script = '[recorded(store.window(60), store.families.get("jobs").rows[0]), store.window(60).covered]'
    assert of(library, documents, script) == [2, 1]


def test_a_reading_that_comes_twice_counts_once_and_one_from_before_begins_anew(library: Page, service: FakeService) -> None:
    service.inc("jobs", 1)
    documents = [service.reading(complete=True)]
    service.inc("jobs", 2)
    documents.append(service.reading(complete=True))
    count = "recorded(store.window(60), store.families.get('jobs').rows[0])"
    assert of(library, [*documents, documents[-1]], count) == 2
    back = {**documents[-1], "time": documents[0]["time"] - 3600}
    assert of(library, [*documents, back], f"[{count}, store.axis.fineLength]") == [0, 1]


def test_an_hour_is_kept_in_points_of_ten_seconds(library: Page, service: FakeService) -> None:
    service.inc("jobs")
    script = """(first) => {
        const store = new Store();
        store.take(first);
        for (let second = 1; second < 7300; second++) {
            const rows = [[0, 1 + 2 * second]];
            store.take({ ...first, time: first.time + second, complete: false, families: [{ name: "jobs", rows }] });
        }
        const series = store.families.get("jobs").rows[0];
        const windows = [60, 300, 900, 3600].map((seconds) => store.window(seconds));
        return [windows.map((points) => recorded(points, series)), windows.map((points) => points.length)];
    }"""
    counts, lengths = library.evaluate(script, service.reading(complete=True))
    assert counts[:2] == [120, 600]
    assert counts[2:] == pytest.approx([1800, 7200], abs=20)
    assert lengths[:2] == [60, 300]
    assert lengths[2:] == pytest.approx([90, 360], abs=1)  # the newest of ten seconds is not over


def exponential_row(scale: int, positive: Sequence[float], negative: Sequence[float] = (), zero: int = 0) -> list[Any]:
    """Return the row of an exponential histogram that got some values; those below zero by their size."""

    def buckets(values: Sequence[float]) -> list[Any]:
        indices = [math.ceil(math.log2(value) * 2**scale) - 1 for value in values]
        if not indices:
            return [0, []]
        return [min(indices), [indices.count(index) for index in range(min(indices), max(indices) + 1)]]

    count = len(positive) + len(negative) + zero
    return [0, count, sum(positive) - sum(negative), scale, zero, buckets(positive), buckets(negative)]


def exponential(rows: Sequence[list[Any]]) -> list[dict[str, Any]]:
    service = FakeService()
    service.family("size", "histogram", "exponential", unit="bytes")
    first = exponential_row(3, ())
    documents = []
    for row in [first, *rows]:
        service.row("size", {}, first[1:])[1:] = row[1:]
        documents.append(service.reading(complete=not documents))
    return documents


QUANTILES = "[0.1, 0.5, 0.9].map((q) => distribution(store.window(60), store.families.get('size').rows).quantile(q))"


def test_exponential_quantiles_are_within_their_bucket(library: Page) -> None:
    values = [1.5 ** (n / 10) for n in range(1, 100)]
    found = of(library, exponential([exponential_row(3, values[:40]), exponential_row(3, values)]), QUANTILES)
    for q, value in zip((0.1, 0.5, 0.9), found, strict=True):
        assert value == pytest.approx(values[int(q * len(values))], rel=2 ** (1 / 8) - 1)
    mixed = of(library, exponential([exponential_row(3, [4.0] * 2, [8.0] * 6, zero=2)]), QUANTILES)
    assert mixed[0] == pytest.approx(-8, rel=0.1)
    assert mixed[1] == pytest.approx(-8, rel=0.1)
    assert mixed[2] == pytest.approx(4, rel=0.1)


def test_exponential_buckets_that_are_halved_stay_what_they_were(library: Page) -> None:
    values = [1.5 ** (n / 10) for n in range(1, 100)]
    rows = [exponential_row(3, values[:50]), exponential_row(1, values)]
    found = of(library, exponential(rows), "distribution(store.window(60), store.families.get('size').rows).list()")
    halved = exponential_row(1, values)[5]
    assert [count for _, _, count in found] == [count for count in halved[1] if count]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("duration(0.0123)", "12.3 ms"),
        ("duration(0.00000123)", "1.23 µs"),
        ("duration(1.5)", "1.5 s"),
        ("duration(0.9999)", "1 s"),
        ("duration(90)", "1.5 min"),
        ("duration(0)", "0 s"),
        ("plain(1234)", "1.23k"),
        ("plain(999.7)", "1k"),
        ("plain(-0.05)", "-0.05"),
        ("plain(NaN)", "–"),
        ("plain(Infinity)", "∞"),
        ("perSecond(1234.5)", "1.23k/s"),
        ("perSecond(0)", "0/s"),
        ("perSecond(1 / 60)", "1/min"),
        ("perSecond(1 / 3600)", "1/h"),
        ("bytes(4.5 * 2 ** 20)", "4.5 MiB"),
        ("percent(0.00123)", "0.123 %"),
        ("percent(1)", "100 %"),
        ("whole(1234567)", "1,234,567"),
        ("age(93784)", "1 d 2 h"),
        ("age(59)", "59 s"),
        ("inUnit('seconds')(0.25)", "250 ms"),
        ("inUnit('{request}')(12)", "12"),
        ("inUnit('celsius')(21.5)", "21.5 celsius"),
        ("visible('a\\u202eb\\u200bc\\nd')", "a\\u{202e}b\\u{200b}c\\u{a}d"),
        ("visible('👩‍💻 ok')", "👩‍💻 ok"),
        ("visible('x'.repeat(10000), 5)", "xxxx…"),
        ("visible('👩'.repeat(10), 4)", "👩…"),
    ],
)
def test_numbers_and_texts_are_written_as_people_do(library: Page, call: str, text: str) -> None:
    assert library.evaluate(call).replace("\u2009", " ") == text


def test_the_tag_to_blame_is_the_one_with_the_most_values(library: Page, service: FakeService) -> None:
    for user in range(50):
        service.inc("logins", 1, user=str(user), method="password" if user % 2 else "key")
    documents = [service.reading(complete=True)]
    assert of(library, documents, "tagToBlame(store.families.get('logins'))") == {"key": "user", "count": 50}


def test_what_changed_most_is_first(library: Page, service: FakeService) -> None:
    documents = [service.reading(complete=True)]
    for second in range(60):
        service.inc("steady", 100)
        service.inc("more", 10 if second < 30 else 40)
        service.inc("fewer", 10 if second < 30 else 8)
        documents.append(service.reading())
    script = """["steady", "more", "fewer"].map((name) => {
        const points = store.window(60);
        const change = changeOf(store.families.get(name).rows[0], points.slice(0, 30), points.slice(30, 60));
        return [change.score, changeText(change)];
    })"""
    (steady, _), (more, text), (fewer, _) = of(library, documents, script)
    assert more > fewer > steady == 0
    assert text == "×4"


def test_of_a_histogram_only_buckets_that_changed_are_told(library: Page, service: FakeService) -> None:
    service.observe("wait", 0.03, {"worker": "a"}, times=5)
    first = service.reading(complete=True)
    service.observe("wait", 0.06, {"worker": "a"}, times=2)
    service.observe("wait", 99, {"worker": "a"})
    second = service.reading()
    (row,) = second["families"][0]["rows"]
    assert row == [0, 8, pytest.approx(99.27), 4, 2, len(BOUNDS), 1]
    counts = [0] * (len(BOUNDS) + 1)
    counts[3], counts[4], counts[-1] = 5, 2, 1
    told = of(library, [first, second], 'store.families.get("wait").rows[0].row')
    assert told == [0, 8, pytest.approx(99.27), *counts]
    assert of(library, [first, second], '[...store.families.get("wait").rows[0].columns.keys()]') == [4, len(BOUNDS), "sum"]
