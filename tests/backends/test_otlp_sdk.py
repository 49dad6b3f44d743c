"""OpenTelemetry's SDK and its exporter beside ours: the same records become the same messages, but for what is told here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from otlp_server import Received, attributes_of, http_receiver

import tallymark as tm
from tallymark.backends import OTLP
from tallymark.client.deadline import Deadline

pytestmark = pytest.mark.slow

BOUNDS = [0.1, 1.0, 10.0]
OBSERVED = [0.05, 0.1, 0.5, 3.0, 3.0, 50.0]
DELTAS = dict.fromkeys((Counter, Histogram), AggregationTemporality.DELTA)


@pytest.fixture
def received() -> Iterator[Received]:
    with http_receiver() as found:
        yield found


def by_sdk(received: Received, temporality: Any) -> dict[str, Any]:
    """Return the metrics that OpenTelemetry's SDK sends."""
    exporter = OTLPMetricExporter(f"http://127.0.0.1:{received.port}/v1/metrics", preferred_temporality=temporality)
    provider = MeterProvider(
        [PeriodicExportingMetricReader(exporter, export_interval_millis=float("inf"))],
        resource=Resource.create({"service.name": "shop"}),
        views=[View(instrument_name="size", aggregation=ExponentialBucketHistogramAggregation(max_size=160, max_scale=20))],
    )
    meter = provider.get_meter("reference", "1")
    counter, gauge = meter.create_counter("http.requests", "By", "Sent."), meter.create_gauge("queue", "{item}", "Depth.")
    took = meter.create_histogram("took", "s", "How long.", explicit_bucket_boundaries_advisory=BOUNDS)
    size = meter.create_histogram("size", "By", "How large.")
    up_down = meter.create_up_down_counter("in.flight", "", "Now.")
    for amount in (1.5, 2.0):
        counter.add(amount, {"route": "/é", "http.method": "GET"})
    counter.add(7.0, {})
    gauge.set(-3.5, {"a": ""})
    up_down.add(4.0, {"a": "b"})
    for value in OBSERVED:
        took.record(value, {"route": "/"})
        size.record(value, {"route": "/"})
    provider.force_flush()
    provider.shutdown()
    return received.metrics()


def by_us(received: Received, temporality: Any) -> dict[str, Any]:
    """Return the metrics that we send."""
    registry = tm.Registry(self_metrics=False)
    counter = registry.counter("http.requests", unit="bytes", description="Sent.")
    gauge = registry.gauge("queue", unit="{item}", description="Depth.")
    took = registry.timer("took", description="How long.", buckets=BOUNDS)
    size = registry.histogram("size", unit="bytes", description="How large.", exponential=True)
    for amount in (1.5, 2.0):
        counter.with_tags({"route": "/é", "http.method": "GET"}).inc(amount)
    counter.inc(7.0)
    gauge.set(-3.5, a="")
    for value in OBSERVED:
        took.record(value, route="/")
        size.observe(value, route="/")
    up_down = tm.FamilySnapshot(
        "in.flight", "gauge", "Now.", "", tm.SumData((tm.TagSet(a="b"),), (time.time(),), (4.0,), False)
    )
    snapshot = registry.snapshot()
    otlp = OTLP(f"http://127.0.0.1:{received.port}", temporality=temporality)
    told = tm.Snapshot((*snapshot.families, up_down), snapshot.time)
    otlp.send(list(otlp.encode(told, 0.0)), Deadline(10, time.monotonic))
    otlp.close()
    return received.metrics(last=1)


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_the_messages_are_those_of_the_sdk(received: Received, temporality: Any) -> None:
    theirs = by_sdk(received, DELTAS if temporality == "delta" else {})
    ours = by_us(received, temporality)
    assert ours.keys() == theirs.keys()
    for name, metric in ours.items():
        told, expected = comparable(metric), comparable(theirs[name])
        if temporality == "delta":  # we leave out the extremes of differences
            for point in expected["points"].values():
                point["min"] = point["max"] = None
        assert told == expected, name


def test_the_exponential_buckets_hold_what_those_of_the_sdk_hold(received: Received) -> None:
    """Both have 160 buckets at most; the SDK begins at scale 20, so the scale is the same."""
    (theirs,) = by_sdk(received, {})["size"].exponential_histogram.data_points
    (ours,) = by_us(received, "cumulative")["size"].exponential_histogram.data_points
    assert (ours.scale, ours.positive.offset) == (theirs.scale, theirs.positive.offset)
    told, expected = list(ours.positive.bucket_counts), list(theirs.positive.bucket_counts)
    assert told == expected[: len(told)]
    assert not any(expected[len(told) :])  # it sends all 160


def comparable(metric: Any) -> dict[str, Any]:
    """Return all of a metric but its times, and the exemplars, of which the SDK takes samples."""
    data = getattr(metric, metric.WhichOneof("data"))
    points = {}
    for point in data.data_points:
        assert point.time_unix_nano >= point.start_time_unix_nano
        is_number = hasattr(point, "as_double")
        points[frozenset(attributes_of(point.attributes).items())] = {
            "value": point.as_double if is_number else (point.count, point.sum),
            "min": None if is_number or not point.HasField("min") else point.min,
            "max": None if is_number or not point.HasField("max") else point.max,
            "buckets": list(getattr(point, "bucket_counts", ())),
            "bounds": list(getattr(point, "explicit_bounds", ())),
            "zeros": getattr(point, "zero_count", 0),
            "starts": point.start_time_unix_nano > 0,
        }
    return {
        "kind": metric.WhichOneof("data"), "unit": metric.unit, "description": metric.description, "points": points,
        "temporality": getattr(data, "aggregation_temporality", None), "monotonic": getattr(data, "is_monotonic", None),
    }  # fmt: skip
