"""What a registry of prometheus_client holds, at our endpoint: the same, and nothing that fails there fails here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from math import inf, nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import prometheus_client as theirs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsed_pages import openmetrics, prometheus
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
    SummaryMetricFamily,
    UnknownMetricFamily,
)
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

import tallymark as tm
from tallymark.bridges import client_family


@pytest.fixture
def other() -> Any:
    return theirs.CollectorRegistry()


@pytest.fixture
def shown(engine: Any, other: Any) -> tm.Registry:
    """A registry of ours that shows nothing but theirs."""
    registry = tm.Registry(engine=engine.name, self_metrics=False)
    registry.register(tm.bridges.from_prometheus_client(other))
    return registry


class Custom:
    def __init__(self, *what: Any) -> None:
        self.what = what

    def collect(self) -> Iterator[Any]:
        for one in self.what:
            if isinstance(one, BaseException):
                raise one
            yield one


def fill(other: Any) -> None:
    """Use all that prometheus_client has."""
    requests = theirs.Counter("requests", 'Requests\nserved \\ "all".', ["method"], registry=other)
    requests.labels("GET").inc(3, exemplar={"trace_id": "4f", "span_id": "a.b"})
    requests.labels("").inc()
    requests.labels('P"O\\S\nT').inc(0.1 + 0.2)
    theirs.Counter("read_bytes", "Bytes.", unit="bytes", registry=other).inc(1e18)
    theirs.Counter("ends_in_total", "", registry=other).inc()
    theirs.Gauge("depth", "Depth.", ["queue"], registry=other).labels("a").set(-7)
    for name, value in (("up", inf), ("down", -inf), ("none", nan), ("of_items_total", 5)):
        theirs.Gauge(name, "An odd one.", registry=other).set(value)
    theirs.Summary("size", "Size.", registry=other, unit="bytes").observe(9)
    latency = theirs.Histogram(
        "latency_seconds", "Latency.", ["route"], buckets=(0.1, 1, 2.5e6), unit="seconds", registry=other
    )
    latency.labels("/").observe(0.05, exemplar={"trace_id": "1"})
    latency.labels("/").observe(0.7)
    latency.labels("/x").observe(3e6, exemplar={"trace_id": "2"})
    theirs.Histogram("no_labels", "", registry=other).observe(0.3)
    theirs.Info("build", "Build.", registry=other).info({"version": "1.2", "commit": "é"})
    theirs.Enum("task", "Task.", ["who"], states=["on", "off"], registry=other).labels("me").state("off")


def without_created(page: dict[str, Any]) -> dict[str, Any]:
    return {name: family for name, family in page.items() if not name.endswith("_created")}


def test_all_that_they_have_is_shown_as_they_show_it(shown: tm.Registry, other: Any) -> None:
    fill(other)
    snapshot = shown.snapshot()
    assert openmetrics(tm.render_openmetrics(snapshot, created=True)) == openmetrics(generate_openmetrics(other))
    own = prometheus(tm.render_prometheus(snapshot))
    assert own == without_created(prometheus(theirs.generate_latest(other)))
    assert "tallymark_rejected" not in snapshot


def test_what_collectors_of_others_tell_is_shown_as_they_show_it(shown: tm.Registry, other: Any) -> None:
    counter = CounterMetricFamily("jobs", "Jobs.", labels=["kind"])
    counter.add_metric(["a"], 5, created=123.5)
    summary = Metric("rpc_seconds", "With quantiles.", "summary", "seconds")
    for name, labels, value in (
        ("rpc_seconds", {"h": "x", "quantile": "0.5"}, 0.25), ("rpc_seconds", {"h": "x", "quantile": "0.99"}, nan),
        ("rpc_seconds_count", {"h": "x"}, 4), ("rpc_seconds_sum", {"h": "x"}, 2.5),
        ("rpc_seconds_count", {"h": "y"}, 0), ("rpc_seconds_sum", {"h": "y"}, 0),
    ):  # fmt: skip
        summary.add_sample(name, labels, value)
    states = StateSetMetricFamily("feature", "States.", {"a": True, "b": False})
    info = InfoMetricFamily("os", "System.", labels=["host"])
    info.add_metric(["h"], {"arch": "amd64"})
    histogram = HistogramMetricFamily("sizes", "Sizes.", buckets=[("1.0", 2), ("4.0", 2), ("+Inf", 5)], sum_value=30)
    plain = SummaryMetricFamily("plain", "No quantiles.", count_value=2, sum_value=3)
    other.register(Custom(counter, summary, states, info, histogram, plain))
    snapshot = shown.snapshot()
    assert openmetrics(tm.render_openmetrics(snapshot, created=True)) == openmetrics(generate_openmetrics(other))
    assert prometheus(tm.render_prometheus(snapshot)) == without_created(prometheus(theirs.generate_latest(other)))


def samples(page: dict[str, Any]) -> dict[Any, Any]:
    return {key: value for _, _, _, found in page.values() for key, value in found.items()}


def test_types_that_we_do_not_have_are_gauges_with_the_same_samples(shown: tm.Registry, other: Any) -> None:
    other.register(Custom(
        UnknownMetricFamily("odd", "Unknown.", value=5),
        UnknownMetricFamily("odd_total", "Unknown, and no counter.", value=-5),
        GaugeHistogramMetricFamily("waiting_bytes", "Waiting.", buckets=[("1.0", 2), ("+Inf", 5)], gsum_value=9, unit="bytes"),
    ))  # fmt: skip
    found = prometheus(tm.render_prometheus(shown.snapshot()))
    assert samples(found) == samples(prometheus(theirs.generate_latest(other)))
    assert {one[0] for one in found.values()} == {"gauge"}
    assert {one[1] for one in found.values()} == {"Unknown.", "Unknown, and no counter.", "Waiting."}
    assert set(samples(openmetrics(tm.render_openmetrics(shown.snapshot())))) == set(
        samples(openmetrics(generate_openmetrics(other)))
    )


def test_the_target_is_told(shown: tm.Registry, other: Any) -> None:
    other.set_target_info({"env": "prod"})
    assert openmetrics(tm.render_openmetrics(shown.snapshot())) == openmetrics(generate_openmetrics(other))


def test_the_default_registry_is_theirs() -> None:
    registry = tm.Registry()
    registry.register(tm.bridges.from_prometheus_client())
    assert "python_gc_objects_collected_total" in registry.snapshot()


def test_it_reads_as_it_is_now(shown: tm.Registry, other: Any) -> None:
    counter = theirs.Counter("c", "", registry=other)
    assert shown.snapshot()["c_total"].data.values == (0.0,)
    counter.inc(2)
    assert shown.snapshot()["c_total"].data.values == (2.0,)
    other.unregister(counter)
    assert "c_total" not in shown.snapshot()


def test_tags_are_made_once_and_kept_no_longer_than_they_are_read(
    shown: tm.Registry, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    make = client_family.tags_of
    monkeypatch.setattr(client_family, "tags_of", lambda labels: made.append(labels) or make(labels))
    counter = theirs.Counter("c", "", ["a"], registry=other)
    for _ in range(3):
        counter.labels("x").inc()
        shown.snapshot()
    assert made == [{"a": "x"}]
    counter.remove("x")
    for _ in range(2):
        shown.snapshot()
    counter.labels("x").inc()
    shown.snapshot()
    assert made == [{"a": "x"}] * 2


def test_two_bridges_to_one_registry_are_one(shown: tm.Registry, other: Any) -> None:
    shown.register(tm.bridges.from_prometheus_client(other))
    theirs.Counter("c", "", registry=other)
    shown.snapshot()
    assert "tallymark_rejected" not in shown.snapshot()
    assert shown.unregister(tm.bridges.from_prometheus_client(other))
    assert "c_total" not in shown.snapshot()


def test_the_tags_of_our_registry_are_added(engine: Any, other: Any) -> None:
    registry = tm.Registry(engine=engine.name, tags={"host": "h"})
    registry.register(tm.bridges.from_prometheus_client(other))
    theirs.Counter("c", "", ["a"], registry=other).labels("b").inc()
    assert registry.snapshot().find("c_total", a="b", host="h") is not None


# What fails


def rejected(registry: tm.Registry) -> dict[tuple[str, str], float]:
    registry.snapshot()
    found = registry.snapshot()
    if "tallymark_rejected" not in found:
        return {}
    return {(one.tags["metric"], one.tags["reason"]): one.value for one in found["tallymark_rejected"]}


class Odd:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def bad(what: str) -> Any:
    metric = Metric("bad", "Bad.", "gauge")
    match what:
        case "raises":
            return RuntimeError("mine")
        case "exits":
            return SystemExit(1)
        case "no metric":
            return 5
        case "no number":
            metric.add_sample("bad", {}, "five")  # type: ignore[arg-type]
        case "no labels":
            metric.add_sample("bad", None, 5)  # type: ignore[arg-type]
        case "no text":
            metric.add_sample("bad", {"a": Odd()}, 5)  # type: ignore[dict-item]
        case "a bound that is none":
            metric = HistogramMetricFamily("bad", "", buckets=[("+Inf", 1)], sum_value=1)
            metric.add_sample("bad_bucket", {"le": "x"}, 5)
        case "a bound that is no number":
            metric = HistogramMetricFamily("bad", "", buckets=[("+Inf", 1)], sum_value=1)
            metric.add_sample("bad_bucket", {"le": "nan"}, 5)
        case "a total below 0":
            metric = CounterMetricFamily("bad", "", value=-1)
        case "a total that is none":
            metric = CounterMetricFamily("bad", "", value=nan)
        case "a name that is too long":
            metric = GaugeMetricFamily("b" * 300, "", value=1)
        case "an exemplar that is none":
            metric.type = "counter"
            metric.add_sample("bad_total", {}, 5, exemplar=5)  # type: ignore[arg-type]
        case "an exemplar without a number":
            metric.type = "counter"
            metric.add_sample("bad_total", {}, 5, exemplar=theirs.core.Exemplar({"a": "b"}, nan))  # type: ignore[attr-defined]
    return metric


BAD = [
    "raises", "exits", "no metric", "no number", "no labels", "no text", "a bound that is none", "a bound that is no number",
    "a total below 0", "a total that is none", "a name that is too long", "an exemplar that is none",
    "an exemplar without a number",
]  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_collector_of_theirs_that_fails_spoils_only_itself(
    shown: tm.Registry, other: Any, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    good, later = GaugeMetricFamily("good", "", value=1), GaugeMetricFamily("later", "", value=2)
    other.register(Custom(GaugeMetricFamily("before", "", value=0), bad(what)))
    other.register(Custom(good))
    shown.register(Custom(tm.family("gauge", "ours", [({}, 1)]), tm.family("gauge", "ours_too", [({}, 1)])))
    other.register(Custom(later))
    assert [one.name for one in shown.snapshot().families] == ["before", "good", "later", "ours", "ours_too"]
    [(name, reason)] = rejected(shown)
    assert reason == "collector"
    assert name in ("bad", "bad_total", "b" * 300, "Custom", "before")
    assert len(caplog.records) == 1


def test_a_keyboard_interrupt_passes(shown: tm.Registry, other: Any) -> None:
    other.register(Custom(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        shown.snapshot()


def test_a_name_that_ours_have_stays_ours(shown: tm.Registry, other: Any) -> None:
    theirs.Counter("hits", "", registry=other).inc()
    shown.counter("hits_total").inc(5)
    assert [one.value for one in shown.snapshot()["hits_total"]] == [5.0]
    assert rejected(shown) == {("hits_total", "name_taken"): 2}


def test_of_two_metrics_with_one_name_in_prometheus_both_are_shown(shown: tm.Registry, other: Any) -> None:
    shown.counter("hits").inc(5)
    theirs.Counter("hits", "", registry=other).inc()
    found = prometheus(tm.render_prometheus(shown.snapshot()))
    assert sorted(found) == ["hits", "hits_2"]


@pytest.mark.skipif(not hasattr(theirs, "CONTENT_TYPE_PLAIN_1_0_0"), reason="older versions take no such names")
def test_names_of_utf8_are_those_that_they_show_to_who_takes_no_others(shown: tm.Registry, other: Any) -> None:
    metric = Metric("http.größe", "", "gauge")
    metric.add_sample("http.größe", {"a.b": "c"}, 1)
    other.register(Custom(metric))
    assert prometheus(tm.render_prometheus(shown.snapshot())) == prometheus(theirs.generate_latest(other))


def test_native_histograms_are_left_out_and_their_buckets_stay(shown: tm.Registry, other: Any) -> None:
    metric = HistogramMetricFamily("h", "", buckets=[("+Inf", 2)], sum_value=3)
    native = "as versions from 0.22 have it"
    sample: Any = SimpleNamespace(name="h", labels={}, value=0, exemplar=None, native_histogram=native)
    metric.samples.append(sample)
    other.register(Custom(metric))
    assert shown.snapshot()["h"].data.bucket_counts == ((2,),)


@pytest.mark.parametrize("wrong", [5, "REGISTRY", object()])
def test_what_is_no_registry_raises_at_once(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"from_prometheus_client\(\) takes a CollectorRegistry, not"):
        tm.bridges.from_prometheus_client(wrong)


def test_anything_that_collects_can_be_shown(engine: Any, other: Any) -> None:
    registry = tm.Registry(engine=engine.name)
    fill(other)
    registry.register(tm.bridges.from_prometheus_client(other.restricted_registry(["depth"])))
    assert [one.name for one in registry.snapshot().families] == ["depth", "tallymark_series"]


NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,9}", fullmatch=True)
VALUES = st.floats(allow_nan=False) | st.integers(-(2**60), 2**60)


@settings(max_examples=25)
@given(NAMES, st.lists(st.tuples(st.text(max_size=5), VALUES), max_size=5, unique_by=lambda one: one[0]))
def test_any_gauge_is_shown_as_they_show_it(name: str, series: list[tuple[str, float]]) -> None:
    other = theirs.CollectorRegistry()
    family = GaugeMetricFamily(name, "A gauge.", labels=["a"])
    for label, value in series:
        if label.isprintable():  # their own parser reads no other
            family.add_metric([label], value)
    other.register(Custom(family))
    registry = tm.Registry(self_metrics=False)
    registry.register(tm.bridges.from_prometheus_client(other))
    expected = samples(prometheus(theirs.generate_latest(other)))
    found = samples(prometheus(tm.render_prometheus(registry.snapshot())))
    assert found == expected


@pytest.mark.slow
def test_the_processes_of_a_multiprocess_registry_are_shown(tmp_path: Path) -> None:
    program = (
        "import os, sys, prometheus_client as p\n"
        "from prometheus_client.multiprocess import MultiProcessCollector\n"
        "c = p.Counter('c', 'C.', ['a']); h = p.Histogram('h', 'H.', buckets=(1, 2)); g = p.Gauge('g', 'G.')\n"
        "c.labels('x').inc(2); h.observe(1.5); g.set(4)\n"
        "if len(sys.argv) > 1:\n"
        "    import tallymark as tm\n"
        "    other = p.CollectorRegistry(); MultiProcessCollector(other)\n"
        "    ours = tm.Registry(self_metrics=False); ours.register(tm.bridges.from_prometheus_client(other))\n"
        "    sys.stdout.write(tm.render_prometheus(ours.snapshot()).decode() + chr(0) + p.generate_latest(other).decode())\n"
    )
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for arguments in ([], ["read"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
    ours, expected = done.stdout.split("\0")
    assert prometheus(ours.encode()) == prometheus(expected.encode())
    assert prometheus(ours.encode())["c"][3][("c_total", frozenset({("a", "x")}))][0] == 4
