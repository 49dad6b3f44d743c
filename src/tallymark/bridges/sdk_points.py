"""Families of a snapshot as metrics of OpenTelemetry's SDK.

Source: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/ for infos and states, which are sums
that do not only go up.
"""

from __future__ import annotations

from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics._internal.exemplar import Exemplar as SDKExemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
)

from tallymark.export.otlp_units import ucum
from tallymark.metric.data import (
    ExponentialHistogramData,
    GaugeData,
    HistogramData,
    InfoData,
    StateSetData,
    SumData,
    SummaryData,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tallymark.engine.exemplar import Exemplar
    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import Snapshot

__all__ = ["metrics_of"]

_TOTALS = AggregationTemporality.CUMULATIVE


def metrics_of(snapshot: Snapshot) -> list[Metric]:
    """Return the metrics that have series."""
    now = _nanos(snapshot.time)
    return [
        Metric(family.name, family.description, ucum(family.unit), _data(family.data, now))
        for family in snapshot.families
        if len(family)
    ]


def _data(data: Data, now: int) -> Any:
    match data:
        case SumData():
            return Sum(_numbers(data, now, data.exemplars), _TOTALS, data.monotonic)
        case InfoData() | StateSetData():
            return Sum(_numbers(data, now), _TOTALS, False)
        case GaugeData():
            return Gauge(_numbers(data, now))
        case SummaryData():
            return Histogram(_summaries(data, now), _TOTALS)
        case HistogramData():
            return Histogram(_histograms(data, now), _TOTALS)
        case ExponentialHistogramData():
            return ExponentialHistogram(_exponentials(data, now), _TOTALS)


def _numbers(
    data: SumData | GaugeData | InfoData | StateSetData, now: int, exemplars: Sequence[Sequence[Exemplar]] = ()
) -> list[NumberDataPoint]:
    return [
        NumberDataPoint(dict(tags), _nanos(created), now, value, _exemplars(exemplars, row))
        for row, (tags, created, value) in enumerate(zip(data.tags, data.created, data.values, strict=True))
    ]


def _summaries(data: SummaryData, now: int) -> list[HistogramDataPoint]:
    """Return histograms of one bucket, which is what the SDK has for count and sum."""
    columns = zip(data.tags, data.created, data.counts, data.sums, strict=True)
    return [
        HistogramDataPoint(dict(tags), _nanos(created), now, count, total, [count], [], nan, nan)
        for tags, created, count, total in columns
    ]


def _histograms(data: HistogramData, now: int) -> list[HistogramDataPoint]:
    return [
        HistogramDataPoint(
            dict(tags), _nanos(data.created[row]), now, sum(data.bucket_counts[row]), data.sums[row],
            list(data.bucket_counts[row]), list(data.bounds), data.mins[row], data.maxs[row], _exemplars(data.exemplars, row),
        )
        for row, tags in enumerate(data.tags)
    ]  # fmt: skip


def _exponentials(data: ExponentialHistogramData, now: int) -> list[ExponentialHistogramDataPoint]:
    return [
        ExponentialHistogramDataPoint(
            dict(tags), _nanos(data.created[row]), now, data.row(row).count, data.sums[row], data.scales[row],
            data.zero_counts[row], _buckets(data.positives[row]), _buckets(data.negatives[row]), 0, data.mins[row],
            data.maxs[row], _exemplars(data.exemplars, row),
        )
        for row, tags in enumerate(data.tags)
    ]  # fmt: skip


def _buckets(side: tuple[int, Sequence[int]]) -> Buckets:
    first, counts = side
    return Buckets(first, list(counts))


def _exemplars(exemplars: Sequence[Sequence[Exemplar]], row: int) -> list[SDKExemplar]:
    return [_exemplar(one) for one in exemplars[row]] if exemplars else []


def _exemplar(ours: Exemplar) -> SDKExemplar:
    labels = dict(ours.labels)
    trace, span = _identifier(labels, "trace_id", 32), _identifier(labels, "span_id", 16)
    return SDKExemplar(labels, ours.value, _nanos(ours.time), span, trace)


def _identifier(labels: dict[str, str], name: str, digits: int) -> int | None:
    """Take an identifier out of the labels of an exemplar, where it is one of OpenTelemetry's."""
    text = labels.get(name, "")
    try:
        found = int(text, 16) if len(text) == digits else 0
    except ValueError:
        found = 0
    if not found:
        return None
    del labels[name]
    return found


def _nanos(seconds: float) -> int:
    return round(seconds * 1e9) if isfinite(seconds) and seconds > 0 else 0
