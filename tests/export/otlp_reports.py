"""Reading reports of OTLP with the official messages."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

import tallymark as tm
from tallymark.export.otlp import parts, request


def decoded(*families: tm.FamilySnapshot, time: float = 1_700_000_010.0, **options: Any) -> list[Any]:
    """Return the metrics of a report."""
    message = ExportMetricsServiceRequest.FromString(request(list(parts(tm.Snapshot(families, time), **options)), {}, "1"))
    return [metric for one in message.resource_metrics for scope in one.scope_metrics for metric in scope.metrics]


def points(*families: tm.FamilySnapshot, **options: Any) -> list[Any]:
    """Return the points of the only metric of a report."""
    (metric,) = decoded(*families, **options)
    return list(getattr(metric, metric.WhichOneof("data")).data_points)


def family(data: Any, kind: str = "counter", name: str = "n", description: str = "", unit: str = "") -> tm.FamilySnapshot:
    return tm.FamilySnapshot(name, kind, description, unit, data)


def tags(*sets: dict[str, str]) -> tuple[tm.TagSet, ...]:
    return tuple([tm.TagSet(each) for each in sets])


def attributes(pairs: Any) -> dict[str, str]:
    """Return attributes whose values are texts; no key may come twice."""
    assert {pair.value.WhichOneof("value") for pair in pairs} <= {"string_value"}
    found = {pair.key: pair.value.string_value for pair in pairs}
    assert len(found) == len(pairs)
    return found


def increase(before: tm.Snapshot, after: tm.Snapshot) -> tm.Snapshot:
    """Return what a reporter of differences has: what was added to counters, distributions and summaries; all else as it is."""
    added = {one.name: one for one in tm.delta(before, after).families}
    kept = [
        added[one.name] if isinstance(one.data, ADDED) and getattr(one.data, "monotonic", True) else one
        for one in after.families
    ]
    return tm.Snapshot(tuple(kept), after.time)


ADDED = tm.SumData, tm.HistogramData, tm.ExponentialHistogramData, tm.SummaryData
