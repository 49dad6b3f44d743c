"""`to_prometheus_client`: what a registry of ours holds, as a collector of prometheus_client."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from tallymark.bridges.extras import imported
from tallymark.bridges.underway import crossing, underway
from tallymark.export.escaping import UNDERSCORES
from tallymark.export.labels import Labels
from tallymark.export.openmetrics_types import typed
from tallymark.log import logger
from tallymark.metric import context
from tallymark.metric.data import (
    ExponentialHistogramData,
    HistogramData,
    InfoData,
    StateSetData,
    SumData,
    SummaryData,
)
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tallymark.engine.exemplar import Exemplar
    from tallymark.export.openmetrics_types import Typed

__all__ = ["ClientMetrics", "Describing", "to_prometheus_client"]

_LONGEST = 128
"""Characters of an exemplar's names and values together. Source: OpenMetrics 1.0, section "Exemplars"."""


def to_prometheus_client(registry: Registry | None = None, *, created: bool = False) -> ClientMetrics:
    """Return a collector that shows the metrics of a registry of ours at the endpoints of prometheus_client.

        prometheus_client.REGISTRY.register(tm.bridges.to_prometheus_client())

    They have the names that they have at our endpoint. Exponential histograms have classic buckets: the text formats of
    prometheus_client carry no others.

    Args:
        registry: whose metrics; by default the current registry at the time of this call.
        created: tell when each series was created, in samples `_created`.

    Raises:
        TypeError: `registry` is not a `Registry`.
        ImportError: prometheus_client is not installed.
    """
    registry = context.registry() if registry is None else registry
    check_type("registry", registry, Registry)
    return ClientMetrics(registry, created=created)


class Describing:
    """Under way while a registry of prometheus_client asks for names: it holds its lock, and must not be asked itself."""


class ClientMetrics:
    """Shows a registry of ours to prometheus_client; made by `to_prometheus_client`."""

    def __init__(self, registry: Registry, *, created: bool) -> None:
        core = imported("prometheus_client.core", "prometheus_client", "prometheus-client")
        self._metric, self._sample, self._exemplar = core.Metric, core.Sample, core.Exemplar
        self._registry = registry
        self._created = created
        self._logged = False

    def describe(self) -> list[Any]:
        """Return the metrics that there are now, without their samples: two collectors must not tell of the same one."""
        with crossing(Describing()):
            return [self._family(one) for one in self._typed()]

    def collect(self) -> Iterator[Any]:
        """Yield the metrics, as they are now."""
        if self._is_asked_by_ours():
            return
        labels = Labels(UNDERSCORES)
        for one in self._typed():
            metric = self._family(one)
            metric.samples = [self._sample(*sample) for sample in self._samples(one, labels)]
            yield metric

    def _typed(self) -> list[Typed]:
        with crossing(self):
            return typed(self._registry.snapshot().families, UNDERSCORES)

    def _family(self, one: Typed) -> Any:
        return self._metric(one.name, one.family.description, one.type, one.unit)

    def _is_asked_by_ours(self) -> bool:
        """Return True where our registry is being read, shows theirs, and asks us: it has its own metrics already."""
        if not underway() or not self._registry._reader().is_reading():
            return False
        if not self._logged:
            self._logged = True
            logger().info("a registry of ours and one of prometheus_client show each other: each metric is shown once")
        return True

    def _samples(self, one: Typed, labels: Labels) -> Iterator[tuple[Any, ...]]:
        name, data = one.name, one.family.data
        match data:
            case HistogramData() | ExponentialHistogramData():
                yield from self._histograms(name, data, labels)
            case SummaryData():
                yield from self._summaries(name, data, labels)
            case SumData() if one.type == "counter":
                yield from self._counters(name, data, labels)
            case StateSetData() if one.type == "stateset":
                yield from _states(name, data, labels)
            case SumData(monotonic=True):  # whose name is taken in OpenMetrics
                yield from [(name, found, sum(data.values[row] for row in rows)) for found, rows in _groups(data.tags, labels)]
            case _:
                ending = "_info" if isinstance(data, InfoData) and one.type == "info" else ""
                yield from [(name + ending, found, data.values[rows[-1]]) for found, rows in _groups(data.tags, labels)]

    def _counters(self, name: str, data: SumData, labels: Labels) -> Iterator[tuple[Any, ...]]:
        for found, rows in _groups(data.tags, labels):
            newest = max(_of_rows(data.exemplars, rows), key=lambda one: one.time, default=None)
            yield f"{name}_total", found, sum([data.values[row] for row in rows]), None, self._note(newest)
            yield from self._births(name, found, data.created, rows)

    def _summaries(self, name: str, data: SummaryData, labels: Labels) -> Iterator[tuple[Any, ...]]:
        for found, rows in _groups(data.tags, labels, "quantile"):
            if data.quantiles and len(rows) == 1:
                for quantile, value in data.quantiles[rows[0]]:
                    yield name, {**found, "quantile": repr(quantile)}, value
            yield f"{name}_count", found, sum([data.counts[row] for row in rows])
            yield f"{name}_sum", found, sum([data.sums[row] for row in rows])
            yield from self._births(name, found, data.created, rows)

    def _histograms(
        self, name: str, data: HistogramData | ExponentialHistogramData, labels: Labels
    ) -> Iterator[tuple[Any, ...]]:
        for found, rows in _groups(data.tags, labels, "le"):
            whole = data.row(*rows)
            ranked = sorted(_of_rows(data.exemplars, rows), key=lambda one: one.time)
            newest = {bisect_left(whole.bounds, one.value): one for one in ranked}
            edges = [*map(repr, whole.bounds), "+Inf"]
            for place, (edge, count) in enumerate(zip(edges, accumulate(whole.bucket_counts), strict=True)):
                yield f"{name}_bucket", {**found, "le": edge}, count, None, self._note(newest.get(place))
            if not whole.bounds or whole.bounds[0] >= 0:  # OpenMetrics forbids it for what may have buckets below 0
                yield f"{name}_count", found, whole.count
                yield f"{name}_sum", found, whole.sum
            yield from self._births(name, found, data.created, rows)

    def _births(
        self, name: str, found: dict[str, str], times: Sequence[float], rows: Iterable[int]
    ) -> Iterator[tuple[Any, ...]]:
        first = min([times[row] for row in rows if 0 < times[row] < inf], default=0.0) if self._created else 0.0
        if first:
            yield f"{name}_created", found, first

    def _note(self, exemplar: Exemplar | None) -> Any:
        if exemplar is None or sum([len(name) + len(value) for name, value in exemplar.labels]) > _LONGEST:
            return None
        return self._exemplar(dict(exemplar.labels), exemplar.value, exemplar.time if isfinite(exemplar.time) else None)


def _groups(tags: Iterable[Any], labels: Labels, reserved: str = "") -> Iterator[tuple[dict[str, str], list[int]]]:
    """Yield the labels of each series, and the rows that have them: tags that differ may become the same labels."""
    rows: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for row, one in enumerate(tags):
        rows.setdefault(tuple(_labels(one, labels, reserved).items()), []).append(row)
    return ((dict(pairs), some) for pairs, some in rows.items())


def _labels(tags: Any, labels: Labels, reserved: str) -> dict[str, str]:
    joined: dict[str, list[str]] = {}
    for key, value in tags.items():
        name = labels.name(key)
        joined.setdefault(f"exported_{name}" if name == reserved else name, []).append(value)
    return {name: ";".join(joined[name]) for name in sorted(joined) if any(joined[name])}


def _states(name: str, data: StateSetData, labels: Labels) -> Iterator[tuple[Any, ...]]:
    for tags, value in zip(data.tags, data.values, strict=True):
        if data.key in tags:
            others = {key: tags[key] for key in tags if key != data.key}
            yield name, {**_labels(others, labels, name), name: tags[data.key]}, value


def _of_rows(exemplars: Sequence[Sequence[Exemplar]], rows: Iterable[int]) -> list[Exemplar]:
    return [exemplar for row in rows for exemplar in exemplars[row]] if exemplars else []
