"""Prometheus text: bytes that must not change, and a round trip through an independent parser."""

from __future__ import annotations

import math
from collections import Counter as OperationRecorder
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

import tallymark as tm
from tallymark.export import labels as labels_module

on_each_engine = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

TEXT = st.one_of(st.text(max_size=10), st.text('"\\\n,={} a', max_size=8), st.just(""))
LABELS = st.dictionaries(st.sampled_from(["a", "b", "label_c", "D"]), TEXT, max_size=3)
LABEL_SETS = st.lists(LABELS, min_size=1, max_size=4)


def render(registry: tm.Registry) -> str:
    """Return the exposition, without the registry's report on itself."""
    return tm.render_prometheus(registry.snapshot()).decode().partition("# HELP tallymark_series")[0]


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return each sample by name and labels; a repeated one is a failure."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


def key(name: str, labels: dict[str, str]) -> Any:
    """Return how `samples` names a sample: Prometheus knows no empty labels, and no lone surrogates."""
    return name, frozenset((one, text) for one, text in labels.items() if text)


def assert_valid(text: str) -> None:
    samples(text)
    lines = text.splitlines()
    types = OperationRecorder(line.split(" ")[2] for line in lines if line.startswith("# TYPE "))
    assert set(types.values()) <= {1}
    series = OperationRecorder(line.rsplit(" ", 1)[0] for line in text.split("\n") if line and not line.startswith("#"))
    assert set(series.values()) <= {1}


def test_counters(registry: tm.Registry) -> None:
    requests = registry.counter("http.requests", description='Served "fast" \\ well.\nYes.')
    requests.inc(2.5, method="GET", path='a"b\\c\nd')
    requests.inc()
    assert render(registry) == (
        '# HELP http_requests_total Served "fast" \\\\ well.\\nYes.\n'
        "# TYPE http_requests_total counter\n"
        'http_requests_total{method="GET",path="a\\"b\\\\c\\nd"} 2.5\n'
        "http_requests_total 1.0\n"
    )


def test_gauges(registry: tm.Registry) -> None:
    heat = registry.gauge("heat", unit="celsius")
    heat.set(-1.5)
    for name, value in (("high", math.inf), ("low", -math.inf), ("none", math.nan)):
        heat.set(value, at=name)
    assert render(registry) == (
        "# TYPE heat_celsius gauge\n"
        "heat_celsius -1.5\n"
        'heat_celsius{at="high"} +Inf\n'
        'heat_celsius{at="low"} -Inf\n'
        'heat_celsius{at="none"} NaN\n'
    )


def test_histograms(registry: tm.Registry) -> None:
    size = registry.histogram("size", unit="bytes", buckets=[1, 2.5])
    for value in (0.5, 1, 2, 9):
        size.observe(value, route="/")
    size.observe(1)
    assert render(registry) == (
        "# TYPE size_bytes histogram\n"
        'size_bytes_bucket{route="/",le="1.0"} 2\n'
        'size_bytes_bucket{route="/",le="2.5"} 3\n'
        'size_bytes_bucket{route="/",le="+Inf"} 4\n'
        'size_bytes_sum{route="/"} 12.5\n'
        'size_bytes_count{route="/"} 4\n'
        'size_bytes_bucket{le="1.0"} 1\n'
        'size_bytes_bucket{le="2.5"} 1\n'
        'size_bytes_bucket{le="+Inf"} 1\n'
        "size_bytes_sum 1.0\n"
        "size_bytes_count 1\n"
    )


def test_timers(registry: tm.Registry) -> None:
    registry.timer("took", buckets=[0.1]).record(0.25)
    assert render(registry) == (
        "# TYPE took_seconds histogram\n"
        'took_seconds_bucket{le="0.1"} 0\n'
        'took_seconds_bucket{le="+Inf"} 1\n'
        "took_seconds_sum 0.25\n"
        "took_seconds_count 1\n"
    )


def test_an_empty_registry_is_empty_text(registry: tm.Registry) -> None:
    assert tm.render_prometheus(registry.snapshot()) == b""


@pytest.mark.parametrize(
    ("kind", "name", "unit", "rendered"),
    [
        ("counter", "a.b-c/d", "", "a_b_c_d_total"),
        ("counter", "n_total", "", "n_total"),
        ("counter", "n_total", "bytes", "n_bytes_total"),
        ("counter", "n_bytes", "bytes", "n_bytes_total"),
        ("counter", "bytes", "bytes", "bytes_total"),
        ("counter", "n.total", "", "n_total"),
        ("counter", "_total", "", "_total_total"),
        ("gauge", "n_total", "", "n_total"),
        ("gauge", "n", "m/s", "n_m_s"),
        ("gauge", "n", "%", "n"),
        ("gauge", "ns:n", "", "ns:n"),
        ("gauge", "megabytes", "bytes", "megabytes_bytes"),
        ("timer", "took", "", "took_seconds"),
        ("timer", "took_seconds", "", "took_seconds"),
        ("timer", "took.seconds", "", "took_seconds"),
    ],
)
def test_names(registry: tm.Registry, kind: str, name: str, unit: str, rendered: str) -> None:
    getattr(registry, kind)(name, **({"unit": unit} if unit else {}))
    assert f"# TYPE {rendered} " in render(registry)
    assert_valid(render(registry))


@on_each_engine
@given(sets=LABEL_SETS, amounts=st.lists(st.floats(0, 1e300), min_size=4, max_size=4))
def test_counters_survive_a_round_trip(engine: Any, sets: list[dict[str, str]], amounts: list[float]) -> None:
    registry = tm.Registry(engine=engine.name)
    expected: dict[Any, float] = {}
    for labels, amount in zip(sets, amounts, strict=False):
        registry.counter("n").inc(amount, **labels)
        name = key("n_total", labels)
        expected[name] = expected.get(name, 0.0) + amount
    assert samples(render(registry)) == pytest.approx(expected)


@on_each_engine
@given(sets=st.lists(LABELS, min_size=1, max_size=4, unique_by=lambda labels: key("n", labels)), data=st.data())
def test_gauges_survive_a_round_trip(engine: Any, sets: list[dict[str, str]], data: st.DataObject) -> None:
    registry = tm.Registry(engine=engine.name)
    values = [data.draw(st.floats()) for _ in sets]
    for labels, value in zip(sets, values, strict=True):
        registry.gauge("n").set(value, **labels)
    found = samples(render(registry))
    assert len(found) == len(sets)
    for labels, value in zip(sets, values, strict=True):
        seen = found[key("n", labels)]
        assert seen == value or (math.isnan(seen) and math.isnan(value))


@on_each_engine
@given(labels=LABELS, values=st.lists(st.floats(-100, 100), max_size=20))
def test_histograms_survive_a_round_trip_and_are_cumulative(engine: Any, labels: dict[str, str], values: list[float]) -> None:
    registry = tm.Registry(engine=engine.name)
    bounds = (-10.0, 0.0, 2.5, 50.0)
    series = registry.histogram("n", buckets=bounds).with_tags(labels)
    for value in values:
        series.observe(value)
    found = samples(render(registry))
    for bound in bounds:
        assert found[key("n_bucket", {**labels, "le": repr(bound)})] == sum(value <= bound for value in values)
    assert found[key("n_bucket", {**labels, "le": "+Inf"})] == found[key("n_count", labels)] == len(values)
    assert found[key("n_sum", labels)] == series.snapshot().sum


@on_each_engine
@given(description=st.text(max_size=30))
def test_any_description_is_one_line_of_valid_text(engine: Any, description: str) -> None:
    registry = tm.Registry(engine=engine.name)
    registry.gauge("n", description=description).set(1)
    (family,) = text_string_to_metric_families(render(registry))
    assert (family.name, [sample.value for sample in family.samples]) == ("n", [1.0])


def test_tags_that_become_one_label_are_joined(registry: tm.Registry) -> None:
    registry.counter("n").inc(**{"a.b": "1", "a-b": "2", "c": "3"})
    assert 'n_total{a_b="2;1",c="3"} 1.0\n' in render(registry)


def test_names_that_start_with_two_underscores_are_prometheus_own(registry: tm.Registry) -> None:
    registry.gauge("n").set(1, __name__="x")
    assert 'n{_name__="x"} 1.0\n' in render(registry)


def test_series_that_read_the_same_are_merged(registry: tm.Registry) -> None:
    for labels in ({"a.b": "1"}, {"a-b": "1"}, {"a_b": "1", "c": ""}):
        registry.counter("n").inc(**labels)
        registry.gauge("g").set(len(labels), **labels)
        registry.histogram("h", buckets=[1]).observe(1, **labels)
    text = render(registry)
    assert_valid(text)
    assert 'n_total{a_b="1"} 3.0\n' in text
    assert 'h_count{a_b="1"} 3\n' in text


@pytest.mark.parametrize(
    "names",
    [
        [("counter", "a.b"), ("counter", "a-b"), ("counter", "a_b")],
        [("counter", "n"), ("gauge", "n_total"), ("counter", "n.total")],
        [("histogram", "n"), ("gauge", "n_sum"), ("gauge", "n_bucket"), ("counter", "n.sum")],
        [("gauge", "n_count"), ("gauge", "n_2_sum"), ("histogram", "n"), ("timer", "n.")],
        [("timer", "n"), ("gauge", "n_seconds"), ("histogram", "n.seconds"), ("gauge", "n_seconds_2")],
    ],
)
def test_metrics_that_read_the_same_stay_a_valid_exposition(registry: tm.Registry, names: list[tuple[str, str]]) -> None:
    for kind, name in names:
        instrument = getattr(registry, kind)(name)
        instrument.with_tags(a="1")
    text = render(registry)
    assert_valid(text)
    assert text.count("# TYPE ") == len(names)


def test_lone_surrogates_can_be_rendered(registry: tm.Registry) -> None:
    registry.counter("n", description="bad \udc80", unit="\udc80").inc(path="a\udc80")
    assert b'n_total{path="a\\\\udc80"} 1.0\n' in tm.render_prometheus(registry.snapshot())


def test_a_tag_called_le_does_not_disturb_a_histogram(registry: tm.Registry) -> None:
    registry.histogram("n", buckets=[1]).observe(1, le="mine", exported_le="too")
    registry.counter("c").inc(le="mine")
    text = render(registry)
    assert_valid(text)
    assert 'n_count{exported_le="too;mine"} 1\n' in text
    assert 'c_total{le="mine"} 1.0\n' in text


def test_label_text_is_computed_once_for_each_series(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(5):
        registry.counter("n").inc(once=f"for each series {i}")
        registry.histogram("h").observe(1, once=f"for each series {i}")
    first = render(registry)

    escaped: list[str] = []
    monkeypatch.setattr(labels_module, "escape_value", lambda text: escaped.append(text) or text)
    assert render(registry) == first
    assert [text for text in escaped if "series" in text] == []


def test_rendering_changes_nothing(registry: tm.Registry) -> None:
    registry.counter("n").inc(a="1")
    snapshot = registry.snapshot()
    assert tm.render_prometheus(snapshot) == tm.render_prometheus(snapshot)
