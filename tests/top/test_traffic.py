"""Operations, routes and tasks: which metrics they are read from, and their numbers between two snapshots."""

from __future__ import annotations

from itertools import pairwise
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallymark as tm
from tallymark.read.text import TextReader
from tallymark.top.changes import changes_between
from tallymark.top.traffic import Traffic, read_traffic


def read(page: str, time: float = 0.0) -> tm.Snapshot:
    return tm.Snapshot(TextReader().families(page), time)


def traffic(before: tm.Snapshot | None, now: tm.Snapshot) -> dict[str, Traffic]:
    """Return the rows by their names."""
    rows = read_traffic(changes_between(before, now))
    assert len({row.name for row in rows}) == len(rows)
    return {row.name: row for row in rows}


def as_page(registry: tm.Registry) -> tm.Snapshot:
    """Return the metrics as the page of an endpoint shows them."""
    return read(tm.render_prometheus(registry.snapshot()).decode())


@pytest.fixture(params=["registry", "page"])
def seen(request: pytest.FixtureRequest) -> object:
    """How metrics are seen: with dots in their names, or without."""
    return tm.Registry.snapshot if request.param == "registry" else as_page


# Which metrics


@pytest.mark.parametrize(("prefix", "name"), [("", "auth"), ("shop", "shop: auth")])
def test_our_operations_with_any_prefix(prefix: str, name: str, seen: object) -> None:
    registry = tm.Registry()
    operations = tm.OperationalMetrics(registry, prefix)
    for status in ("success", "success", "error", "timeout", "cancelled"):
        operations.record_operation("auth", status, 0.1)
    row = traffic(None, seen(registry))[name]  # type: ignore[operator]
    assert (row.what, row.count, row.errors) == ("operation", 5, 2)


def test_http_routes(seen: object) -> None:
    registry = tm.Registry()
    duration = registry.timer("http.server.request.duration")
    method = {"http.request.method": "GET"}
    for tags in (
        {"http.route": "/a", "http.response.status_code": "200"},
        {"http.route": "/a", "http.response.status_code": "503"},
        {"http.route": "/a", "http.response.status_code": "200", "error.type": "ClientDisconnected"},
        {"http.response.status_code": "404"},
    ):
        duration.with_tags(method | tags).record(0.1)
    rows = traffic(None, seen(registry))  # type: ignore[operator]
    assert {name: (row.what, row.count, row.errors) for name, row in rows.items()} == {
        "GET /a": ("route", 3, 2),
        "GET (no route)": ("route", 1, 0),
    }


def test_celery_s_tasks(seen: object) -> None:
    registry = tm.Registry()
    duration = registry.timer("celery.task.duration")
    for state in ("SUCCESS", "FAILURE", "RETRY"):
        duration.record(0.1, task="orders.send", state=state)
    row = traffic(None, seen(registry))["orders.send"]  # type: ignore[operator]
    assert (row.what, row.count, row.errors) == ("task", 3, 1)


@pytest.mark.parametrize(
    ("labels", "name", "is_error"),
    [
        ('handler="/a",method="get",status="200"', "get /a", False),
        ('method="get",path="/a",code="500"', "get /a", True),
        ('method="GET",uri="/a",outcome="SERVER_ERROR"', "GET /a", True),
        ('service="web",method="GET",status="5xx"', "GET web", True),
        ('queue="a"', "", False),
        ("", "", False),
    ],
)
def test_requests_as_other_libraries_count_them(labels: str, name: str, is_error: bool) -> None:
    page = f'# TYPE http_request_duration_seconds histogram\nhttp_request_duration_seconds_bucket{{{labels},le="+Inf"}} 4\n'
    row = traffic(None, read(page.replace("{,", "{")))[name]
    assert (row.what, row.count, row.errors) == ("http_request_duration_seconds", 4, 4 if is_error else 0)


def test_other_labels_name_a_row_where_they_tell_series_apart() -> None:
    page = '# TYPE wait_seconds summary\nwait_seconds_count{queue="a",host="h"} 1\nwait_seconds_count{queue="b",host="h"} 2\n'
    assert set(traffic(None, read(page))) == {"queue=a", "queue=b"}


@pytest.mark.parametrize(
    ("metric", "median"),
    [("wait_seconds", 0.5), ("wait_milliseconds", 0.0005), ("wait_ms", 0.0005), ("wait_microseconds", 5e-7), ("latency", 0.5)],
)
def test_a_duration_is_told_in_seconds(metric: str, median: float) -> None:
    row = traffic(None, read(f'# TYPE {metric} histogram\n{metric}_bucket{{le="1"}} 4\n{metric}_bucket{{le="+Inf"}} 4\n'))[""]
    assert row.quantiles[0] == pytest.approx(median)


@pytest.mark.parametrize("name", ["response_bytes", "batch_size", "start_time_count"])
def test_what_is_no_duration_is_no_row(name: str) -> None:
    assert traffic(None, read(f'# TYPE {name} histogram\n{name}_bucket{{le="+Inf"}} 4\n')) == {}
    assert traffic(None, read(f"# TYPE {name}_seconds gauge\n{name}_seconds 4\n")) == {}


# Numbers


def test_rates_and_quantiles_are_those_between_two_snapshots() -> None:
    head = "# TYPE operation_duration_seconds histogram\n"
    row = 'operation_duration_seconds_bucket{{operation="a",status="{}",le="{}"}} {}\n'
    early = head + row.format("success", "1", 1000) + row.format("success", "8", 1000)
    late = head + row.format("success", "1", 1000) + row.format("success", "8", 1030) + row.format("error", "8", 10)
    found = traffic(read(early, 100.0), read(late, 110.0))["a"]
    assert (found.count, found.errors, found.rate, found.error_rate) == (40, 10, 4.0, 1.0)
    assert found.quantiles[0] == pytest.approx(4.5, abs=1.0)  # none of the thousand below 1 is in it


def test_quantiles_are_of_all_statuses_together(registry: tm.Registry) -> None:
    durations = registry.timer("operation_duration")
    for status, seconds in (("success", 0.001), ("success", 0.001), ("error", 0.001), ("timeout", 0.2)):
        durations.record(seconds, operation="auth", status=status)
    p50, p95, p99 = traffic(None, registry.snapshot())["auth"].quantiles
    assert p50 == pytest.approx(0.001, rel=0.3)  # as far as its bucket is wide
    assert 0.1 < p95 < p99 <= 0.2


def test_exponential_buckets_too(registry: tm.Registry) -> None:
    durations = registry.timer("operation_duration", exponential=True)
    durations.record(0.25, operation="a", status="success")
    before = registry.snapshot()
    durations.record(0.5, operation="a", status="success")
    found = traffic(before, registry.snapshot())["a"]
    assert found.count == 1
    assert found.quantiles == pytest.approx((0.5, 0.5, 0.5), rel=0.01)


def test_without_an_earlier_snapshot_rates_are_not_told_but_quantiles_are() -> None:
    found = traffic(None, read('# TYPE a_seconds histogram\na_seconds_bucket{le="1"} 4\n'))[""]
    assert isnan(found.rate)
    assert isnan(found.error_rate)
    assert found.count == 4
    assert not isnan(found.quantiles[0])


def test_what_nothing_was_recorded_to_is_there() -> None:
    page = '# TYPE a_seconds histogram\na_seconds_bucket{le="1"} 4\n'
    found = traffic(read(page, 1.0), read(page, 2.0))[""]
    assert (found.count, found.rate) == (0, 0.0)
    assert all(map(isnan, found.quantiles))


def test_a_summary_tells_its_own_quantiles() -> None:
    page = (
        '# TYPE a_milliseconds summary\na_milliseconds{h="x",quantile="0.5"} 20\na_milliseconds{h="x",quantile="0.99"} 90\n'
        'a_milliseconds_count{h="x"} 7\na_milliseconds_sum{h="x"} 9\n'
    )
    p50, p95, p99 = traffic(None, read(page))[""].quantiles
    assert (p50, p99) == (pytest.approx(0.02), pytest.approx(0.09))
    assert isnan(p95)


def test_a_family_that_has_become_another_one_has_no_rate_yet() -> None:
    before = '# TYPE a_seconds histogram\na_seconds_bucket{le="1"} 4\n'
    other_bounds = '# TYPE a_seconds histogram\na_seconds_bucket{le="2"} 4000\n'
    summary = "# TYPE a_seconds summary\na_seconds_count 4000\n"
    for page in (other_bounds, summary):
        assert traffic(read(before, 1.0), read(page, 2.0))[""].rate == 0.0


def test_exponential_buckets_that_move_lose_nothing(registry: tm.Registry) -> None:
    """A page shows a bucket for each that has been hit, in the finest buckets that there is room for."""
    durations = registry.timer("operation_duration", exponential=True)
    pages = []
    for width in (0.01, 0.1, 1, 10, 100):
        for step in range(200):
            durations.record(0.001 + width * step / 200, operation="a", status="success")
        durations.record(0.5, operation="b", status="success")
        pages.append(as_page(registry))
    assert len({page["operation_duration_seconds"].bounds for page in pages}) == len(pages)
    for second, (before, now) in enumerate(pairwise(pages)):
        found = traffic(tm.Snapshot(before.families, second), tm.Snapshot(now.families, second + 1.0))
        assert (found["a"].rate, found["b"].rate) == (200.0, 1.0)
        assert found["a"].quantiles[0] == pytest.approx((0.1, 1, 10, 100)[second] / 2, rel=0.1)


def test_bounds_that_come_and_go_leave_those_that_stay() -> None:
    page = '# TYPE a_seconds histogram\na_seconds_bucket{{le="{}"}} {}\na_seconds_bucket{{le="1"}} {}\na_seconds_count {}\n'
    before, now = read(page.format(0.5, 2, 4, 6), 1.0), read(page.format(0.7, 9, 10, 14), 2.0)
    found = traffic(before, now)[""]
    assert (found.count, found.quantiles) == (8, (pytest.approx(2 / 3), 1.0, 1.0))


def test_a_page_that_is_written_while_counts_go_on_has_not_been_reset() -> None:
    page = '# TYPE a_seconds histogram\na_seconds_bucket{{le="1"}} {}\na_seconds_bucket{{le="+Inf"}} {}\n'
    found = traffic(read(page.format(1000, 1004), 1.0), read(page.format(1007, 1008), 2.0))[""]
    assert (found.count, found.quantiles[0]) == (4, pytest.approx(0.5))


@pytest.mark.parametrize("count", ["1.7e308", "1e300", "NaN", "-5", "+Inf"])
def test_no_count_breaks_the_sums(count: str) -> None:
    for page in (
        '# TYPE a_seconds histogram\na_seconds_bucket{{operation="a",status="{}",le="1"}} {}\n',
        '# TYPE a_seconds summary\na_seconds_count{{operation="a",status="{}"}} {}\n',
    ):
        first, second = [page.format("success", one) + page.format("error", one).split("\n", 1)[1] for one in ("1", count)]
        assert traffic(read(first, 1.0), read(second, 2.0))["a"].count == 0


@given(st.lists(st.integers(0, 50), min_size=2, max_size=8))
def test_no_rate_is_negative_whatever_is_reset(totals: list[int]) -> None:
    page = '# TYPE a_seconds histogram\na_seconds_bucket{{le="1"}} {0}\na_seconds_bucket{{le="+Inf"}} {1}\n'
    pages = [page.format(total // 2, total) for total in totals]
    for second, (before, now) in enumerate(pairwise(pages)):
        found = traffic(read(before, second), read(now, second + 1.0))[""]
        assert found.rate >= 0.0
        assert found.error_rate >= 0.0
