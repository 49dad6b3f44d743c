"""What a collector is: an object that a registry asks for families when it is read; and how to make such families."""

from __future__ import annotations

from itertools import pairwise
from math import inf, isfinite
from typing import TYPE_CHECKING, Protocol

from tallymark.engine import TagSet
from tallymark.engine.exponential_snapshot import ExponentialSnapshot
from tallymark.engine.histogram_snapshot import HistogramSnapshot
from tallymark.engine.number import to_float
from tallymark.metric.data import (
    ExponentialHistogramData,
    GaugeData,
    HistogramData,
    InfoData,
    StateSetData,
    SumData,
    SummaryData,
)
from tallymark.metric.snapshot import FamilySnapshot
from tallymark.metric.validation import check_name, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Literal

    from tallymark.engine.exponential import Buckets
    from tallymark.metric.data import Data

    Kind = Literal["counter", "gauge", "histogram", "timer", "summary", "info", "stateset"]

__all__ = ["Collector", "family"]

_SCALES = range(-10, 21)
"""Those that OpenTelemetry's SDKs have, and so do ours."""


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
            timer a `HistogramSnapshot`, all with the same bounds or all of exponential buckets; that of a summary a pair of
            count and sum. A series of a stateset has a tag `state`.
        description: what the metric counts or measures.
        unit: of the values; of a timer always `"seconds"`.

    Raises:
        TypeError: an argument or a value is of the wrong type.
        ValueError: there is no such kind, the name is not valid, two series have the same tags, or a value is not valid: a
            negative total, bounds that differ. `TagError` where it is about tags.
    """
    check_name(text("name", name))
    pairs = [(tags if type(tags) is TagSet else TagSet(tags), value) for tags, value in series]
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


def _histograms(name: str, tags: Sequence[TagSet], values: Sequence[Any]) -> HistogramData | ExponentialHistogramData:
    if values and all(isinstance(value, ExponentialSnapshot) for value in values):
        return _exponentials(name, tags, values)
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


def _exponentials(name: str, tags: Sequence[TagSet], values: Sequence[ExponentialSnapshot]) -> ExponentialHistogramData:
    scales = tuple([value.scale for value in values])
    if not all(type(scale) is int and scale in _SCALES for scale in scales):
        raise ValueError(f"metric {name!r}: scales are from {_SCALES[0]} to {_SCALES[-1]}, which one of {scales[:5]!r} is not")
    zeros = tuple([_count(name, value.zero_count) for value in values])
    positives, negatives = (
        tuple([_buckets(name, getattr(value, side)) for value in values]) for side in ("positives", "negatives")
    )
    sums, mins, maxs = (_floats(name, [getattr(value, column) for value in values]) for column in ("sum", "min", "max"))
    return ExponentialHistogramData(tags, (0.0,) * len(tags), scales, zeros, positives, negatives, sums, mins, maxs)


def _buckets(name: str, side: Any) -> Buckets:
    first, counts = side
    if not isinstance(first, int) or abs(first) >= 2**31:
        raise ValueError(f"metric {name!r}: the index of a bucket is an int of 32 bits, not {first!r}")
    return int(first), tuple([_count(name, count) for count in counts])


def _floats(name: str, values: Iterable[Any]) -> tuple[float, ...]:
    try:
        return tuple(map(to_float, values))
    except OverflowError:
        raise ValueError(f"metric {name!r}: a number is too large for a double") from None


def _count(name: str, count: Any) -> int:
    if not isinstance(count, int) or count < 0:
        raise ValueError(f"metric {name!r}: a count is an int from 0, not {count!r}")
    if count >= 2**64:
        raise ValueError(f"metric {name!r}: a count takes at most 64 bits, and one takes {count.bit_length()}")
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
