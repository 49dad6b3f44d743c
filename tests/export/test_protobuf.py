"""Prometheus' protobuf format: bytes that must not change, and what comes back when they are decoded."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from protobuf_pages import decoded, family, labels_of, only, page, samples, samples_of_text, tags, time_of

import tallymark as tm
from everything import everything
from tallymark.export.escaping import SCHEMES
from tallymark.export.labels import plain_text
from tallymark.export.protobuf import CONTENT_TYPE, render_protobuf

on_each_engine = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

CREATED = 1_700_000_000.25
"""When the series of these tests were created: 1,700,000,000 is 80 e2 cf aa 06, and 250,000,000 nanoseconds 80 e5 9a 77."""


def render(registry: tm.Registry) -> list[Any]:
    """Return a registry's families, without its report on itself."""
    return [each for each in decoded(render_protobuf(registry.snapshot())) if each.name != "tallymark_series"]


# Bytes


def test_the_content_type_is_what_prometheus_asks_for() -> None:
    assert CONTENT_TYPE == "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


def test_bytes_of_a_counter() -> None:
    data = tm.SumData(tags({"a": "b"}, {}), (CREATED, 0.0), (1.5, 0.0), True)
    assert page(family(data, description="D.")).hex(" ") == (
        "3e"  # 62 bytes
        " 0a 07 6e 5f 74 6f 74 61 6c"  # name: n_total
        " 12 02 44 2e"  # help: D.
        " 18 00"  # type: COUNTER
        " 22 20"  # metric
        " 0a 06 0a 01 61 12 01 62"  # label: a="b"
        " 1a 16 09 00 00 00 00 00 00 f8 3f"  # counter: 1.5
        " 1a 0b 08 80 e2 cf aa 06 10 80 e5 9a 77"  # created
        " 22 0b 1a 09 09 00 00 00 00 00 00 00 00"
    )


def test_bytes_of_a_gauge_and_of_a_summary() -> None:
    gauge = family(tm.GaugeData(tags({}), (CREATED,), (-1.0,)), "gauge", "g", unit="bytes")
    summary = family(tm.SummaryData(tags({}), (0.0,), (300,), (2.0,)), "summary", "s")
    assert page(gauge, summary).hex(" ") == (
        "1f 0a 07 67 5f 62 79 74 65 73 18 01 2a 05 62 79 74 65 73"  # g_bytes, GAUGE, unit: bytes
        " 22 0b 12 09 09 00 00 00 00 00 00 f0 bf"
        " 15 0a 01 73 18 02"  # s, SUMMARY
        " 22 0e 22 0c 08 ac 02 11 00 00 00 00 00 00 00 40"
    )


def test_bytes_of_a_histogram() -> None:
    data = tm.HistogramData(tags({}), (0.0,), (1.0,), ((2, 1),), (4.0,), (0.5,), (2.0,))
    assert page(family(data, "histogram")).hex(" ") == (
        "2e 0a 01 6e 18 04"  # n, HISTOGRAM
        " 22 27 3a 25"
        " 08 03 11 00 00 00 00 00 00 10 40"  # 3 observations, whose sum is 4
        " 1a 0b 08 02 11 00 00 00 00 00 00 f0 3f"  # 2 up to 1
        " 1a 0b 08 03 11 00 00 00 00 00 00 f0 7f"  # 3 up to infinity
    )


# What comes back

TEXT = st.text(max_size=8) | st.text(st.characters(categories=["Cs", "Cc"]), max_size=4) | st.sampled_from(["", '"\\\n'])
KEYS = st.sampled_from(["a", "b", "a.b", "a-b", "a_b", "le", "quantile", "é", "_", "__name__", "_name__"])
TAGS = st.dictionaries(KEYS, TEXT, max_size=3)
TIMES = st.floats(0, 3e11) | st.sampled_from([0.0, -1.0, math.nan, math.inf, CREATED, 2.0**28, 2.0**35, 1e-9])
NUMBERS = st.floats() | st.just(2.5)


@pytest.mark.slow
@settings(max_examples=150)
@given(st.lists(st.tuples(TAGS, TIMES, NUMBERS), min_size=1, max_size=6, unique_by=lambda row: repr(row[0])), TEXT)
@example([({"a": "\0\udc80é"}, CREATED, math.nan)], "\udc80\0")
@example([({}, 2.0**28 - 1, 1.0)], "")
@example([({}, 2.0**35, 1.0)], "")
def test_numbers_come_back_as_they_were_recorded(rows: list[tuple[dict[str, str], float, float]], description: str) -> None:
    sets, times, values = zip(*rows, strict=True)
    column = tags(*sets)
    gauge = family(tm.GaugeData(column, times, values), "gauge", "g", description)
    (made,) = decoded(page(gauge))
    expected = {labels(each): value for each, value in zip(column, values, strict=True)}  # the last of twins
    assert {labels_of(metric): repr(metric.gauge.value) for metric in made.metric} == {
        key: repr(value) for key, value in expected.items()
    }
    assert made.help == description.encode("utf-8", "replace").decode()
    counter = family(tm.SumData(column, times, values, True))
    for metric in decoded(page(counter))[0].metric:
        twins = [i for i, each in enumerate(column) if labels(each) == labels_of(metric)]
        assert metric.counter.value == pytest.approx(sum(values[i] for i in twins), rel=0, abs=0, nan_ok=True)
        known = [times[i] for i in twins if 0 < times[i] < 253402300800]
        assert metric.counter.HasField("created_timestamp") == bool(known)
        if known:
            assert time_of(metric.counter.created_timestamp) == pytest.approx(min(known), abs=0.001)


def labels(tag_set: tm.TagSet) -> tuple[tuple[str, str], ...]:
    """Return the labels of tags, by the text format."""
    name = f"n{{{plain_text(tag_set.items())}}} 1\n".encode("utf-8", "replace")
    (key,) = samples_of_text(name)
    return tuple(sorted(key[1]))


@pytest.mark.slow
@on_each_engine
@given(st.lists(st.tuples(TAGS, st.floats(-100, 100)), max_size=12))
def test_a_page_has_the_series_of_the_page_of_text(engine: Any, records: list[tuple[dict[str, str], float]]) -> None:
    registry = tm.Registry(engine=engine.name)
    for each, value in records:
        registry.counter("c.d", unit="bytes").with_tags(each).inc(abs(value))
        registry.gauge("g").with_tags(each).set(value)
        registry.histogram("h", buckets=[-10, 0, 2.5, 50]).with_tags(each).observe(value)
        registry.timer("t").with_tags(each).record(abs(value))
    registry.info("i", {"version": "1"})
    registry.state("s", ["on", "off"]).set("on")
    snapshot = registry.snapshot()
    assert samples(decoded(render_protobuf(snapshot))) == samples_of_text(tm.render_prometheus(snapshot))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_under_every_scheme_a_page_of_everything_has_the_series_of_the_page_of_text(scheme: str) -> None:
    snapshot = everything()
    messages = decoded(render_protobuf(snapshot, classic=True, escaping=scheme))
    text = samples_of_text(tm.render_prometheus(snapshot, escaping=scheme))
    # As text, in which all NaN are the same.
    assert {key: repr(value) for key, value in samples(messages).items()} == {
        key: repr(float(value)) for key, value in text.items()
    }


@pytest.mark.parametrize("count", [2**63 - 1, 2**64 - 1, 2**64, 2**70])
def test_counts_of_any_size_can_be_rendered(count: int) -> None:
    most = min(count, 2**64 - 1)
    summary = only(decoded(page(family(tm.SummaryData(tags({}), (0.0,), (count,), (1.0,)), "summary"))))
    assert summary.summary.sample_count == most
    data = tm.HistogramData(tags({}), (0.0,), (1.0,), ((count, 0),), (1.0,), (1.0,), (1.0,))
    histogram = only(decoded(page(family(data, "histogram")))).histogram
    assert [histogram.sample_count, *[bucket.cumulative_count for bucket in histogram.bucket]] == [most] * 3


def test_a_series_whose_time_of_creation_is_unknown_has_not_that_of_the_one_before() -> None:
    column, times, sums = tags({"a": "1"}, {"a": "2"}), (CREATED, 0.0), (1.0, 1.0)
    summary = family(tm.SummaryData(column, times, (1, 1), sums), "summary", "s")
    histogram = family(tm.HistogramData(column, times, (), ((1,), (1,)), sums, sums, sums), "histogram", "h")
    for made, kind in zip(decoded(page(summary, histogram)), ("summary", "histogram"), strict=True):
        assert [getattr(metric, kind).HasField("created_timestamp") for metric in made.metric] == [True, False]


def test_each_kind_has_its_type(registry: tm.Registry) -> None:
    registry.counter("c").inc()
    registry.gauge("g").set(1)
    registry.timer("t").record(1)
    registry.info("i", {"version": "1"})
    registry.state("s", ["on", "off"]).set("on")
    assert [(each.name, each.type) for each in render(registry)] == [
        ("c_total", 0), ("g", 1), ("t_seconds", 4), ("i_info", 1), ("s", 1),
    ]  # fmt: skip
    total = family(tm.SumData(tags({}), (CREATED,), (1.0,), False), "gauge", "sum")
    assert decoded(page(total))[0].type == 1


def test_a_family_without_series_is_left_out() -> None:
    assert page(family(tm.GaugeData((), (), ()), "gauge")) == b""


@pytest.mark.parametrize(
    ("kind", "name", "unit", "told"),
    [
        ("counter", "n", "bytes", "bytes"),
        ("counter", "n_bytes_total", "bytes", "bytes"),
        ("gauge", "bytes", "bytes", ""),
        ("gauge", "n", "m/s", ""),
        ("gauge", "n", "%", ""),
        ("timer", "took", "seconds", "seconds"),
    ],
)
def test_a_unit_is_told_only_if_the_name_ends_in_it_since_prometheus_rejects_others(
    kind: str, name: str, unit: str, told: str
) -> None:
    (made,) = decoded(page(family(tm.SumData(tags({}), (0.0,), (1.0,), kind == "counter"), kind, name, unit=unit)))
    assert made.unit == told


def test_twins_of_other_scripts_are_one_series_where_names_are_escaped_only() -> None:
    data = tm.SumData(tags({"a.b": "1"}, {"a_b": "1"}), (CREATED, CREATED - 1), (1.0, 2.0), True)
    metric = only(decoded(page(family(data))))
    assert (labels_of(metric), metric.counter.value) == ((("a_b", "1"),), 3.0)
    assert time_of(metric.counter.created_timestamp) == CREATED - 1
    (made,) = decoded(page(family(data), escaping="allow-utf-8"))
    assert [(labels_of(metric), metric.counter.value) for metric in made.metric] == [((("a.b", "1"),), 1), ((("a_b", "1"),), 2)]


def test_a_later_page_has_the_bytes_of_the_first(registry: tm.Registry) -> None:
    for key in ("plain", "not.plain"):
        registry.counter("n").inc(**{key: "for each series"})
        registry.histogram("h").observe(1, **{key: "for each series"})
    first = [render_protobuf(registry.snapshot(), escaping=each) for each in ("underscores", "allow-utf-8")]
    assert first[0] != first[1]
    assert [render_protobuf(registry.snapshot(), escaping=each) for each in ("underscores", "allow-utf-8")] == first
