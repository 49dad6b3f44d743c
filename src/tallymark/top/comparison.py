"""What keeps two readings of a histogram from being compared as they are, and how they are made alike.

A page tells how many observations were at most each bound. Its bounds may be others the next time: exponential buckets move
with the data. And it is written while counts go on: one bucket may be older than the one below it.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from tallymark.frozen import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tallymark.metric.data import HistogramData

__all__ = ["coarsened", "levelled"]


def coarsened(data: HistogramData, bounds: tuple[float, ...]) -> HistogramData:
    """Return the same observations in fewer buckets, with some of the bounds that `data` has."""
    if bounds == data.bounds:
        return data
    kept = set(bounds)
    places = [*[place for place, bound in enumerate(data.bounds) if bound in kept], len(data.bounds)]
    rows = [list(accumulate(counts)) for counts in data.bucket_counts]
    counts = tuple([_apart([upto[place] for place in places]) for upto in rows])
    return replace(data, bounds=bounds, bucket_counts=counts, exemplars=())


def levelled(before: HistogramData, now: HistogramData) -> HistogramData:
    """Return `before`, with so many observations in each bucket that none has fewer `now`; both have the same bounds.

    A series that has fewer observations now than before was reset: it stays as it is.
    """
    later = dict(zip(zip(now.tags, now.created, strict=True), now.bucket_counts, strict=True))
    series = zip(before.tags, before.created, strict=True)
    counts = [_level(row, later.get(one)) for one, row in zip(series, before.bucket_counts, strict=True)]
    return replace(before, bucket_counts=tuple(counts))


def _level(then: Sequence[int], now: Sequence[int] | None) -> Sequence[int]:
    if now is None or all(map(int.__le__, then, now)):
        return then
    added = [late - early for early, late in zip(accumulate(then), accumulate(now), strict=True)]
    if added[-1] < 0:
        return then
    growing = [min(upto, added[-1]) for upto in accumulate([0, *added], max)][1:]
    return tuple([late - more for late, more in zip(now, _apart(growing), strict=True)])


def _apart(cumulative: Iterable[int]) -> tuple[int, ...]:
    """Return the observations in each bucket."""
    return tuple([upper - lower for lower, upper in pairwise([0, *cumulative])])
