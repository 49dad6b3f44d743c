"""Histograms as Prometheus text has them, with cumulative buckets, as the data type of snapshots."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, pairwise
from math import inf, isinf, nan
from typing import TYPE_CHECKING

from tallymark.metric.data import HistogramData
from tallymark.metric.snapshot import FamilySnapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from typing import TypeAlias

    from tallymark.engine import TagSet
    from tallymark.metric.data import Data
    from tallymark.read.headers import Header

    Add: TypeAlias = Callable[[TagSet, str, float], None]

__all__ = ["Distributions", "family_of", "whole"]

_MOST_COUNTS = 2**20
"""Of one metric, over all series. A page of series that have each bounds of their own is small; what it stands for is not."""


def family_of(name: str, kind: str, header: Header, data: Data) -> FamilySnapshot:
    """Return a family that is called what the endpoint calls it."""
    return FamilySnapshot(name, kind, header.description, header.unit, data, name)


def whole(value: float) -> int:
    """Return a count; 0 for what can be none: nobody has counted to more than 64 bits hold."""
    return int(value) if 0.0 <= value < 2.0**64 else 0


class Distributions:
    """The series of one histogram."""

    def __init__(self, name: str, header: Header) -> None:
        self._name = name
        self._header = header
        self._parts: dict[str, dict[TagSet, float]] = {suffix: {} for suffix in ("", "_count", "_sum", "_created")}
        self._buckets: dict[TagSet, dict[str, float]] = {}

    def adder(self, suffix: str) -> Add:
        """Return what takes the samples whose name ends so."""
        if suffix == "_bucket":
            return self._add_bucket
        into = self._parts[suffix]

        def add(tags: TagSet, edge: str, value: float) -> None:
            into[tags] = value

        return add

    def _add_bucket(self, tags: TagSet, edge: str, value: float) -> None:
        if not edge:  # a bucket of nothing that is known
            return
        row = self._buckets.get(tags)
        if row is None:
            row = self._buckets[tags] = {}
        row[edge] = value

    def built(self) -> Iterator[FamilySnapshot]:
        """Yield the family, if it has a series."""
        totals, sums, created = self._parts["_count"], self._parts["_sum"], self._parts["_created"]
        tags = tuple(self._buckets | totals)
        if not tags:
            return
        bounds = _bounds(self._buckets.values())
        rows = [_counts(bounds, self._buckets.get(one, {}), totals.get(one)) for one in tags]
        columns = [tuple([column.get(one, 0.0) for one in tags]) for column in (created, sums)]
        edges = [_extremes(bounds, counts, total) for counts, total in zip(rows, columns[1], strict=True)]
        mins, maxs = zip(*edges, strict=True)
        data = HistogramData(tags, columns[0], bounds, tuple(rows), columns[1], mins, maxs)
        yield family_of(self._name, "timer" if self._header.unit == "seconds" else "histogram", self._header, data)


def _bounds(rows: Collection[dict[str, float]]) -> tuple[float, ...]:
    """Return all bounds that a series has: in a snapshot, the series of a metric have the same.

    Where that would be very many counts, only some of the bounds: the same ones each time, so that two pages can be compared.
    """
    edges = {edge for row in {tuple(row): row for row in rows}.values() for edge in row}
    bounds = {bound for edge in edges if not isinf(bound := float(edge))}
    one_in = 1
    while len(bounds) * len(rows) > _MOST_COUNTS:
        one_in *= 2
        bounds = {bound for bound in bounds if hash(bound) % one_in == 0}
    return tuple(sorted(bounds))


def _counts(bounds: Sequence[float], row: dict[str, float], total: float | None) -> tuple[int, ...]:
    """Return the observations in each bucket. A bucket that a series does not have is empty: the next one holds both."""
    told = {float(edge): whole(count) for edge, count in row.items()}
    if inf not in told:  # some endpoints leave out the last bucket
        told[inf] = 0 if total is None else whole(total)
    edges = sorted(told)
    # What is counted while the page is written can make a bucket smaller than the one before.
    cumulative = [0, *accumulate([told[edge] for edge in edges], max)]
    upto = [cumulative[bisect_right(edges, bound)] for bound in (*bounds, inf)]
    return tuple([upper - lower for lower, upper in pairwise([0, *upto])])


def _extremes(bounds: Sequence[float], counts: Sequence[int], total: float) -> tuple[float, float]:
    """Return edges for the smallest and the largest observation, which no page tells: those of histogram_quantile."""
    filled = [bucket for bucket, count in enumerate(counts) if count]
    if not filled:
        return nan, nan
    if not bounds:
        return (total / sum(counts),) * 2
    least = bounds[filled[0] - 1] if filled[0] else min(0.0, bounds[0])
    return least, bounds[min(filled[-1], len(bounds) - 1)]
