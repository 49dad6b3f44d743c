"""Collectors: objects that a registry asks for families when it is read; and how to make such families."""

from __future__ import annotations

from itertools import pairwise
from math import inf, isfinite
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from tallymark.engine import TagSet
from tallymark.engine.histogram_snapshot import HistogramSnapshot
from tallymark.engine.lock import slow_path
from tallymark.engine.number import to_float
from tallymark.metric.data import (
    DATA_TYPES,
    ExponentialHistogramData,
    GaugeData,
    HistogramData,
    InfoData,
    StateSetData,
    SumData,
    SummaryData,
)
from tallymark.metric.rejections import Rejections, failure_text
from tallymark.metric.snapshot import FamilySnapshot
from tallymark.metric.validation import check_name, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, Literal

    from tallymark.metric.data import Data

    Kind = Literal["counter", "gauge", "histogram", "timer", "summary", "info", "stateset"]

__all__ = ["Collector", "Collectors", "family"]

SLOW = 1.0
"""Seconds from which a collector counts as slow. Prometheus gives up a scrape after 10 by default."""


class Collector(Protocol):
    """What a registry asks for families when it is read: any object with this method."""

    def collect(self) -> Iterable[FamilySnapshot]:
        """Return the present families."""


def family(
    kind: Kind,
    name: str,
    series: Iterable[tuple[Mapping[str, object], Any]],
    *,
    description: str = "",
    unit: str = "",
) -> FamilySnapshot:
    """Return a family made by hand, for a collector to return: `tm.family("gauge", "pool_size", [({"pool": "a"}, 4)])`.

    Args:
        kind: what the values mean.
        name: as of any metric.
        series: pairs of tags and value. The value of a counter, gauge, info or stateset is a number; that of a histogram or
            timer a `HistogramSnapshot`, all with the same bounds; that of a summary a pair of count and sum. A series of a
            stateset has a tag `state`.
        description: what the metric counts or measures.
        unit: of the values; of a timer always `"seconds"`.

    Raises:
        TypeError: an argument or a value is of the wrong type.
        ValueError: there is no such kind, the name is not valid, two series have the same tags, or a value is not valid: a
            negative total, bounds that differ. `TagError` where it is about tags.
    """
    check_name(text("name", name))
    pairs = [(TagSet(tags), value) for tags, value in series]
    tags = tuple([one for one, _ in pairs])
    if len(set(tags)) < len(tags):
        raise ValueError(f"metric {name!r}: two series have the same tags")
    make = _MAKERS.get(kind)
    if make is None:
        raise ValueError(f"metric {name!r}: there is no kind {kind!r}; there are {', '.join(map(repr, _MAKERS))}")
    data = make(name, tags, [value for _, value in pairs])
    unit = "seconds" if kind == "timer" else text("unit", unit)
    return FamilySnapshot(name, kind, text("description", description), unit, data)


def _totals(name: str, tags: Sequence[TagSet], values: Sequence[Any]) -> SumData:
    totals = _floats(name, values)
    if not all(0.0 <= total < inf for total in totals):
        raise ValueError(f"metric {name!r}: a counter's total is a finite number from 0, which one of {totals[:5]!r} is not")
    return SumData(tags, (0.0,) * len(tags), totals, True)


def _gauges(name: str, tags: Sequence[TagSet], values: Sequence[Any]) -> GaugeData:
    return GaugeData(tags, (0.0,) * len(tags), _floats(name, values))


def _facts(name: str, tags: Sequence[TagSet], values: Sequence[Any]) -> InfoData:
    if not set(_floats(name, values)) <= {1.0}:
        raise ValueError(f"metric {name!r}: the value of an info is always 1")
    return InfoData(tags, (0.0,) * len(tags))


def _states(name: str, tags: Sequence[TagSet], values: Sequence[Any]) -> StateSetData:
    states = _floats(name, values)
    if any("state" not in one for one in tags) or not set(states) <= {0.0, 1.0}:
        raise ValueError(f"metric {name!r}: each series of a stateset has a tag 'state', and the value 0 or 1")
    return StateSetData(tags, (0.0,) * len(tags), states)


def _summaries(name: str, tags: Sequence[TagSet], values: Sequence[Any]) -> SummaryData:
    counts = tuple([_count(name, count) for count, _ in values])
    return SummaryData(tags, (0.0,) * len(tags), counts, _floats(name, [total for _, total in values]))


def _histograms(name: str, tags: Sequence[TagSet], values: Sequence[Any]) -> HistogramData:
    for value in values:
        if not isinstance(value, HistogramSnapshot):
            raise TypeError(f"metric {name!r}: a histogram's value is a HistogramSnapshot, not {type(value).__name__}")
    bounds = _bounds(name, values[0].bounds) if values else ()
    counts = [tuple([_count(name, count) for count in value.bucket_counts]) for value in values]
    for value, row in zip(values, counts, strict=True):
        if _bounds(name, value.bounds) != bounds or len(row) != len(bounds) + 1:
            raise ValueError(f"metric {name!r}: all series have the same bounds, and one bucket more than bounds")
    sums, mins, maxs = (_floats(name, [getattr(value, column) for value in values]) for column in ("sum", "min", "max"))
    return HistogramData(tags, (0.0,) * len(tags), bounds, tuple(counts), sums, mins, maxs)


def _floats(name: str, values: Iterable[Any]) -> tuple[float, ...]:
    try:
        return tuple(map(to_float, values))
    except OverflowError:
        raise ValueError(f"metric {name!r}: a number is too large for a double") from None


def _count(name: str, count: Any) -> int:
    if not isinstance(count, int) or count < 0:
        raise ValueError(f"metric {name!r}: a count is an int from 0, not {count!r}")
    return int(count)


def _bounds(name: str, bounds: Iterable[Any]) -> tuple[float, ...]:
    found = _floats(name, bounds)
    if not all(a < b for a, b in pairwise(found)) or not all(map(isfinite, found)):
        raise ValueError(f"metric {name!r}: bounds ascend and are finite, which {found!r} are not")
    return found


_MAKERS: dict[str, Callable[[str, Sequence[TagSet], Sequence[Any]], Data]] = {
    "counter": _totals,
    "gauge": _gauges,
    "histogram": _histograms,
    "timer": _histograms,
    "summary": _summaries,
    "info": _facts,
    "stateset": _states,
}


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
            families = [_checked(one, self._tags) for one in collector.collect()]
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
    if isinstance(given.data, ExponentialHistogramData):
        raise TypeError("an exponential histogram cannot be made by hand")
    values = [_value_of(given.data, row) for row in range(len(given))]
    pairs = [({**common, **tags}, value) for tags, value in zip(given.data.tags, values, strict=True)]
    kind: Any = given.kind
    return family(kind, given.name, pairs, description=given.description, unit=given.unit)


def _value_of(data: Data, row: int) -> object:
    match data:
        case SummaryData():
            return data.counts[row], data.sums[row]
        case HistogramData() | ExponentialHistogramData():
            return data.row(row)
        case _:
            return data.values[row]
