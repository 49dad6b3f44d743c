"""`Matching`: which rows of two snapshots of a family are of the same series."""

from __future__ import annotations

from tallymark.engine.sparse_column import SparseColumn
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import TypeVar

    from tallymark.engine import TagSet
    from tallymark.engine.exemplar import Exemplar
    from tallymark.metric.data import Data, Exemplars

    T = TypeVar("T")

__all__ = ["Matching"]


class Matching:
    """Finds, for each row of a family, the row that the same series had before.

    Most often no series came or went: then columns are the same, which they tell at once, and so are the rows.
    """

    def __init__(self, before: Data, after: Data) -> None:
        self._rows: Sequence[int | None] | None = None  # None: the same
        if before.tags != after.tags or before.created != after.created:
            self._rows = _found(before, after)

    def earlier(self, column: Sequence[T], rows: slice, missing: T) -> Sequence[T]:
        """Return what a column of before had for some rows; `missing` for a series that was not there."""
        if self._rows is None:
            return column[rows]
        return [missing if row is None else column[row] for row in self._rows[rows]]

    def new_exemplars(self, before: Exemplars, after: Exemplars) -> Exemplars:
        """Return the exemplars that were not there before."""
        if not after:
            return ()
        rows = after.rows if isinstance(after, SparseColumn) else {row: some for row, some in enumerate(after) if some}
        new: Mapping[int, Sequence[Exemplar]] = {
            row: fresh for row, some in rows.items() if (fresh := self._fresh(before, row, some))
        }
        return SparseColumn(len(after), new) if new else ()

    def _fresh(self, before: Exemplars, row: int, exemplars: Sequence[Exemplar]) -> Sequence[Exemplar]:
        known = self.earlier(before, slice(row, row + 1), ())[0] if before else ()
        return tuple([one for one in exemplars if one not in known])


def _found(before: Data, after: Data) -> list[int | None]:
    found: list[int | None] = list(range(_same_rows(before, after)))  # new series come last
    same = len(found)
    known: dict[tuple[TagSet, float], int] = {}
    for rows in portions(len(before.tags) - same):
        rows = slice(rows.start + same, rows.stop + same)
        known.update(zip(_series(before, rows), range(rows.start, rows.stop), strict=False))
    for rows in portions(len(after.tags) - same):
        found += map(known.get, _series(after, slice(rows.start + same, rows.stop + same)))
    return found


def _series(data: Data, rows: slice) -> Iterable[tuple[TagSet, float]]:
    # A series that was removed and came back has another creation time.
    return zip(data.tags[rows], data.created[rows], strict=True)


def _same_rows(before: Data, after: Data) -> int:
    """Return how many rows, from the first one on, are surely of the same series in both."""
    most = min(len(before.tags), len(after.tags))
    for rows in portions(most):
        if before.tags[rows] != after.tags[rows] or before.created[rows] != after.created[rows]:
            return int(rows.start)
    return most
