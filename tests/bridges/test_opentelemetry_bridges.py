"""What OpenTelemetry's SDK measures in a registry of ours, and a registry of ours in what the SDK exports."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import Exemplar, MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from parsed_pages import openmetrics, prometheus

import tallymark as tm
from tallymark.frozen import replace
from tallymark.metric.data import ExponentialHistogramData, HistogramData

RESOURCE = Resource({"service.name": "shop"})


@pytest.fixture
def provider(registry: tm.Registry) -> Iterator[MeterProvider]:
    """An SDK whose metrics a registry of ours shows, without the tags of their scope."""
    provider = MeterProvider(
        metric_readers=[tm.bridges.from_opentelemetry(registry, scopes=False, target_info=False)],
        resource=RESOURCE,
        views=[View(instrument_name="shape", aggregation=ExponentialBucketHistogramAggregation())],
        shutdown_on_exit=False,
    )
    yield provider
    provider.shutdown()


def observed(value: float, **attributes: str) -> Any:
    def callback(options: CallbackOptions) -> Iterable[Observation]:
        yield Observation(value, attributes)

    return callback


# Theirs in ours


def test_each_instrument_is_shown_with_its_meaning(registry: tm.Registry, provider: MeterProvider) -> None:
    meter = provider.get_meter("orders")
    meter.create_counter("http.requests", description="Served.").add(3, {"method": "GET"})
    meter.create_up_down_counter("jobs").add(-2)
    meter.create_gauge("load", unit="1").set(0.5)
    meter.create_observable_counter("read", [observed(7, disk="a")], unit="By")
    meter.create_observable_gauge("temperature", [observed(21)], unit="Cel")
    meter.create_histogram("http.server.request.duration", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1]).record(0.3)
    meter.create_histogram("shape").record(5)
    snapshot = registry.snapshot()
    found = {one.name: (one.kind, one.unit, type(one.data).__name__) for one in snapshot.families}
    del found["tallymark_series"]
    assert found == {
        "http.requests": ("counter", "", "SumData"),
        "jobs": ("gauge", "", "SumData"),
        "load": ("gauge", "ratio", "GaugeData"),
        "read": ("counter", "bytes", "SumData"),
        "temperature": ("gauge", "celsius", "GaugeData"),
        "http.server.request.duration": ("timer", "seconds", "HistogramData"),
        "shape": ("histogram", "", "ExponentialHistogramData"),
    }
    assert sorted(prometheus(tm.render_prometheus(snapshot))) == [
        "http_requests", "http_server_request_duration_seconds", "jobs", "load_ratio", "read_bytes", "shape",
        "tallymark_series", "temperature_celsius",
    ]  # fmt: skip
    assert snapshot["http.requests"].description == "Served."
    assert snapshot.find("http.requests", method="GET").value == 3  # type: ignore[union-attr]
    assert snapshot["http.requests"].data.created[0] == pytest.approx(snapshot.time, abs=100)
    assert "tallymark_rejected" not in registry.snapshot()


def test_a_distribution_is_the_same_that_ours_would_be(registry: tm.Registry, provider: MeterProvider) -> None:
    meter = provider.get_meter("orders")
    theirs = meter.create_histogram("h", explicit_bucket_boundaries_advisory=[0.1, 1, 10]), meter.create_histogram("shape")
    own = registry.histogram("own", buckets=[0.1, 1, 10]), registry.histogram("own_shape", exponential=True)
    for value in (0.05, 0.1, 5, 7000, 0.3):
        for one in theirs:
            one.record(value)
        for mine in own:
            mine.observe(value)
    snapshot = registry.snapshot()
    for name, expected in (("h", "own"), ("shape", "own_shape")):
        (found,), (wanted,) = snapshot[name], snapshot[expected]
        assert found.histogram.count == wanted.histogram.count
        assert (found.histogram.min, found.histogram.max) == (0.05, 7000)
        assert found.histogram.sum == pytest.approx(wanted.histogram.sum)
        assert found.histogram.quantile(0.5) == pytest.approx(wanted.histogram.quantile(0.5), rel=0.05)
    assert snapshot["h"].data.bucket_counts == snapshot["own"].data.bucket_counts


def test_series_are_tagged_with_their_scope_and_the_resource_is_told(registry: tm.Registry) -> None:
    provider = MeterProvider([tm.bridges.from_opentelemetry(registry)], resource=RESOURCE, shutdown_on_exit=False)
    provider.get_meter("orders", "1.2").create_counter("hits").add(1)
    provider.get_meter("stock").create_counter("hits").add(5)
    snapshot = registry.snapshot()
    assert [(dict(one.tags), one.value) for one in snapshot["hits"]] == [
        ({"otel_scope_name": "orders", "otel_scope_version": "1.2"}, 1), ({"otel_scope_name": "stock"}, 5)
    ]  # fmt: skip
    assert dict(next(iter(snapshot["target_info"])).tags) == {"service.name": "shop"}
    assert openmetrics(tm.render_openmetrics(snapshot))["target"][0] == "info"
    provider.shutdown()
    assert registry.snapshot().families == ()


def test_attributes_that_are_no_text_are_json(registry: tm.Registry, provider: MeterProvider) -> None:
    provider.get_meter("m").create_counter("hits").add(1, {"ok": True, "n": 5, "of": ("a", "b"), "http.route": "/"})
    (found,) = registry.snapshot()["hits"]
    assert dict(found.tags) == {"ok": "true", "n": "5", "of": '["a", "b"]', "http.route": "/"}


def test_exemplars_come_with_their_trace(
    registry: tm.Registry, provider: MeterProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opentelemetry.sdk.metrics._internal.exemplar import AlwaysOnExemplarFilter

    provider = MeterProvider(
        [tm.bridges.from_opentelemetry(registry)], exemplar_filter=AlwaysOnExemplarFilter(), shutdown_on_exit=False
    )
    provider.get_meter("m").create_histogram("h").record(7)
    (found,) = registry.snapshot()["h"]
    (exemplar,) = found.exemplars
    assert (exemplar.value, exemplar.time) == (7.0, pytest.approx(registry.snapshot().time, abs=100))
    provider.shutdown()


def test_an_sdk_without_metrics_or_without_a_provider_shows_nothing(
    registry: tm.Registry, provider: MeterProvider, caplog: pytest.LogCaptureFixture
) -> None:
    tm.bridges.from_opentelemetry(registry)
    assert registry.snapshot().families == ()
    assert caplog.records == []


def test_a_callback_that_fails_spoils_nothing_else(registry: tm.Registry, provider: MeterProvider) -> None:
    def fail(options: CallbackOptions) -> Iterable[Observation]:
        raise SystemExit(1)

    provider.get_meter("m").create_observable_gauge("g", [fail])
    registry.counter("ours").inc()
    assert [one.name for one in registry.snapshot().families] == ["ours", "tallymark_series"]
    assert registry.snapshot().find("tallymark_rejected", metric="opentelemetry", reason="collector") is not None


def test_two_kinds_with_one_name_are_one_that_is_shown_and_one_that_is_counted(
    registry: tm.Registry, provider: MeterProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.get_meter("a").create_counter("x").add(1)
    provider.get_meter("b").create_gauge("x").set(1)
    registry.snapshot()
    snapshot = registry.snapshot()
    assert snapshot["x"].kind == "counter"
    assert snapshot.find("tallymark_rejected", metric="x", reason="name_taken") is not None


def test_units_are_those_of_the_specification() -> None:
    from tallymark.bridges.units import unit_of_sign
    from tallymark.export.otlp_units import ucum

    pairs = {"s": "seconds", "By": "bytes", "ms": "milliseconds", "By/s": "bytes_per_second", "{request}": "{request}", "": "",
             "%": "percent", "{packet}/s": "{packet}/s", "widget": "widget", "m/s": "meters_per_second"}  # fmt: skip
    assert {sign: unit_of_sign(sign, gauge=False) for sign in pairs} == pairs
    assert (unit_of_sign("1", gauge=True), unit_of_sign("1", gauge=False)) == ("ratio", "")
    units = ("seconds", "bytes", "kilobytes", "weeks", "bytes_per_second", "celsius", "apples", "")
    assert tuple(unit_of_sign(ucum(unit), gauge=False) for unit in units) == units


def test_a_callback_that_reads_our_registry_does_not_wait_for_ever(
    registry: tm.Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tallymark.bridges.sdk_metric_reader._PATIENCE", 0.05)
    memory, found = InMemoryMetricReader(), []

    def callback(options: CallbackOptions) -> Iterable[Observation]:
        found.append([one.name for one in registry.snapshot().families])
        yield Observation(1)

    registry.counter("ours").inc()
    provider = MeterProvider([memory, tm.bridges.from_opentelemetry(registry)], shutdown_on_exit=False)
    provider.get_meter("m").create_observable_gauge("theirs", [callback])
    assert list(metrics(memory.get_metrics_data())) == ["theirs"]
    assert found == [["ours", "tallymark_series"]]
    assert "does one of its callbacks read this registry?" in caplog.text
    assert "theirs" in registry.snapshot()
    provider.shutdown()


# Ours in theirs


class Kept(MetricExporter):
    """Keeps what it is to export."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []
        self.ended = 0

    def export(self, metrics_data: Any, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        self.kept.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self.ended += 1


def metrics(exported: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for resource in exported.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                assert metric.name not in found
                found[metric.name] = metric
    return found


def fill(registry: tm.Registry) -> None:
    registry.counter("http.requests", description="Served.").inc(3, method="GET")
    registry.gauge("depth", unit="bytes").set(-7)
    registry.timer("took", buckets=[0.1, 1]).record(
        0.3, exemplar={"trace_id": "0" * 31 + "5", "span_id": "0" * 15 + "7", "a": "b"}
    )
    registry.histogram("shape", exponential=True).observe(5)
    registry.info("build", version="1.2")
    registry.state("worker", ["on", "off"]).set("off")
    summary = tm.SummaryData((tm.TagSet(),), (0.0,), (2,), (1.5,), (((0.5, 0.7),),))
    registry.register(One(tm.FamilySnapshot("told", "summary", "", "", summary)))
    registry.register(One(tm.FamilySnapshot("sum", "gauge", "", "", tm.SumData((tm.TagSet(),), (0.0,), (-2.0,), False))))


class One:
    def __init__(self, family: tm.FamilySnapshot) -> None:
        self.family = family

    def collect(self) -> list[tm.FamilySnapshot]:
        return [self.family]


def test_each_kind_is_produced_with_its_meaning(registry: tm.Registry) -> None:
    fill(registry)
    found = metrics(tm.bridges.to_opentelemetry(registry, resource=RESOURCE).produce())
    del found["tallymark_series"]
    assert {name: (type(one.data).__name__, one.unit) for name, one in found.items()} == {
        "http.requests": ("Sum", ""), "depth": ("Gauge", "By"), "took": ("Histogram", "s"),
        "shape": ("ExponentialHistogram", ""), "build_info": ("Sum", ""),
        "worker": ("Sum", ""), "told": ("Histogram", ""), "sum": ("Sum", ""),
    }  # fmt: skip
    assert [name for name in found if getattr(found[name].data, "is_monotonic", False)] == ["http.requests"]
    (point,) = found["http.requests"].data.data_points
    assert (point.attributes, point.value, found["http.requests"].description) == ({"method": "GET"}, 3, "Served.")
    (point,) = found["took"].data.data_points
    assert (point.count, point.sum, point.bucket_counts, point.explicit_bounds) == (1, 0.3, [0, 1, 0], [0.1, 1.0])
    (exemplar,) = point.exemplars
    assert exemplar == Exemplar({"a": "b"}, 0.3, exemplar.time_unix_nano, 7, 5)
    (point,) = found["told"].data.data_points
    assert (point.count, point.sum, point.bucket_counts, point.explicit_bounds) == (2, 1.5, [2], [])


def test_what_is_produced_and_read_again_is_the_same(registry: tm.Registry) -> None:
    from tallymark.bridges.sdk_family import families_of

    fill(registry)
    snapshot = registry.snapshot()
    produced = tm.bridges.to_opentelemetry(registry).produce()
    found = {
        one.name: one for one in families_of(produced, lambda *what: pytest.fail(str(what)), scopes=False, target_info=False)
    }
    for family in snapshot.families:
        if isinstance(family.data, ExponentialHistogramData | HistogramData):
            again = found[family.name].data
            assert again.created == pytest.approx(tuple(family.data.created))  # type: ignore[union-attr]
            own = replace(family.data, created=(), exemplars=())
            assert replace(again, created=(), exemplars=()) == own  # type: ignore[type-var]
        assert found[family.name].data.tags == family.data.tags  # type: ignore[union-attr]


def test_the_console_exporter_prints_ours(registry: tm.Registry) -> None:
    fill(registry)
    out = io.StringIO()
    ConsoleMetricExporter(out=out).export(tm.bridges.to_opentelemetry(registry, resource=RESOURCE).produce())
    told = json.loads(out.getvalue())
    assert told["resource_metrics"][0]["resource"]["attributes"] == {"service.name": "shop"}
    assert told["resource_metrics"][0]["scope_metrics"][0]["scope"]["name"] == "tallymark"


def test_one_exporter_exports_both(registry: tm.Registry) -> None:
    exporter = Kept()
    beside = tm.bridges.to_opentelemetry(registry, resource=RESOURCE).beside(exporter)
    reader = PeriodicExportingMetricReader(beside, export_interval_millis=float("inf"))
    provider = MeterProvider([reader], resource=RESOURCE, shutdown_on_exit=False)
    provider.get_meter("m").create_counter("theirs").add(1)
    registry.counter("ours").inc(2)
    provider.force_flush()
    assert sorted(metrics(exporter.kept[0])) == ["ours", "tallymark_series", "theirs"]
    provider.shutdown()
    assert exporter.ended == 1


def test_what_both_show_in_each_other_is_exported_once(registry: tm.Registry) -> None:
    exporter = Kept()
    beside = tm.bridges.to_opentelemetry(registry).beside(exporter)
    reader = PeriodicExportingMetricReader(beside, export_interval_millis=float("inf"))
    provider = MeterProvider([reader, tm.bridges.from_opentelemetry(registry)], shutdown_on_exit=False)
    provider.get_meter("m").create_counter("theirs").add(1)
    registry.counter("ours").inc(2)
    provider.force_flush()
    assert sorted(metrics(exporter.kept[0])) == ["ours", "tallymark_series", "theirs"]
    assert "theirs" in registry.snapshot()
    assert "theirs" in metrics(tm.bridges.to_opentelemetry(registry).produce())
    provider.shutdown()


def test_the_preferences_of_the_other_exporter_stay(registry: tm.Registry) -> None:
    other = Kept()
    other._preferred_temporality = {}
    assert tm.bridges.to_opentelemetry(registry).beside(other)._preferred_temporality is other._preferred_temporality


def test_the_sdk_may_be_read_by_others_too(registry: tm.Registry) -> None:
    memory = InMemoryMetricReader()
    provider = MeterProvider([memory, tm.bridges.from_opentelemetry(registry)], shutdown_on_exit=False)
    provider.get_meter("m").create_counter("theirs").add(1)
    assert "theirs" in registry.snapshot()
    assert list(metrics(memory.get_metrics_data())) == ["theirs"]
    provider.shutdown()


# What is missing


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("from_prometheus_client", "prometheus_client", "prometheus-client"),
        ("to_prometheus_client", "prometheus_client.core", "prometheus-client"),
        ("from_opentelemetry", "opentelemetry.sdk.metrics.export", "opentelemetry-sdk"),
        ("to_opentelemetry", "opentelemetry.sdk.metrics.export", "opentelemetry-sdk"),
    ],
)
def test_a_package_that_is_missing_is_one_error_that_names_the_extra(
    name: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "tallymark.bridges.sdk_metric_reader", raising=False)
    with pytest.raises(ImportError, match=rf"pip install 'tallymark\[{extra}\]'"):
        getattr(tm.bridges, name)()


@pytest.mark.parametrize("name", ["from_opentelemetry", "to_opentelemetry"])
def test_what_is_no_registry_raises(name: str) -> None:
    with pytest.raises(TypeError, match="registry must be"):
        getattr(tm.bridges, name)(5)


def test_a_name_that_there_is_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'from_statsd'"):
        tm.bridges.from_statsd  # type: ignore[attr-defined]


def test_logs_are_quiet(registry: tm.Registry, provider: MeterProvider, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        provider.get_meter("m").create_counter("x").add(1)
        registry.snapshot()
    assert caplog.records == []
