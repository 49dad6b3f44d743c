"""What changed between two snapshots of one registry."""

from __future__ import annotations

from tallymark.frozen import replace
from tallymark.metric.data import (
    ExponentialHistogramData,
    GaugeData,
    HistogramData,
    SumData,
    SummaryData,
)
from tallymark.metric.delta_buckets import exponential_histograms, histograms
from tallymark.metric.matching import Matching
from tallymark.metric.portions import portions
from tallymark.metric.snapshot import Snapshot
from tallymark.metric.subtraction import minus, odd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import FamilySnapshot

__all__ = ["delta"]


def delta(before: Snapshot, after: Snapshot, *, absolute_gauges: bool = False) -> Snapshot:
    """Return `after` less `before`: what was recorded between the two. Pure: it reads no clock.

    Counters, histograms, timers and summaries tell what was added. Gauges tell how far they moved; infos and states are as in
    `after`. A series that is gone is left out; one that was removed and came back has started from nothing, and so has a total
    that a callback or collector tells and that is less than it was. Of a distribution, `min` and `max` are exact where they are
    new, and else the edges of the outermost buckets that changed. Exponential buckets have the scale that they have in `after`.
    Exemplars are those that are new.

    Args:
        absolute_gauges: gauges, and sums that may fall, are as in `after`: what a place is told to which totals are reported as
            what was added, and gauges as they are.
    """
    earlier = {family.name: family for family in before.families}
    families = [_family(earlier.get(family.name), family, absolute_gauges) for family in after.families]
    return Snapshot(tuple(families), after.time)


def _family(before: FamilySnapshot | None, after: FamilySnapshot, absolute_gauges: bool) -> FamilySnapshot:
    if before is None or before.kind != after.kind or type(before.data) is not type(after.data):
        return after
    if absolute_gauges and _may_fall(after.data):
        return after
    return replace(after, data=_data(before.data, after.data))


def _may_fall(data: Data) -> bool:
    return isinstance(data, GaugeData) or (isinstance(data, SumData) and not data.monotonic)


def _data(before: Data, after: Data) -> Data:
    match before, after:
        case SumData(monotonic=True), SumData(monotonic=True):
            matching = Matching(before, after)
            values = _grown(before.values, after.values, matching)
            return replace(after, values=values, exemplars=matching.new_exemplars(before.exemplars, after.exemplars))
        case SumData(), SumData():
            return replace(after, values=_moved(before.values, after.values, Matching(before, after)))
        case GaugeData(), GaugeData():
            return replace(after, values=_moved(before.values, after.values, Matching(before, after)))
        case SummaryData(), SummaryData():
            return _summaries(before, after)
        case HistogramData(), HistogramData() if before.bounds == after.bounds:
            return histograms(before, after)
        case ExponentialHistogramData(), ExponentialHistogramData():
            return exponential_histograms(before, after)
    return after


def _grown(before: Sequence[float], after: Sequence[float], matching: Matching) -> tuple[float, ...]:
    values: list[float] = []
    for rows in portions(len(after)):
        pairs = zip(after[rows], matching.earlier(before, rows, 0.0), strict=True)
        # What fell has begun anew. To add 0 makes 0 of -0, and what is no number differs from itself.
        values += [now if now < then else (d + 0.0 if (d := now - then) == d else odd(now, then)) for now, then in pairs]
    return tuple(values)


def _moved(before: Sequence[float], after: Sequence[float], matching: Matching) -> tuple[float, ...]:
    values: list[float] = []
    for rows in portions(len(after)):
        pairs = zip(after[rows], matching.earlier(before, rows, 0.0), strict=True)
        values += [d + 0.0 if (d := now - then) == d else odd(now, then) for now, then in pairs]
    return tuple(values)


def _summaries(before: SummaryData, after: SummaryData) -> SummaryData:
    matching = Matching(before, after)
    counts: list[int] = []
    sums: list[float] = []
    for rows in portions(len(after.tags)):
        numbers = zip(after.counts[rows], after.sums[rows], strict=True)
        earlier = zip(matching.earlier(before.counts, rows, 0), matching.earlier(before.sums, rows, 0.0), strict=True)
        for (count, total), (count_then, total_then) in zip(numbers, earlier, strict=True):
            has_grown = count >= count_then
            counts.append(count - count_then if has_grown else count)
            sums.append(minus(total, total_then) if has_grown else total)
    return replace(after, counts=tuple(counts), sums=tuple(sums))
