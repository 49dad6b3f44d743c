"""`Distribution`: an instrument whose series holds buckets."""

from __future__ import annotations

from bisect import bisect_left
from math import inf, nan

from tallymark.engine.columns import Columns
from tallymark.engine.histogram_snapshot import HistogramSnapshot
from tallymark.engine.reference.exemplars import exemplars_of_rows, exemplify
from tallymark.engine.reference.exponential import ExponentialCells
from tallymark.engine.reference.instrument import Instrument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Self

    from tallymark.engine.exemplar import Labels
    from tallymark.engine.exponential_snapshot import ExponentialSnapshot

__all__ = ["Distribution"]

# A series' cells are one list: a count for each bucket, then these. So a copy of the list is a consistent reading.
_SUM, _MIN, _MAX = -3, -2, -1


class Distribution(Instrument):
    """What histograms and timers have in common."""

    __slots__ = ("_cells",)

    _cells: Any  # of exponential buckets: `ExponentialCells`

    @property
    def bounds(self) -> tuple[float, ...]:
        """Upper bounds of the buckets, inclusive, ascending; empty for exponential buckets."""
        return self._family.options.bounds

    def snapshot(self) -> HistogramSnapshot:
        """Return the distribution as it is now."""
        if not self.bounds:
            read: ExponentialSnapshot = self._cells.snapshot()
            return read
        *counts, total, smallest, largest = self._cells.copy()
        if smallest > largest:
            smallest = largest = nan
        return HistogramSnapshot(self.bounds, tuple([int(n) for n in counts]), total, smallest, largest)

    def _record_value(self, value: float, labels: Labels | None = None) -> None:
        """Count a value, and keep an exemplar: that with these labels, or, for None, one that the registry knows."""
        live = self._observe(value)
        if labels is not None or self._family._asks:
            exemplify(live, value, labels)

    def _observe(self, value: float) -> Self | None:
        """Count a value; return the live series that it went to, None if it was rejected."""
        bounds = self._family.options.bounds
        if not bounds:
            return self._observe_exponentially(value)
        bucket = bisect_left(bounds, value)
        # Atomic
        if self._live:
            cells = self._cells
            cells[bucket] += 1
            cells[_SUM] += value
            if value < cells[_MIN]:
                cells[_MIN] = value
            if value > cells[_MAX]:
                cells[_MAX] = value
            return self
        live = self._family.wake(self)
        return None if live is None else live._observe(value)

    def _observe_exponentially(self, value: float) -> Self | None:
        series: Self | None = self
        while series is not None:
            cells = series._cells
            if series._replace(cells, cells.observed(value)):
                return series
            if not series._live:  # else another record was first
                series = series._family.wake(series)
        return None

    def _replace(self, before: object, following: object) -> bool:
        # Atomic
        if self._live and self._cells is before:
            self._cells = following
            return True
        return False

    def _empty(self) -> Any:
        return [0.0] * (len(self.bounds) + 1) + [0.0, inf, -inf] if self.bounds else ExponentialCells.empty()

    def _mark(self) -> object:
        return self._cells.copy() if self.bounds else self._cells

    def _clear(self, mark: object) -> bool:
        empty = self._empty()
        # Atomic
        if self._live and (mark is None or self._cells == mark):
            self._live = False
            self._cells = empty
            return True
        return False

    @classmethod
    def _columns(cls, rows: Sequence[Self]) -> Columns:
        read: Any = [row.snapshot() for row in rows]
        if rows and not rows[0].bounds:
            return _exponential_columns(rows, read)
        return Columns(
            tags=tuple([row._tags for row in rows]),
            created=tuple([row._created for row in rows]),
            bucket_counts=tuple([one.bucket_counts for one in read]),
            sums=tuple([one.sum for one in read]),
            mins=tuple([one.min for one in read]),
            maxs=tuple([one.max for one in read]),
            exemplars=exemplars_of_rows(rows),
        )


def _exponential_columns(rows: Sequence[Distribution], read: Sequence[ExponentialSnapshot]) -> Columns:
    return Columns(
        tags=tuple([row._tags for row in rows]),
        created=tuple([row._created for row in rows]),
        sums=tuple([one.sum for one in read]),
        mins=tuple([one.min for one in read]),
        maxs=tuple([one.max for one in read]),
        scales=tuple([one.scale for one in read]),
        zero_counts=tuple([one.zero_count for one in read]),
        positives=tuple([one.positives for one in read]),
        negatives=tuple([one.negatives for one in read]),
        exemplars=exemplars_of_rows(rows),
    )
