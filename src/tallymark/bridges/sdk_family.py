"""Metrics as OpenTelemetry's SDK has them, as families with the data types of snapshots."""

from __future__ import annotations

import json
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from tallymark.bridges.units import unit_of_sign
from tallymark.engine.exemplar import Exemplar
from tallymark.metric.data import ExponentialHistogramData, GaugeData, HistogramData, InfoData, SumData
from tallymark.metric.rejections import failure_text
from tallymark.metric.snapshot import FamilySnapshot
from tallymark.read.text import tags_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from tallymark.engine import TagSet
    from tallymark.engine.exponential import Buckets
    from tallymark.metric.data import Data

    Reject: TypeAlias = Callable[[str, str, Callable[[], str]], None]
    Row: TypeAlias = tuple[TagSet, Any]  # tags, and the SDK's data point
    Key: TypeAlias = tuple[str, str, str, tuple[float, ...]]  # name, kind, unit, bounds

__all__ = ["families_of"]

_NANO = 1e-9


def families_of(received: Any, reject: Reject, *, scopes: bool, target_info: bool) -> Iterator[FamilySnapshot]:
    """Yield families; of metrics with one name that several scopes measure, one. `reject` is told of those that fail.

    Args:
        received: what the SDK calls `MetricsData`.
        scopes: tag series with their scope.
        target_info: tell the attributes of the resource.
    """
    rows: dict[Key, list[Row]] = {}
    about: dict[Key, Any] = {}
    for resource in received.resource_metrics:
        if target_info and resource.resource.attributes:
            target = InfoData((_tags(resource.resource.attributes),), (0.0,))
            yield FamilySnapshot("target_info", "info", "Target metadata", "", target)
        for scope in resource.scope_metrics:
            more = _scope_tags(scope.scope) if scopes else {}
            for metric in scope.metrics:
                try:
                    for key, tags, point in _points(metric, more):
                        rows.setdefault(key, []).append((tags, point))
                        about.setdefault(key, metric)
                except Exception as error:
                    _reject(reject, metric, error)
    for key, some in rows.items():
        try:
            yield FamilySnapshot(key[0], key[1], about[key].description or "", key[2], _data(about[key].data, some))
        except Exception as error:
            _reject(reject, about[key], error)


def _reject(reject: Reject, metric: Any, error: Exception) -> None:
    failure = failure_text(error)
    reject(str(metric.name), "collector", lambda: f"the SDK's metric cannot be read: {failure}")


def _points(metric: Any, more: Mapping[str, str]) -> Iterator[tuple[Key, TagSet, Any]]:
    what = type(metric.data).__name__
    is_gauge = what == "Gauge" or not getattr(metric.data, "is_monotonic", True)
    unit = unit_of_sign(metric.unit or "", gauge=what == "Gauge")
    kind = "gauge" if is_gauge else "counter" if what == "Sum" else "timer" if unit == "seconds" else "histogram"
    for point in metric.data.data_points:
        bounds = tuple([float(bound) for bound in getattr(point, "explicit_bounds", ())])
        yield (metric.name, kind, unit, bounds), _tags({**(point.attributes or {}), **more}), point


def _data(told: Any, rows: Sequence[Row]) -> Data:
    tags, points = tuple([one for one, _ in rows]), [point for _, point in rows]
    created = tuple([(point.start_time_unix_nano or 0) * _NANO for point in points])
    noted = [tuple(map(_exemplar, point.exemplars)) for point in points]
    exemplars = tuple(noted) if any(noted) else ()
    match type(told).__name__:
        case "Gauge":
            return GaugeData(tags, created, tuple([float(point.value) for point in points]))
        case "Sum":
            values = tuple([float(point.value) for point in points])
            return SumData(tags, created, values, told.is_monotonic, exemplars if told.is_monotonic else ())
        case "Histogram":
            bounds = tuple([float(bound) for bound in points[0].explicit_bounds])
            counts = tuple([tuple(point.bucket_counts) for point in points])
            return HistogramData(tags, created, bounds, counts, *_extremes(points), exemplars)
        case "ExponentialHistogram":
            return ExponentialHistogramData(
                tags, created, tuple([point.scale for point in points]), tuple([point.zero_count for point in points]),
                tuple([_buckets(point.positive) for point in points]), tuple([_buckets(point.negative) for point in points]),
                *_extremes(points), exemplars,
            )  # fmt: skip
    raise TypeError(f"a {type(told).__name__} has no data type of ours")


def _extremes(points: Sequence[Any]) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Return sums, and the smallest and largest observations, which an SDK may have been told not to keep."""
    sums, mins, maxs = (tuple([float(getattr(point, name)) for point in points]) for name in ("sum", "min", "max"))
    return sums, tuple([one if isfinite(one) else nan for one in mins]), tuple([one if isfinite(one) else nan for one in maxs])


def _buckets(side: Any) -> Buckets:
    counts = tuple(side.bucket_counts)
    filled = [place for place, count in enumerate(counts) if count]
    return (side.offset + filled[0], counts[filled[0] : filled[-1] + 1]) if filled else (0, ())


def _scope_tags(scope: Any) -> dict[str, str]:
    tags = {"otel_scope_name": scope.name, "otel_scope_version": scope.version}
    return {key: value for key, value in tags.items() if value}


def _tags(attributes: Mapping[str, Any]) -> TagSet:
    """Return attributes as tags. What is no text is JSON, as OpenTelemetry's exporter for Prometheus has it."""
    return tags_of({key: one if isinstance(one, str) else json.dumps(one, default=str) for key, one in attributes.items()})


def _exemplar(theirs: Any) -> Exemplar:
    labels = {key: str(value) for key, value in (theirs.filtered_attributes or {}).items()}
    if theirs.trace_id:
        labels["trace_id"] = f"{theirs.trace_id:032x}"
    if theirs.span_id:
        labels["span_id"] = f"{theirs.span_id:016x}"
    return Exemplar(tuple(labels.items()), float(theirs.value), theirs.time_unix_nano * _NANO)
