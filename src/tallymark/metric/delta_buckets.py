"""What was observed between two snapshots of a family with buckets."""

from __future__ import annotations

from math import inf, nan
from operator import sub

from tallymark.engine import difference
from tallymark.engine.exponential import NO_BUCKETS, rescaled, upper_bound
from tallymark.frozen import replace
from tallymark.metric.matching import Matching
from tallymark.metric.portions import portions
from tallymark.metric.subtraction import minus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeAlias

    from tallymark.engine.exponential import Buckets
    from tallymark.metric.data import Exemplars, ExponentialHistogramData, HistogramData

    Distribution: TypeAlias = HistogramData | ExponentialHistogramData

    Row: TypeAlias = tuple[tuple[int, ...], float, float, float]
    """Counts of the buckets, sum, smallest and largest observation."""
    ExponentialRow: TypeAlias = tuple[int, int, Buckets, Buckets, float, float, float]
    """Scale, observations that are 0, buckets above and below; sum, smallest and largest observation."""

__all__ = ["exponential_histograms", "histograms"]

_BOUNDED = ("bucket_counts", "sums", "mins", "maxs")
_EXPONENTIAL = ("scales", "zero_counts", "positives", "negatives", "sums", "mins", "maxs")


def histograms(before: HistogramData, after: HistogramData) -> HistogramData:
    """Return what was observed between two readings of a histogram; both have the same bounds."""
    found = difference(_read(before, _BOUNDED), _read(after, _BOUNDED), after.bounds) or _histograms(before, after)
    return replace(after, exemplars=_new_exemplars(before, after), **dict(zip(_BOUNDED, found, strict=True)))


def _read(data: Distribution, names: tuple[str, ...]) -> tuple[Sequence[Any], ...]:
    return data.tags, data.created, *[getattr(data, name) for name in names]


def _new_exemplars(before: Distribution, after: Distribution) -> Exemplars:
    return Matching(before, after).new_exemplars(before.exemplars, after.exemplars) if after.exemplars else ()


def _histograms(before: HistogramData, after: HistogramData) -> tuple[Sequence[Any], ...]:
    matching, edges = Matching(before, after), (-inf, *after.bounds, inf)
    found: list[Row] = []
    for rows in portions(len(after.tags)):
        counts = matching.earlier(before.bucket_counts, rows, ())
        sums = matching.earlier(before.sums, rows, 0.0)
        whole = zip(after.bucket_counts[rows], after.sums[rows], after.mins[rows], after.maxs[rows], strict=True)
        found += [_observed(then, total, one, edges) for then, total, one in zip(counts, sums, whole, strict=True)]  # type: ignore[arg-type]
    return tuple(zip(*found, strict=True)) if found else ((), (), (), ())


def _observed(then: tuple[int, ...], total: float, whole: Row, edges: tuple[float, ...]) -> Row:
    now, total_now, least, most = whole
    if now == then:
        return (0,) * len(now), 0.0, nan, nan
    if not then:
        return whole
    counts = tuple(map(sub, now, then))
    if min(counts) < 0:
        return whole
    changed = [bucket for bucket, count in enumerate(counts) if count]
    return counts, minus(total_now, total), max(edges[changed[0]], least), min(edges[changed[-1] + 1], most)


def exponential_histograms(before: ExponentialHistogramData, after: ExponentialHistogramData) -> ExponentialHistogramData:
    """Return what was observed between two readings of a histogram with exponential buckets."""
    found = difference(_read(before, _EXPONENTIAL), _read(after, _EXPONENTIAL), ()) or _exponential_histograms(before, after)
    return replace(after, exemplars=_new_exemplars(before, after), **dict(zip(_EXPONENTIAL, found, strict=True)))


def _exponential_histograms(before: Distribution, after: Distribution) -> tuple[Sequence[Any], ...]:
    matching = Matching(before, after)
    found: list[ExponentialRow] = []
    for rows in portions(len(after.tags), 64):
        then = zip(*[matching.earlier(getattr(before, name), rows, None) for name in _EXPONENTIAL], strict=True)
        now = zip(*[getattr(after, name)[rows] for name in _EXPONENTIAL], strict=True)
        found += [_observed_between(early, late) for early, late in zip(then, now, strict=True)]
    return tuple(zip(*found, strict=True)) if found else tuple([()] * len(_EXPONENTIAL))


def _observed_between(then: ExponentialRow, whole: ExponentialRow) -> ExponentialRow:
    scale, zeros, positives, negatives, total, least, most = whole
    if then[0] is None or then[0] < scale:  # it was not there, or has begun anew
        return whole
    above, below = _added(then[2], positives, then[0] - scale), _added(then[3], negatives, then[0] - scale)
    zeros -= then[1]
    if above is None or below is None or zeros < 0:
        return whole
    if not (zeros or above[1] or below[1]):
        return scale, 0, NO_BUCKETS, NO_BUCKETS, 0.0, nan, nan
    lower, upper = _edges(scale, zeros, above, below)
    return scale, zeros, above, below, minus(total, then[4]), max(lower, least), min(upper, most)


def _added(then: Buckets, now: Buckets, by: int) -> Buckets | None:
    """Return what was added to buckets that became coarser `by` so many steps, without empty ones at the ends; None if they
    have lost some."""
    if now == then and not by:
        return NO_BUCKETS
    start, early = rescaled(then, by)
    first, late = now
    counts = list(late)
    for place, count in enumerate(early, start - first):
        if not count:
            continue
        if not 0 <= place < len(counts) or counts[place] < count:
            return None
        counts[place] -= count
    changed = [place for place, count in enumerate(counts) if count]
    return (first + changed[0], tuple(counts[changed[0] : changed[-1] + 1])) if changed else NO_BUCKETS


def _edges(scale: int, zeros: int, above: Buckets, below: Buckets) -> tuple[float, float]:
    """Return the lower edge of the lowest bucket, and the upper edge of the highest one; some bucket is not empty."""
    lowest, highest = [], []
    if below[1]:
        lowest.append(-upper_bound(scale, below[0] + len(below[1]) - 1))
        highest.append(-upper_bound(scale, below[0] - 1))
    if zeros:
        lowest.append(0.0)
        highest.append(0.0)
    if above[1]:
        lowest.append(upper_bound(scale, above[0] - 1))
        highest.append(upper_bound(scale, above[0] + len(above[1]) - 1))
    return lowest[0], highest[-1]
