"""OpenTelemetry's protocol: bytes that must not change, and what comes back when the official messages decode them."""

from __future__ import annotations

import math
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import ScopeMetrics
from otlp_reports import attributes, decoded, family, increase, points, tags

import tallymark as tm
from everything import everything
from tallymark.engine.exemplar import Exemplar
from tallymark.export.otlp import parts, request, target_attributes
from tallymark.export.otlp_units import ucum

on_each_engine = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

GOLDEN = Path(__file__).parent / "golden_otlp"
CREATED = 1_700_000_000.25
"""When the series of these tests were created, in nanoseconds: 17 97 9c fe ef 56 80 00 as a big number, backwards in bytes."""
NOW = 1_700_000_010.0
NANOSECONDS = 1_700_000_000_250_000_000
CUMULATIVE, DELTA = 2, 1


# Bytes

START = "11 80 b2 10 45 fe 9c 97 17"  # 1,700,000,000.25 s
UNKNOWN = "11 00 00 00 00 00 00 00 00"
TIME = "19 00 e4 35 8a 00 9d 97 17"  # 1,700,000,010 s
A_IS_B = "08 0a 01 61 12 03 0a 01 62"  # after the tag of the field `attributes`
TAGS = tags({"a": "b"})


def bytes_of(data: Any, kind: str, **options: Any) -> str:
    description, unit = options.pop("description", ""), options.pop("unit", "")
    snapshot = tm.Snapshot((family(data, kind, description=description, unit=unit),), NOW)
    (part,) = parts(snapshot, **options)
    return part.hex(" ")


def test_bytes_of_a_counter() -> None:
    data = tm.SumData(tags({"a": "b"}, {}), (CREATED, 0.0), (1.5, 0.0), True)
    assert bytes_of(data, "counter", description="D.", unit="bytes") == (
        "12 55 0a 01 6e 12 02 44 2e 1a 02 42 79"  # a metric, its name: n, its description: D., its unit: By
        f" 3a 48 0a 25 3a {A_IS_B} {START} {TIME} 21 00 00 00 00 00 00 f8 3f"
        f" 0a 1b {UNKNOWN} {TIME} 21 00 00 00 00 00 00 00 00"
        " 10 02 18 01"  # cumulative, monotonic
    )


def test_bytes_of_a_gauge() -> None:
    assert bytes_of(tm.GaugeData(tags({}), (CREATED,), (-1.0,)), "gauge") == (
        f"12 19 0a 01 6e 2a 14 0a 12 {TIME} 21 00 00 00 00 00 00 f0 bf"
    )


def test_bytes_of_a_histogram() -> None:
    assert bytes_of(tm.HistogramData(TAGS, (CREATED,), (1.0,), ((2, 1),), (4.0,), (0.5,), (2.0,)), "histogram") == (
        f"12 65 0a 01 6e 4a 60 0a 5c 4a {A_IS_B} {START} {TIME}"
        " 21 03 00 00 00 00 00 00 00 29 00 00 00 00 00 00 10 40"  # 3 observations, whose sum is 4
        " 32 10 02 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00"  # 2 up to 1, 1 above
        " 3a 08 00 00 00 00 00 00 f0 3f"
        " 59 00 00 00 00 00 00 e0 3f 61 00 00 00 00 00 00 00 40"  # the smallest, the largest
        " 10 02"
    )


def test_bytes_of_exponential_buckets() -> None:
    data = tm.ExponentialHistogramData(TAGS, (0.0,), (3,), (1,), ((-2, (2, 300)),), ((0, ()),), (4.0,), (0.0,), (2.0,))
    assert bytes_of(data, "histogram") == (
        f"12 5d 0a 01 6e 52 58 0a 54 0a {A_IS_B} {UNKNOWN} {TIME}"
        " 21 2f 01 00 00 00 00 00 00 29 00 00 00 00 00 00 10 40"  # 303 observations, whose sum is 4
        " 30 06 39 01 00 00 00 00 00 00 00"  # scale 3, one zero
        " 42 07 08 03 12 03 02 ac 02"  # from index -2: 2, 300
        " 61 00 00 00 00 00 00 00 00 69 00 00 00 00 00 00 00 40"
        " 10 02"
    )


def test_bytes_of_a_summary() -> None:
    data = tm.SummaryData(TAGS, (CREATED,), (300,), (2.0,))
    point = "21 2c 01 00 00 00 00 00 00 29 00 00 00 00 00 00 00 40"
    assert bytes_of(data, "summary") == f"12 35 0a 01 6e 5a 30 0a 2e 3a {A_IS_B} {START} {TIME} {point}"
    as_histogram = f"12 37 0a 01 6e 4a 32 0a 2e 4a {A_IS_B} {START} {TIME} {point} 10 01"
    assert bytes_of(data, "summary", delta=True, since=CREATED) == as_histogram


@pytest.mark.parametrize("delta", [False, True], ids=["totals", "differences"])
def test_the_bytes_of_everything_are_these(delta: bool) -> None:
    """To write them anew, after looking at the difference: `GOLDEN=write pytest tests/export/test_otlp.py`."""
    made = request(list(parts(everything(), delta=delta, since=CREATED + 3)), {"service.name": "é"}, "1.2.3")
    path = GOLDEN / f"{'differences' if delta else 'totals'}.bin"
    if os.environ.get("GOLDEN") == "write":
        path.write_bytes(made)
    assert made == path.read_bytes()


# What comes back

TEXT = st.text(max_size=8) | st.text(st.characters(categories=["Cs", "Cc"]), max_size=4) | st.sampled_from(["", "x" * 300])
KEYS = st.sampled_from(["a", "b", "a.b", "a-b", "é", "_", "__name__", "k" * 120])
TAG_SETS = st.dictionaries(KEYS, TEXT, max_size=3)
TIMES = st.floats(0, 3e11) | st.sampled_from([0.0, -1.0, math.nan, math.inf, -math.inf, CREATED, 1e-9, 1e300])
NUMBERS = st.floats() | st.just(2.5)
COUNTS = st.integers(0, 2**64 - 1) | st.integers(0, 3)
ROWS = st.lists(st.tuples(TAG_SETS, TIMES, NUMBERS, st.lists(COUNTS, min_size=3, max_size=3)), max_size=5)


def expected_start(created: float) -> int:
    """Return a start that was read as text: to the microsecond, and at most the time of the report."""
    return int(NOW) * 10**9 if created >= NOW else round(created * 10**6) * 1000 if created > 0.0 else 0


def is_same(told: int, wanted: int) -> bool:
    return abs(told - wanted) <= 1000 and (told == 0) <= (wanted <= 1000)


def same_columns(rows: list[Any]) -> tuple[Any, Any]:
    """Return each tag set once, with its row."""
    found = {tm.TagSet(row[0]): row for row in rows}
    return tuple(found), list(found.values())


@pytest.mark.slow
@given(ROWS, TEXT, TEXT)
def test_numbers_come_back_as_they_are(rows: list[Any], description: str, unit: str) -> None:
    column, kept = same_columns(rows)
    created, values = tuple([row[1] for row in kept]), tuple([row[2] for row in kept])
    for data, kind in (
        (tm.SumData(column, created, values, True), "counter"),
        (tm.SumData(column, created, values, False), "gauge"),
        (tm.GaugeData(column, created, values), "gauge"),
        (tm.StateSetData(column, created, values), "stateset"),
    ):
        metrics = decoded(family(data, kind, description=description, unit=unit))
        assert [one.name for one in metrics] == ["n"] * bool(column)
        for metric in metrics:
            assert metric.description == description.encode("utf-8", "replace").decode()
            told = list(getattr(metric, metric.WhichOneof("data")).data_points)
            assert [attributes(point.attributes) for point in told] == [dict(one) for one in column]
            assert [repr(point.as_double) for point in told] == [repr(value) for value in values]
            assert {point.time_unix_nano for point in told} == {int(NOW) * 10**9}
            if metric.WhichOneof("data") == "sum":
                assert metric.sum.is_monotonic == (kind == "counter")
                assert metric.sum.aggregation_temporality == CUMULATIVE
                starts = [(point.start_time_unix_nano, expected_start(time)) for point, time in zip(told, created, strict=True)]
                assert all(is_same(*pair) for pair in starts), starts
            else:
                assert {point.start_time_unix_nano for point in told} == {0}


@pytest.mark.slow
@given(ROWS)
def test_distributions_come_back_as_they_are(rows: list[Any]) -> None:
    column, kept = same_columns(rows)
    created, sums, counts = (
        tuple([row[1] for row in kept]),
        tuple([row[2] for row in kept]),
        tuple([tuple(row[3]) for row in kept]),
    )
    for data in (
        tm.HistogramData(column, created, (0.5, 1.0), counts, sums, sums, sums),
        tm.SummaryData(column, created, tuple([row[0] for row in counts]), sums),
        tm.ExponentialHistogramData(
            column, created, (-3,) * len(kept), tuple([row[0] for row in counts]), tuple([(-7, row[1:]) for row in counts]),
            tuple([(5, row[:2]) for row in counts]), sums, sums, sums,
        ),
    ):  # fmt: skip
        for metric in decoded(family(data, "histogram")):
            told = list(getattr(metric, metric.WhichOneof("data")).data_points)
            assert [attributes(point.attributes) for point in told] == [dict(one) for one in column]
            for point, row, total in zip(told, counts, sums, strict=True):
                assert repr(point.sum) == repr(0.0 if total < 0.0 and metric.WhichOneof("data") != "summary" else total)
                match metric.WhichOneof("data"):
                    case "histogram":
                        capped = [min(one, 2**64 - 1) for one in row]
                        assert (list(point.explicit_bounds), list(point.bucket_counts)) == ([0.5, 1.0], capped)
                        assert point.count == min(sum(row), 2**64 - 1)
                        assert point.HasField("min") == (not math.isnan(total))
                    case "summary":
                        assert (point.count, list(point.quantile_values)) == (row[0], [])
                    case "exponential_histogram":
                        assert (point.scale, point.zero_count) == (-3, row[0])
                        assert (point.positive.offset, tuple(point.positive.bucket_counts)) == (-7, row[1:])
                        assert (point.negative.offset, tuple(point.negative.bucket_counts)) == (5, row[:2])


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(["a", "b", "trace_id", "span_id"]), TEXT, max_size=3), NUMBERS, TIMES)
@example({"trace_id": "4BF92F3577B34DA64bf92f3577b34da6", "span_id": "00f067aa0ba902b7"}, 1.0, CREATED)
@example({"trace_id": "0" * 32, "span_id": "x"}, 1.0, CREATED)
@example({"trace_id": " f" * 16, "span_id": "١" * 16}, 1.0, CREATED)
def test_an_exemplar_comes_back_with_its_trace(labels: dict[str, str], value: float, time: float) -> None:
    exemplar = Exemplar(tuple(labels.items()), value, time)
    data = tm.SumData(tags({}, {"a": "1"}), (0.0, 0.0), (1.0, 1.0), True, ((exemplar,), ()))
    first, second = points(family(data))
    (told,) = first.exemplars
    assert list(second.exemplars) == []
    assert repr(told.as_double) == repr(value)
    ids = {name: one.hex() for name, one in (("trace_id", told.trace_id), ("span_id", told.span_id)) if one}
    rest = attributes(told.filtered_attributes)
    valid = {name: text.encode("utf-8", "replace").decode() for name, text in labels.items()}
    assert ids.keys().isdisjoint(rest)
    assert {**rest, **ids} == {**valid, **{name: valid[name].lower() for name in ids}}
    for name, size in (("trace_id", 32), ("span_id", 16)):
        digits = set(labels.get(name, "")) <= set("0123456789abcdefABCDEF") and len(labels.get(name, "")) == size
        assert (name in ids) == (digits and set(labels[name]) != {"0"})


def test_the_exemplars_of_buckets_come_back() -> None:
    some = (Exemplar((("a", "1"),), 0.5, CREATED), Exemplar((("a", "2"),), 3.0, CREATED))
    explicit = tm.HistogramData(TAGS, (0.0,), (1.0,), ((1, 1),), (3.5,), (0.5,), (3.0,), (some,))
    exponential = tm.ExponentialHistogramData(
        TAGS, (0.0,), (0,), (0,), ((0, (1, 1)),), ((0, ()),), (3.5,), (0.5,), (3.0,), (some,)
    )
    for data in (explicit, exponential):
        (point,) = points(family(data, "histogram"))
        assert [(attributes(one.filtered_attributes)["a"], one.as_double) for one in point.exemplars] == [
            ("1", 0.5),
            ("2", 3.0),
        ]


def test_counts_that_64_bits_do_not_hold_are_the_most_they_do() -> None:
    most = 2**64 - 1
    (point,) = points(family(tm.HistogramData(TAGS, (0.0,), (), ((2**70,),), (1.0,), (1.0,), (1.0,)), "histogram"))
    assert (point.count, list(point.bucket_counts)) == (most, [most])
    data = tm.ExponentialHistogramData(TAGS, (0.0,), (0,), (2**70,), ((0, (2**70,)),), ((0, ()),), (1.0,), (1.0,), (1.0,))
    (point,) = points(family(data, "histogram"))
    assert (point.count, point.zero_count, list(point.positive.bucket_counts)) == (most, most, [most])
    assert points(family(tm.SummaryData(TAGS, (0.0,), (2**70,), (1.0,)), "summary"))[0].count == most


def test_a_distribution_with_observations_below_0_has_no_sum_which_could_fall() -> None:
    below, above = ((-1.0,), (1.0,)), ((1.0,), (1.0,))
    for extremes, has_sum in ((below, False), (above, True)):
        data = tm.HistogramData(TAGS, (0.0,), (0.0,), ((1, 1),), (0.5,), *extremes)
        (point,) = points(family(data, "histogram"))
        assert point.HasField("sum") == has_sum
        exponential = tm.ExponentialHistogramData(TAGS, (0.0,), (0,), (0,), ((0, (1,)),), ((0, (1,)),), (0.5,), *extremes)
        (point,) = points(family(exponential, "histogram"))
        assert point.HasField("sum") == has_sum


# Differences


def test_differences_start_at_the_report_before_and_leave_out_what_did_not_change(registry: tm.Registry) -> None:
    counter, timer = registry.counter("c"), registry.timer("t", buckets=[1.0])
    exponential, gauge = registry.histogram("e", exponential=True), registry.gauge("g")
    counter.inc(5, at="a"), counter.inc(1, at="b")
    timer.record(0.5, at="a"), exponential.observe(3, at="a"), gauge.set(7)
    timer.record(0.5, at="b"), exponential.observe(3, at="b")
    before = registry.snapshot()
    counter.inc(2, at="a"), timer.record(3, at="a"), exponential.observe(3, at="a")
    after = registry.snapshot()
    metrics = {
        one.name: one for one in decoded(*increase(before, after).families, time=after.time, delta=True, since=before.time)
    }
    (added,) = metrics["c"].sum.data_points
    assert (attributes(added.attributes), added.as_double) == ({"at": "a"}, 2.0)
    (took,) = metrics["t"].histogram.data_points
    assert (took.count, took.sum, list(took.bucket_counts)) == (1, 3.0, [0, 1])
    (observed,) = metrics["e"].exponential_histogram.data_points
    assert (observed.count, observed.sum, sum(observed.positive.bucket_counts)) == (1, 3.0, 1)
    for point in (added, took, observed):
        assert point.start_time_unix_nano == pytest.approx(before.time * 1e9, abs=1000)
        assert point.time_unix_nano == pytest.approx(after.time * 1e9, abs=1000)
    assert not took.HasField("min")
    assert not observed.HasField("max")
    assert {metrics[name].WhichOneof("data") for name in ("g", "tallymark_series")} == {"gauge"}
    assert metrics["g"].gauge.data_points[0].as_double == 7.0
    temporalities = [metrics["c"].sum, metrics["t"].histogram, metrics["e"].exponential_histogram]
    assert [one.aggregation_temporality for one in temporalities] == [DELTA] * 3


def test_the_first_differences_start_when_their_series_were_created() -> None:
    (point,) = points(family(tm.SumData(TAGS, (CREATED,), (1.0,), True)), delta=True, since=0.0)
    assert point.start_time_unix_nano == NANOSECONDS


def test_what_has_no_differences_is_cumulative_among_them() -> None:
    for data, kind in ((tm.SumData(TAGS, (CREATED,), (0.0,), False), "gauge"), (tm.InfoData(TAGS, (CREATED,)), "info")):
        (metric,) = decoded(family(data, kind), delta=True, since=CREATED + 1)
        assert (metric.sum.aggregation_temporality, metric.sum.is_monotonic) == (CUMULATIVE, False)
        assert metric.sum.data_points[0].start_time_unix_nano == NANOSECONDS


def test_no_point_starts_after_its_end_where_a_clock_jumped_back() -> None:
    data = tm.SumData(tags({}, {"a": "1"}), (NOW + 50, CREATED), (1.0, 1.0), True)
    assert [point.start_time_unix_nano for point in points(family(data))] == [int(NOW) * 10**9, NANOSECONDS]
    assert {point.start_time_unix_nano for point in points(family(data), delta=True, since=NOW + 9)} == {int(NOW) * 10**9}


# Names, units, tags, the resource


def test_a_name_is_that_of_the_registry_after_the_prefix_and_that_of_an_info_ends_in_info() -> None:
    info = tm.InfoData(TAGS, (0.0,))
    metrics = decoded(
        family(tm.GaugeData(TAGS, (0.0,), (1.0,)), "gauge", "http.server.x"), family(info, "info", "build"),
        family(info, "info", "host_info"), prefix="shop.",
    )  # fmt: skip
    assert [one.name for one in metrics] == ["shop.http.server.x", "shop.build_info", "shop.host_info"]
    assert attributes(metrics[1].metadata) == {"prometheus.type": "info"}
    gauge = family(tm.GaugeData(TAGS, (0.0,), (1.0,)), "gauge", "build_info")
    assert [one.name for one in decoded(family(info, "info", "build"), gauge)] == ["build", "build_info"]


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        ("seconds", "s"), ("bytes", "By"), ("ratio", "1"), ("milliseconds", "ms"), ("bytes_per_second", "By/s"),
        ("requests_per_minutes", "requests/min"), ("requests", "requests"), ("", ""), ("s", "s"), ("{request}", "{request}"),
        ("_per_second", "_per_second"), ("x_per_", "x_per_"),
    ],
)  # fmt: skip
def test_a_unit_is_a_code_of_ucum_where_it_is_known(unit: str, code: str) -> None:
    assert ucum(unit) == code


def test_tags_for_all_series_are_added_and_a_series_own_win() -> None:
    data = tm.GaugeData(tags({}, {"a": "own"}), (0.0, 0.0), (1.0, 2.0))
    told = points(family(data, "gauge"), tags={"a": "all", "b": "\udc80"})
    assert [attributes(point.attributes) for point in told] == [{"a": "all", "b": "?"}, {"a": "own", "b": "?"}]
    told = points(
        family(tm.HistogramData(tags({"c": "1"}), (0.0,), (), ((1,),), (1.0,), (1.0,), (1.0,)), "histogram"), tags={"a": "x"}
    )
    assert attributes(told[0].attributes) == {"a": "x", "c": "1"}


def test_target_info_becomes_the_resource_and_no_metric() -> None:
    snapshot = everything()
    assert target_attributes(snapshot) == {"host.name": "vm"}
    assert "target_info" not in {one.name for one in decoded(*snapshot.families)}
    assert target_attributes(tm.Snapshot((), 0.0)) == {}
    gauge = family(tm.GaugeData(TAGS, (0.0,), (1.0,)), "gauge", "target_info")
    assert [one.name for one in decoded(gauge)] == ["target_info"]


# Parts


def many(registry: tm.Registry, series: int) -> None:
    limits = tm.TagLimits(max_series=series + 1)
    counter, timer = registry.counter("many", limits=limits), registry.timer("times", limits=limits)
    for i in range(series):
        counter.with_tags(i=i, route="/" * (i % 150)).inc(i)
        timer.with_tags(i=i).record(i)


def test_the_parts_of_one_metric_are_one_in_a_request_and_each_can_be_sent_alone(registry: tm.Registry) -> None:
    many(registry, 600)
    snapshot = registry.snapshot()
    made = list(parts(snapshot))
    assert max(map(len, made)) < 100_000
    assert len(made) > 10
    whole = ExportMetricsServiceRequest.FromString(request(made, {}, "")).resource_metrics[0].scope_metrics[0].metrics
    assert [metric.name for metric in whole] == [one.name for one in snapshot.families if len(one)]
    alone = ScopeMetrics()
    for part in made:
        single = ExportMetricsServiceRequest.FromString(request([part], {}, "")).resource_metrics[0].scope_metrics[0].metrics
        assert single[0] == ScopeMetrics.FromString(part).metrics[0]
        if alone.metrics and alone.metrics[-1].name == single[0].name:
            data = single[0].WhichOneof("data")
            getattr(alone.metrics[-1], data).data_points.extend(getattr(single[0], data).data_points)
        else:
            alone.metrics.extend(single)
    assert list(alone.metrics) == list(whole)
    assert request(made, {}, "") != request(made[:-1], {}, "")


def test_two_metrics_that_differ_in_anything_but_their_points_stay_two() -> None:
    first = family(tm.GaugeData(TAGS, (0.0,), (1.0,)), "gauge", description="A")
    second = family(tm.GaugeData(TAGS, (0.0,), (1.0,)), "gauge", description="B")
    third = family(tm.SumData(TAGS, (0.0,), (1.0,), False), "gauge", description="B")
    assert len(decoded(first, second, third)) == 3


@pytest.mark.slow
def test_a_report_takes_at_most_three_times_the_memory_of_its_bytes(registry: tm.Registry) -> None:
    many(registry, 3000)
    snapshot = registry.snapshot()
    list(parts(snapshot))  # what is kept with tags, is
    tracemalloc.start()
    try:
        made = list(parts(snapshot))
        message = request(made, {}, "")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 3 * len(message)


@pytest.mark.slow
@on_each_engine
@given(st.lists(st.tuples(st.dictionaries(st.sampled_from(["a", "a.b", "é"]), TEXT), st.floats(-100, 100)), max_size=12))
def test_a_report_has_what_its_registry_has(engine: Any, records: list[tuple[dict[str, str], float]]) -> None:
    registry = tm.Registry(engine=engine.name)
    for each, value in records:
        registry.counter("c", unit="bytes").with_tags(each).inc(abs(value))
        registry.gauge("g").with_tags(each).set(value)
        registry.histogram("h", buckets=[-10, 0, 2.5, 50]).with_tags(each).observe(value)
        registry.histogram("e", exponential=True).with_tags(each).observe(value)
    snapshot = registry.snapshot()
    metrics = {one.name: one for one in decoded(*snapshot.families, time=snapshot.time)}
    assert metrics.keys() == {one.name for one in snapshot.families if len(one)}
    for name, metric in metrics.items():
        for point in getattr(metric, metric.WhichOneof("data")).data_points:
            series = snapshot.find(name, attributes(point.attributes))
            assert series is not None
            if name in ("c", "g", "tallymark_series", "tallymark_rejected"):
                assert point.as_double == series.value
            else:
                held = series.histogram
                assert (point.count, point.min, point.max) == (held.count, held.min, held.max)
                assert point.HasField("sum") == (held.min >= 0)
                assert point.sum == (held.sum if held.min >= 0 else 0.0)
            if name == "h":
                assert (tuple(point.explicit_bounds), tuple(point.bucket_counts)) == (held.bounds, held.bucket_counts)
