"""Series that become one: where a format, or tags that a backend adds, leave nothing to tell them apart."""

from __future__ import annotations

from bisect import bisect_left

from tallymark.frozen import replace
from tallymark.metric.data import ExponentialHistogramData, HistogramData, InfoData, SumData, SummaryData
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from tallymark.engine.exemplar import Exemplar
    from tallymark.metric.data import Data

__all__ = ["groups_of", "merged"]

_PORTION = 4096
"""Keys that are looked at at once: less than a millisecond."""
_MOST_EXEMPLARS = 20
"""Of a series: as many as one with exponential buckets has."""


def groups_of(keys: Sequence[Hashable]) -> list[list[int]]:
    """Return the rows of each series, by what tells series apart; nothing at all where no two are the same."""
    different: set[Hashable] = set()
    for some in portions(len(keys), _PORTION):
        different.update(keys[some])
    if len(different) == len(keys):
        return []
    rows: dict[Hashable, list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    return list(rows.values())


def merged(data: Data, groups: Sequence[Sequence[int]]) -> Data:
    """Return one series for each group of rows, with the tags of its last one.

    As in Prometheus' formats, counters, summaries and distributions add up; of all others, the last series stays.
    """
    tags = tuple([data.tags[rows[-1]] for rows in groups])
    created = tuple([min([data.created[row] for row in rows if data.created[row] > 0.0], default=0.0) for rows in groups])
    match data:
        case SumData(monotonic=True):
            values = tuple([sum([data.values[row] for row in rows]) for rows in groups])
            return SumData(tags, created, values, True, _exemplars(data.exemplars, groups, lambda one: 0))
        case SummaryData():
            counts = tuple([sum([data.counts[row] for row in rows]) for rows in groups])
            sums = tuple([sum([data.sums[row] for row in rows]) for rows in groups])
            # Nobody knows those of several series together.
            quantiles = [data.quantiles[rows[0]] if len(rows) == 1 else () for rows in groups] if data.quantiles else ()
            return SummaryData(tags, created, counts, sums, tuple(quantiles))
        case HistogramData():
            bounds, spread = data.bounds, [data.row(*rows) for rows in groups]
            return HistogramData(
                tags, created, bounds, tuple([one.bucket_counts for one in spread]), tuple([one.sum for one in spread]),
                tuple([one.min for one in spread]), tuple([one.max for one in spread]),
                _exemplars(data.exemplars, groups, lambda one: bisect_left(bounds, one.value)),
            )  # fmt: skip
        case ExponentialHistogramData():
            whole = [data.row(*rows) for rows in groups]
            return ExponentialHistogramData(
                tags, created, tuple([one.scale for one in whole]), tuple([one.zero_count for one in whole]),
                tuple([one.positives for one in whole]), tuple([one.negatives for one in whole]),
                tuple([one.sum for one in whole]), tuple([one.min for one in whole]), tuple([one.max for one in whole]),
                _exemplars(data.exemplars, groups, lambda one: one.value),
            )  # fmt: skip
        case InfoData():
            return InfoData(tags, created)
    return replace(data, tags=tags, created=created, values=tuple([data.values[rows[-1]] for rows in groups]))


def _exemplars(
    column: Sequence[Sequence[Exemplar]], groups: Sequence[Sequence[int]], place: Callable[[Exemplar], float]
) -> Sequence[Sequence[Exemplar]]:
    """Return the newest exemplar of each place, in the order of places."""
    if not column:
        return ()
    series = []
    for rows in groups:
        ordered = sorted([one for row in rows for one in column[row]], key=lambda one: one.time)
        newest = {place(one): one for one in ordered[-_MOST_EXEMPLARS:]}
        series.append(tuple([newest[at] for at in sorted(newest)]))
    return tuple(series)
