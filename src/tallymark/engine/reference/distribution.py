"""`Distribution`: an instrument whose series holds buckets."""

from __future__ import annotations

from bisect import bisect_left
from math import inf, nan

from tallymark.engine.columns import Columns
from tallymark.engine.histogram_snapshot import HistogramSnapshot
from tallymark.engine.reference.exemplars import exemplars_of_rows, exemplify
from tallymark.engine.reference.instrument import Instrument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from tallymark.engine.exemplar import Labels

__all__ = ["Distribution"]

# A series' cells are one list: a count for each bucket, then these. So a copy of the list is a consistent reading.
_SUM, _MIN, _MAX = -3, -2, -1


class Distribution(Instrument):
    """What histograms and timers have in common."""

    __slots__ = ("_cells",)

    _cells: list[float]

    @property
    def bounds(self) -> tuple[float, ...]:
        """Upper bounds of the buckets, inclusive, ascending."""
        return self._family.options.bounds

    def snapshot(self) -> HistogramSnapshot:
        """Return the distribution as it is now."""
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
        bucket = bisect_left(self._family.options.bounds, value)
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

    def _mark(self) -> object:
        return self._cells.copy()

    def _clear(self, mark: object) -> bool:
        empty = [0.0] * (len(self.bounds) + 1) + [0.0, inf, -inf]
        # Atomic
        if self._live and (mark is None or self._cells == mark):
            self._live = False
            self._cells = empty
            return True
        return False

    @classmethod
    def _columns(cls, rows: Sequence[Self]) -> Columns:
        read = [row.snapshot() for row in rows]
        return Columns(
            tags=tuple([row._tags for row in rows]),
            created=tuple([row._created for row in rows]),
            bucket_counts=tuple([one.bucket_counts for one in read]),
            sums=tuple([one.sum for one in read]),
            mins=tuple([one.min for one in read]),
            maxs=tuple([one.max for one in read]),
            exemplars=exemplars_of_rows(rows),
        )
