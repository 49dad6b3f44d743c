"""A table as data: texts in rows and columns."""

from __future__ import annotations

from dataclasses import dataclass

NONE = "-"
EMPTY = ("", NONE)
ZERO = (*EMPTY, "0", "0 ns")
DULL = ("reallocs", "GC/1000 ops", "GC pause/1000 ops")  # columns that are left out where they hold zeros only


@dataclass(frozen=True)
class Table:
    """Cells of text. The first column names the row; the others are figures."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Better(str):
    """The text of a cell that tells of less time, or less memory: it may be coloured."""

    __slots__ = ()


class Worse(str):
    """The text of a cell that tells of more time, or more memory."""

    __slots__ = ()


def without_empty(table: Table) -> Table:
    """Return a table without the columns that are empty in all rows."""
    kept = [0]
    for i, header in enumerate(table.headers[1:], 1):
        dull = ZERO if header in DULL else EMPTY
        if any(row[i] not in dull for row in table.rows):
            kept.append(i)
    return Table(tuple(table.headers[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in table.rows))
