"""`Collectors`: the collectors of a registry, and what it checks of the families that they return."""

from __future__ import annotations

from math import inf, isfinite
from time import monotonic
from typing import TYPE_CHECKING, Any

from tallymark.engine.exemplar import Exemplar
from tallymark.engine.lock import slow_path
from tallymark.frozen import replace
from tallymark.metric.collector import Collector, family
from tallymark.metric.data import (
    DATA_TYPES,
    ExponentialHistogramData,
    GaugeData,
    HistogramData,
    StateSetData,
    SumData,
    SummaryData,
)
from tallymark.metric.rejections import Rejections, failure_text
from tallymark.metric.snapshot import FamilySnapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tallymark.engine import TagSet
    from tallymark.metric.data import Data

__all__ = ["Collectors"]

SLOW = 1.0
"""Seconds from which a collector counts as slow. Prometheus gives up a scrape after 10 by default."""


class Collectors:
    """The collectors of one registry. One that fails loses its own families, and nothing else."""

    __slots__ = ("_collectors", "_rejections", "_tags")

    def __init__(self, rejections: Rejections, tags: TagSet) -> None:
        self._collectors: list[Collector] = []
        self._rejections = rejections
        self._tags = tags

    def add(self, collector: Collector) -> None:
        """Add a collector; it replaces one that is equal to it."""
        if not callable(getattr(collector, "collect", None)):
            raise TypeError(f"a collector must have a method collect(), which a {type(collector).__name__} does not")
        while True:
            before = self._collectors
            kept = [collector if one == collector else one for one in before]
            if self._replace(before, kept if any(one is collector for one in kept) else [*kept, collector]):
                return

    def remove(self, collector: object) -> bool:
        """Remove a collector; return True if it was there."""
        while True:
            before = self._collectors
            left = [one for one in before if one != collector]
            if self._replace(before, left):
                return len(left) < len(before)

    def _replace(self, before: list[Collector], after: list[Collector]) -> bool:
        """Replace the list, unless another thread did meanwhile. No lock is held while collectors are compared."""
        with slow_path():
            if self._collectors is not before:
                return False
            self._collectors = after
            return True

    def clear(self) -> None:
        """Remove all collectors."""
        self._collectors = []

    def families(self, taken: Iterable[str]) -> Iterator[FamilySnapshot]:
        """Yield the families of all collectors, except those whose name is taken already."""
        names = set(taken)
        for collector in self._collectors:
            for one in self._ask(collector):
                if one.name in names:
                    self._rejections.reject(one.name, "name_taken", lambda: "a collector returned it, but its name is taken")
                    continue
                names.add(one.name)
                yield one

    def _ask(self, collector: Collector) -> list[FamilySnapshot]:
        """Return a collector's families, all of them or, where it fails, none."""
        name = _name_of(collector)
        start = monotonic()
        try:
            families = self._families(collector)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a collector's sys.exit() or CancelledError is not the end of a scrape
            failure = failure_text(error)
            self._rejections.reject(name, "collector", lambda: f"the collector failed: {failure}")
            return []
        took = monotonic() - start
        if took > SLOW:
            self._rejections.note(name, "slow_collector", lambda: f"the collector took {took:.1f} s, and scrapes wait for it")
        return families

    def _families(self, collector: Any) -> list[FamilySnapshot]:
        """Ask a collector. One that speaks for many others has a method that is told how to reject what one of them spoils."""
        collect = getattr(collector, "collect_or_reject", None)
        if collect is None:
            return [_checked(one, self._tags) for one in collector.collect()]
        given: Iterable[FamilySnapshot] = collect(self._rejections.reject)
        return [one for one in map(self._checked_or_rejected, given) if one is not None]

    def _checked_or_rejected(self, given: FamilySnapshot) -> FamilySnapshot | None:
        try:
            return _checked(given, self._tags)
        except Exception as error:
            failure = failure_text(error)
            self._rejections.reject(given.name, "collector", lambda: f"a collector returned it: {failure}")
            return None


def _name_of(collector: Collector) -> str:
    try:
        name: object = getattr(collector, "name", "")
    except KeyboardInterrupt:
        raise
    except BaseException:  # it may be a property, and fail as collect() may
        name = ""
    return name if type(name) is str and name else type(collector).__name__


def _checked(given: FamilySnapshot, common: TagSet) -> FamilySnapshot:
    """Return a family with every part checked, whoever made it, and with the tags that all series have."""
    if not isinstance(given, FamilySnapshot) or type(given.data) not in DATA_TYPES:
        raise TypeError(f"collect() returns families, which tm.family() makes, not {type(given).__name__}")
    values = [_value_of(given.data, row) for row in range(len(given))]
    pairs = [({**common, **tags} if common else tags, value) for tags, value in zip(given.data.tags, values, strict=True)]
    kind: Any = given.kind
    if isinstance(given.data, StateSetData) and given.data.key != "state":
        kind = "gauge"
    made = family(kind, given.name, pairs, description=given.description, unit=given.unit)
    return replace(made, kind=given.kind, data=_completed(made.data, given.data))


def _value_of(data: Data, row: int) -> object:
    match data:
        case SummaryData():
            return data.counts[row], data.sums[row]
        case HistogramData() | ExponentialHistogramData():
            return data.row(row)
        case _:
            return data.values[row]


def _completed(made: Data, given: Data) -> Data:
    """Return data with what `tm.family` cannot be told: when series were created, exemplars, quantiles."""
    changes: dict[str, Any] = {"created": _times(given)}
    match made, given:
        case GaugeData(), SumData(monotonic=False):
            return SumData(made.tags, changes["created"], made.values, False)
        case GaugeData(), StateSetData():
            return StateSetData(made.tags, changes["created"], made.values, given.key)
        case SummaryData(), SummaryData():
            changes["quantiles"] = _quantiles(given.quantiles, len(made.tags))
        case (
            (SumData() | HistogramData() | ExponentialHistogramData()),
            (SumData() | HistogramData() | ExponentialHistogramData()),
        ):
            changes["exemplars"] = _exemplars(given.exemplars, len(made.tags))
    return replace(made, **changes)


def _times(given: Data) -> tuple[float, ...]:
    times = tuple([float(time) for time in given.created])
    if len(times) != len(given.tags):
        raise ValueError(f"{len(given.tags)} series have {len(times)} times of creation")
    return tuple([time if 0.0 < time < inf else 0.0 for time in times])


def _exemplars(given: Sequence[Sequence[Exemplar]], rows: int) -> tuple[tuple[Exemplar, ...], ...]:
    found = tuple(map(tuple, given))
    if found and len(found) != rows:
        raise ValueError(f"{rows} series have exemplars for {len(found)}")
    return tuple([tuple(map(_exemplar, some)) for some in found])


def _exemplar(given: Exemplar) -> Exemplar:
    if not isinstance(given, Exemplar) or not isfinite(given.value):
        raise TypeError(f"{given!r} is no exemplar")
    if not isinstance(given.labels, tuple) or not all(isinstance(one, str) for pair in given.labels for one in pair):
        raise TypeError(f"the labels of an exemplar are pairs of texts, not {given.labels!r}")
    return Exemplar(tuple([(name, value) for name, value in given.labels]), float(given.value), float(given.time))


def _quantiles(given: Sequence[Sequence[tuple[float, float]]], rows: int) -> tuple[tuple[tuple[float, float], ...], ...]:
    found = tuple([tuple([(float(quantile), float(value)) for quantile, value in some]) for some in given])
    if found and len(found) != rows:
        raise ValueError(f"{rows} series have quantiles for {len(found)}")
    if not all(0.0 <= quantile <= 1.0 for some in found for quantile, _ in some):
        raise ValueError("a quantile is from 0 to 1")
    if any(len(dict(some)) < len(some) for some in found):
        raise ValueError("a series has one quantile twice")
    return found
