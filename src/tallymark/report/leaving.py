"""`Leaving`: totals of series that ended, which a backend of deltas is still to be told."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from tallymark.frozen import replace
from tallymark.metric.data import ExponentialHistogramData, HistogramData, SumData, SummaryData
from tallymark.metric.departures import Departed, noted_for, numbered, rows_columns, rows_of, stop_noting
from tallymark.metric.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tallymark.engine import TagSet
    from tallymark.metric.data import Data
    from tallymark.metric.registry import Registry
    from tallymark.metric.snapshot import FamilySnapshot

__all__ = ["Leaving"]

_MEMORY = 1024
"""Bytes that one series takes."""
_LEAST = 1000
"""Series for which there is always room."""


class Leaving:
    """What one reporter is to tell of the series of a registry that end.

    Args:
        registry: whose series.
        memory: bytes, a megabyte at least; beyond, series are lost, and counted in `tallymark_rejected`.
    """

    def __init__(self, registry: Registry, memory: int) -> None:
        self._registry = registry
        self._departed = Departed(max(memory // _MEMORY, _LEAST))
        self._later: list[FamilySnapshot] = []
        noted_for(registry, self._departed)

    def before(self, snapshot: Snapshot) -> Snapshot:
        """Return the totals of those that ended, and that a report of `snapshot` would miss."""
        found = self._departed.peek()
        self._taken = len(found)
        self._later = []
        families = {family.name: family for family in snapshot.families}
        told = [self._missing(family, families.get(family.name)) for family in _joined(found)]
        return Snapshot(tuple([one for one in told if one is not None]), snapshot.time)

    def _missing(self, gone: FamilySnapshot, present: FamilySnapshot | None) -> FamilySnapshot | None:
        """Return the series that a snapshot does not have; those of which it has an earlier state are told next time."""
        if present is None or type(present.data) is not type(gone.data):
            return gone
        rows = numbered(present.data)
        series: list[tuple[TagSet, float]] = list(zip(gone.data.tags, gone.data.created, strict=True))
        missing = [row for row, one in enumerate(series) if one not in rows]
        later = [
            row for row, one in enumerate(series) if one in rows and _size(gone.data, row) > _size(present.data, rows[one])
        ]
        if later:
            self._later.append(replace(gone, data=rows_of(gone.data, later)))
        return replace(gone, data=rows_of(gone.data, missing)) if missing else None

    def told(self) -> None:
        """What `before` returned was told."""
        self._departed.forget(self._taken)
        for family in self._later:
            self._departed.add(family)
        lost, self._departed.lost = self._departed.lost, 0
        if lost:
            name = "tallymark_reports"
            self._registry._rejections.note(name, "queue", lambda: f"{lost} series ended while there was no room to tell")

    def end(self) -> None:
        """Note nothing more."""
        stop_noting(self._registry, self._departed)


def _joined(families: Iterable[FamilySnapshot]) -> list[FamilySnapshot]:
    """Return the same series in as few families as can be: each is looked up among all series that there are.

    Of a series that ended several times, each state is in a family of its own, in the order in which they ended.
    """
    ends: dict[tuple[str, TagSet], int] = {}
    groups: dict[Any, list[FamilySnapshot]] = {}
    for family in families:
        series = [(family.name, tags) for tags in family.data.tags]
        turn = max([ends.get(one, 0) for one in series], default=0)
        ends.update(dict.fromkeys(series, turn + 1))
        alike = family.name, family.kind, type(family.data), getattr(family.data, "bounds", None), turn
        groups.setdefault(alike, []).append(family)
    return [group[0] if len(group) == 1 else _join(group) for group in groups.values()]


def _join(families: Sequence[FamilySnapshot]) -> FamilySnapshot:
    """Return families that differ in their series alone as one."""
    first = families[0]
    columns = {name: _column([family.data for family in families], name) for name in rows_columns(first.data)}
    return replace(first, data=replace(first.data, **columns))


def _column(all_data: Sequence[Data], name: str) -> tuple[Any, ...]:
    columns = [getattr(data, name) for data in all_data]
    if not any(map(len, columns)):  # as a whole, where there is none
        return ()
    filled = [column if len(column) else ((),) * len(data.tags) for column, data in zip(columns, all_data, strict=True)]
    return tuple(chain.from_iterable(filled))


def _size(data: Data, row: int) -> float:
    match data:
        case SumData():
            return data.values[row]
        case SummaryData():
            return data.counts[row]
        case HistogramData():
            return sum(data.bucket_counts[row])
        case ExponentialHistogramData():
            return data.zero_counts[row] + sum(data.positives[row][1]) + sum(data.negatives[row][1])
    return 0.0
