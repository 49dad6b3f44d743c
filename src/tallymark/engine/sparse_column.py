"""`SparseColumn`: a column of a snapshot in which most rows are empty."""

from __future__ import annotations

from collections.abc import Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tallymark.engine.exemplar import Exemplar

__all__ = ["SparseColumn"]


class SparseColumn(Sequence["Sequence[Exemplar]"]):
    """The exemplars of each series. It is read, compared and pickled as a tuple is.

    Attributes:
        rows: those that are not empty, in order.
    """

    __slots__ = ("_length", "rows")

    def __init__(self, length: int, rows: Mapping[int, Sequence[Exemplar]]) -> None:
        self._length = length
        self.rows = rows

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, row: Any) -> Any:
        found = range(self._length)[row]  # which knows slices, and rows from the end
        return self.rows.get(found, ()) if isinstance(found, int) else tuple([self.rows.get(one, ()) for one in found])

    def __iter__(self) -> Iterator[Sequence[Exemplar]]:
        get = self.rows.get
        return (get(row, ()) for row in range(self._length))

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (tuple, SparseColumn)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (tuple(self),)
