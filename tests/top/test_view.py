"""Series that change, cardinality, rejected data and processes, from two snapshots."""

from __future__ import annotations

from math import isnan, nan

import pytest

import tallymark as tm
from tallymark.read.text import TextReader
from tallymark.top.controls import Controls
from tallymark.top.table import process_text, tables_of
from tallymark.top.view import View, read_view

ALL = Controls("rate", "", False, False)


def read(page: str, time: float) -> tm.Snapshot:
    return tm.Snapshot(TextReader().families(page), time)


def view(before: str, now: str, seconds: float = 10.0) -> View:
    return read_view(read(before, 1000.0), read(now, 1000.0 + seconds))


# Series


def test_the_series_that_change_the_fastest_come_first() -> None:
    page = '# TYPE c_total counter\nc_total{{a="1"}} {}\nc_total{{a="2"}} {}\n# TYPE g gauge\ng {}\nh 5\n'
    found = view(page.format(1, 1, 100), page.format(11, 21, -900)).series
    assert [(one.name, dict(one.tags), one.value, one.rate) for one in found] == [
        ("g", {}, -900.0, -100.0),
        ("c_total", {"a": "2"}, 21.0, 2.0),
        ("c_total", {"a": "1"}, 11.0, 1.0),
    ]


def test_the_tags_that_tell_a_series_from_others_come_first() -> None:
    line = 'c_total{{http_method="GET",http_route="/{}",http_scheme="http",http_status="{}"}} {}\n'
    series = [("a", 200), ("b", 200), ("c", 500), ("d", 200)]
    before, now = ["# TYPE c_total counter\n" + "".join([line.format(*one, n) for one in series]) for n in (1, 11)]
    table = tables_of(view(before, now), ALL)[1]
    told = [tuple(row[0].split(", ")[:2]) for row in table.rows]
    assert told == [(f"c_total{{http_route=/{route}", f"http_status={status}") for route, status in series]


def test_bytes_are_compared_as_megabytes() -> None:
    page = "# TYPE memory_bytes gauge\nmemory_bytes {}\n# TYPE c_total counter\nc_total {}\n"
    assert [one.name for one in view(page.format(0, 0), page.format(9_000_000, 10)).series] == ["c_total", "memory_bytes"]


def test_a_counter_that_was_reset_has_grown_by_what_it_has_now() -> None:
    page = "# TYPE c_total counter\nc_total {}\n"
    (found,) = view(page.format(1000), page.format(30)).series
    assert found.rate == 3.0


@pytest.mark.parametrize(("before", "now"), [("NaN", "NaN"), ("+Inf", "+Inf"), ("5", "5"), ("NaN", "5"), ("5", "NaN")])
def test_what_does_not_change_by_a_number_is_left_out(before: str, now: str) -> None:
    assert view(f"# TYPE g gauge\ng {before}\n", f"# TYPE g gauge\ng {now}\n").series == []


def test_distributions_change_by_their_observations() -> None:
    page = "# TYPE s summary\ns_count {0}\n# TYPE h histogram\nh_count {0}\n"
    found = view(page.format(1), page.format(21)).series
    assert {(one.name, one.value, one.rate) for one in found} == {("s", 21, 2.0), ("h", 21, 2.0)}


# Cardinality


def test_the_tag_with_the_most_values_is_to_blame() -> None:
    page = "".join([f'x{{user="{user}",kind="{user % 3}"}} 1\n' for user in range(20)]) + "y 1\n"
    first, second = view(page, page).cardinality
    assert (first.name, first.series, first.tag, first.values) == ("x", 20, "user", 20)
    assert (second.name, second.series, second.tag, second.values) == ("y", 1, "", 0)


def test_a_summary_and_its_quantiles_are_one_metric_and_the_census_is_none(registry: tm.Registry) -> None:
    page = '# TYPE s summary\ns{quantile="0.5"} 1\ns_count 1\n'
    assert [(one.name, one.series) for one in view(page, page).cardinality] == [("s", 1)]
    registry.counter("hits").inc()
    snapshot = registry.snapshot()
    assert "tallymark_series" in snapshot
    assert [one.name for one in read_view(None, snapshot).cardinality] == ["hits_total"]


# Rejected data and processes


@pytest.mark.parametrize("is_page", [True, False])
def test_what_was_rejected(registry: tm.Registry, is_page: bool) -> None:
    registry.counter("hits").inc(-1)
    snapshot = registry.snapshot()
    if is_page:
        snapshot = read(tm.render_prometheus(snapshot).decode(), 0.0)
    (found,) = read_view(None, snapshot).rejected
    assert (found.metric, found.count) == ("hits", 1.0)
    assert found.reason
    assert isnan(found.rate)


def test_a_process() -> None:
    page = """
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total {}
process_resident_memory_bytes 45200000
process_start_time_seconds 100
process_open_fds 12
"""
    (found,) = view(page.format(1), page.format(6)).processes
    assert (found.cpu, found.memory, found.descriptors, found.uptime) == (0.5, 45_200_000, 12, 910.0)
    assert isnan(found.threads)
    assert process_text(found) == "CPU 50.0%  memory 45.2 MB  open files 12  up 15 min"


@pytest.mark.parametrize("kind", ["histogram", "summary", "info"])
@pytest.mark.parametrize("name", ["process_cpu_seconds_total", "process_resident_memory_bytes", "tallymark_rejected_total"])
def test_what_is_named_as_a_number_but_is_none_is_passed_over(name: str, kind: str) -> None:
    page = f'# TYPE {name} {kind}\n{name}_bucket{{le="1"}} 5\n{name}_count 5\n{name}_info{{a="b"}} 1\n'
    assert view(page, page).rejected == view(page, page).processes == []


@pytest.mark.parametrize("value", ["1e308", "-1e308", "+Inf", "-Inf", "NaN"])
def test_absurd_numbers_are_short(value: str) -> None:
    names = ("memory_bytes", "start_time_seconds", "open_fds", "threads", "cpu_seconds_total")
    page = "".join([f"process_{name.replace('memory', 'resident_memory')} {{0}}\n" for name in names])
    found = view(page.format(0), page.format(value))
    assert all(len(process_text(one)) < 110 for one in found.processes)
    assert all(len(cell) < 50 for table in tables_of(found, ALL) for row in table.rows for cell in row)


def test_our_own_process(registry: tm.Registry) -> None:
    tm.process_metrics(registry)
    (found,) = read_view(registry.snapshot(), registry.snapshot()).processes
    assert found.memory > 1e6
    assert found.threads >= 1
    assert "memory " in process_text(found)


# Tables


def test_tables_of_nothing() -> None:
    first, *others = tables_of(read_view(None, tm.Snapshot((), 0.0)), ALL)
    assert first.rows == []
    assert first.absent == "no metric is a duration of operations or requests"
    assert [table.rows for table in others] == [[], [], []]


def test_a_filter_takes_rows_from_all_tables(registry: tm.Registry) -> None:
    for name in ("auth", "query"):
        registry.timer("operation_duration").record(0.1, operation=name, status="success")
        registry.counter(f"{name}_hits").inc()
    view = read_view(None, registry.snapshot())
    first, second, third, _ = tables_of(view, Controls("rate", "AUTH", False, False))
    assert [row[0] for row in first.rows] == ["auth"]
    duration = "operation_duration_seconds{operation=auth, status=success}"
    assert {row[0] for row in second.rows} == {"auth_hits_total", duration, "tallymark_series{metric=auth_hits}"}
    assert [row[0] for row in third.rows] == ["auth_hits_total"]
    first, *_ = tables_of(view, Controls("rate", "nothing", False, False))
    assert first.absent == "no row has the text of the filter"


@pytest.mark.parametrize(
    ("sort", "order"),
    [("rate", ["b", "a", "c"]), ("errors", ["a", "b", "c"]), ("p99", ["c", "a", "b"]), ("name", ["a", "b", "c"])],
)
def test_the_order_of_rows(registry: tm.Registry, sort: str, order: list[str]) -> None:
    durations = registry.timer("operation_duration")
    for name, seconds, good, bad in (("a", 0.1, 1, 1), ("b", 0.01, 3, 0), ("c", 1.0, 1, 0)):
        for status in ["success"] * good + ["error"] * bad:
            durations.record(seconds, operation=name, status=status)
    first, *_ = tables_of(read_view(None, registry.snapshot()), Controls(sort, "", False, False))
    assert [row[0] for row in first.rows] == order


@pytest.mark.parametrize("value", [nan, float("inf"), -float("inf"), 1e300, -1e-300, 0.0])
def test_any_number_can_be_shown(value: float) -> None:
    snapshot = tm.Snapshot(
        (tm.family("gauge", "g", [({}, value)]), tm.family("gauge", "process_open_fds", [({}, value)])), 10.0
    )
    before = tm.Snapshot((tm.family("gauge", "g", [({}, 1.0)]),), 9.0)
    for table in tables_of(read_view(before, snapshot), ALL):
        assert all(len(cell) < 40 for row in table.rows for cell in row)
