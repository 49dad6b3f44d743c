"""What changed between two snapshots of one registry."""

from __future__ import annotations

from math import inf, nan

from tallymark.engine.exponential import as_counts, rescaled
from tallymark.engine.histogram_snapshot import HistogramSnapshot
from tallymark.frozen import replace
from tallymark.metric.data import (
    ExponentialHistogramData,
    GaugeData,
    HistogramData,
    SumData,
    SummaryData,
)
from tallymark.metric.snapshot import Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeVar

    from tallymark.engine.exemplar import Exemplar
    from tallymark.engine.exponential import Buckets
    from tallymark.engine.exponential_snapshot import ExponentialSnapshot
    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import FamilySnapshot

    N = TypeVar("N", int, float)

__all__ = ["delta"]


def delta(before: Snapshot, after: Snapshot) -> Snapshot:
    """Return `after` less `before`: what was recorded between the two. Pure: it reads no clock.

    Counters, histograms, timers and summaries tell what was added. Gauges tell how far they moved; infos and states are as in
    `after`. A series that is gone is left out; one that was removed and came back has started from nothing, and so has a total
    that a callback or collector tells and that is less than it was. Of a distribution, `min` and `max` are exact where they are
    new, and else the edges of the outermost buckets that changed. Exponential buckets have the scale that they have in `after`.
    Exemplars are those that are new.
    """
    earlier = {family.name: family for family in before.families}
    return Snapshot(tuple([_family(earlier.get(family.name), family) for family in after.families]), after.time)


def _family(before: FamilySnapshot | None, after: FamilySnapshot) -> FamilySnapshot:
    if before is None or before.kind != after.kind or type(before.data) is not type(after.data):
        return after
    # A series that was removed and came back has another creation time.
    rows = {series: row for row, series in enumerate(zip(before.data.tags, before.data.created, strict=True))}
    pairs = [rows.get(series) for series in zip(after.data.tags, after.data.created, strict=True)]
    return replace(after, data=_data(before.data, after.data, pairs))


def _data(before: Data, after: Data, rows: Sequence[int | None]) -> Data:
    """Return the difference. `rows` holds, for each row of `after`, the row of `before` with the same series."""
    match before, after:
        case SumData(monotonic=True), SumData(monotonic=True):
            values = _grown(before.values, after.values, rows)
            return replace(after, values=values, exemplars=_new(before.exemplars, after.exemplars, rows))
        case SumData(), SumData():
            return replace(after, values=_less(before.values, after.values, rows))
        case GaugeData(), GaugeData():
            return replace(after, values=_less(before.values, after.values, rows))
        case SummaryData(), SummaryData():
            rows = [None if i is None or after.counts[row] < before.counts[i] else i for row, i in enumerate(rows)]
            counts = _less(before.counts, after.counts, rows)
            return replace(after, counts=counts, sums=_less(before.sums, after.sums, rows))
        case HistogramData(), HistogramData() if before.bounds == after.bounds:
            parts = [_observed(None if i is None else before.row(i), after.row(row)) for row, i in enumerate(rows)]
            return HistogramData(
                after.tags, after.created, after.bounds,
                tuple([part.bucket_counts for part in parts]), tuple([part.sum for part in parts]),
                tuple([part.min for part in parts]), tuple([part.max for part in parts]),
                _new(before.exemplars, after.exemplars, rows),
            )  # fmt: skip
        case ExponentialHistogramData(), ExponentialHistogramData():
            spans = [_observed_between(None if i is None else before.row(i), after.row(row)) for row, i in enumerate(rows)]
            names = {"zero_counts": "zero_count", "sums": "sum", "mins": "min", "maxs": "max"}
            changes = {column: tuple([getattr(one, name) for one in spans]) for column, name in names.items()}
            return replace(
                after, positives=tuple([one.positives for one in spans]), negatives=tuple([one.negatives for one in spans]),
                exemplars=_new(before.exemplars, after.exemplars, rows), **changes,
            )  # fmt: skip
    return after


def _less(before: Sequence[N], after: Sequence[N], rows: Sequence[int | None]) -> tuple[N, ...]:
    return tuple([now if row is None else _minus(now, before[row]) for now, row in zip(after, rows, strict=True)])


def _grown(before: Sequence[float], after: Sequence[float], rows: Sequence[int | None]) -> tuple[float, ...]:
    return _less(before, after, [None if i is None or after[row] < before[i] else i for row, i in enumerate(rows)])


def _new(
    before: Sequence[Sequence[Exemplar]], after: Sequence[Sequence[Exemplar]], rows: Sequence[int | None]
) -> Sequence[Sequence[Exemplar]]:
    """Return the exemplars that were not there before."""
    pairs = zip(after, [() if row is None or not before else before[row] for row in rows], strict=False)
    new = tuple([tuple([one for one in now if one not in then]) for now, then in pairs])
    return new if any(new) else ()


def _minus(now: N, then: N) -> N:
    same = now == then or (now != now and then != then)  # so are infinities, and what was and is not a number
    return type(now)(0) if same else now - then


def _observed(then: HistogramSnapshot | None, whole: HistogramSnapshot) -> HistogramSnapshot:
    if then is None:
        return whole
    counts = tuple([late - early for late, early in zip(whole.bucket_counts, then.bucket_counts, strict=True)])
    if any(count < 0 for count in counts):
        return whole
    changed = [bucket for bucket, count in enumerate(counts) if count]
    if not changed:
        return HistogramSnapshot(whole.bounds, counts, 0.0, nan, nan)
    edges = (-inf, *whole.bounds, inf)
    least, most = max(edges[changed[0]], whole.min), min(edges[changed[-1] + 1], whole.max)
    return HistogramSnapshot(whole.bounds, counts, _minus(whole.sum, then.sum), least, most)


def _observed_between(then: ExponentialSnapshot | None, whole: ExponentialSnapshot) -> ExponentialSnapshot:
    if then is None or then.scale < whole.scale:
        return whole
    zeros, by = whole.zero_count - then.zero_count, then.scale - whole.scale
    positives = _added(then.positives, whole.positives, by)
    negatives = _added(then.negatives, whole.negatives, by)
    if any(count < 0 for count in (zeros, *positives[1], *negatives[1])):
        return whole
    part = replace(whole, zero_count=zeros, positives=positives, negatives=negatives, sum=0.0, min=nan, max=nan)
    changed = [(lower, upper) for lower, upper, count in part.spans() if count]
    if not changed:
        return part
    least, most = max(changed[0][0], whole.min), min(changed[-1][1], whole.max)
    return replace(part, sum=_minus(whole.sum, then.sum), min=least, max=most)


def _added(then: Buckets, now: Buckets, by: int) -> Buckets:
    """Return what was added to buckets that became coarser `by` so many steps."""
    first, counts = rescaled(then, by)
    return as_counts([*enumerate(now[1], now[0]), *[(index, -count) for index, count in enumerate(counts, first)]])
