"""What bridges show, in the reports of all backends: with quantiles, states under another key, exemplars without a time."""

from __future__ import annotations

from typing import Any

import prometheus_client as theirs
import pytest
from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.samples import Exemplar

import tallymark as tm
from tallymark.check.formats import lines_of
from tallymark.configuration.backend_url import backend_of

BACKENDS = [
    "statsd://h", "dogstatsd://h", "graphite://h:2003", "influxdb+http://h?database=x", "otlp+http://h",
    "otlp+http://h?temporality=delta", "remote-write+http://h/w", "pushgateway+http://h?job=x", "textfile:///x.prom", "jsonl:-",
]  # fmt: skip


class Custom:
    def collect(self) -> list[Any]:
        summary = Metric("rpc", "With quantiles.", "summary")
        summary.add_sample("rpc", {"quantile": "0.5"}, 0.25)
        summary.add_sample("rpc_count", {}, 4)
        summary.add_sample("rpc_sum", {}, 2.5)
        histogram = Metric("sizes", "With an exemplar without a time.", "histogram")
        for bound, count in (("1.0", 1), ("+Inf", 2)):
            exemplar = Exemplar({"trace_id": "0" * 31 + "1"}, 0.5) if bound == "1.0" else None
            histogram.add_sample("sizes_bucket", {"le": bound}, count, exemplar=exemplar)
        histogram.add_sample("sizes_sum", {}, 9)
        histogram.add_sample("sizes_count", {}, 2)
        gauges = Metric("waiting", "A gauge histogram.", "gaugehistogram")
        gauges.add_sample("waiting_bucket", {"le": "+Inf"}, 5)
        gauges.add_sample("waiting_gcount", {}, 5)
        return [summary, histogram, gauges]


@pytest.mark.parametrize("url", BACKENDS)
def test_each_backend_reports_what_a_bridge_shows(engine: Any, url: str) -> None:
    other = CollectorRegistry()
    other.register(Custom())  # type: ignore[arg-type]
    theirs.Enum("task", "", states=["on", "off"], registry=other).state("off")
    theirs.Counter("hits", "", ["a"], registry=other).labels("b").inc(3, exemplar={"trace_id": "5"})
    with tm.Registry(engine=engine.name, self_metrics=False) as registry:
        registry.register(tm.bridges.from_prometheus_client(other))
        backend = backend_of(url).backend
        dropped: list[tuple[str, str]] = []
        backend.on_dropped = lambda metric, reason: dropped.append((metric, reason))
        lines = lines_of(backend, [part for part in backend.encode(registry.snapshot(), 0.0) if part])
    names = " ".join([line.name for line in lines])
    for name in ("rpc", "sizes", "waiting", "task", "hits"):
        assert name in names
    assert {reason for _, reason in dropped} <= {"name", "unsupported_value"}
