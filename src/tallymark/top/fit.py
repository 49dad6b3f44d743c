"""How tables fit a terminal: which columns there is room for, and how many rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallymark.frozen import replace
from tallymark.top.shown import width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tallymark.top.table import Table

__all__ = ["FURNITURE", "GAP", "fit_columns", "share_lines"]

FURNITURE = 2
"""Lines of a table beside its rows: its headings, and an empty line before them."""
GAP = 2
"""Columns of a terminal between two of a table."""
_LEAST = 16
"""Columns of a terminal for the text that says what a row is about."""


def fit_columns(table: Table, columns: int) -> tuple[Table, list[int]]:
    """Return the table without the columns that there is no room for, and the widths of the others.

    Numbers are shown whole or not at all. The first text is cut first, then others; what is `spare` is left out.
    """
    widths = _widths(table)
    for heading in table.spare:
        if sum(widths) + GAP * len(widths) - widths[0] + min(widths[0], _LEAST) <= columns:
            break
        table = _without(table, table.headings.index(heading))
        widths = _widths(table)
    for text in range(table.left):
        excess = sum(widths) + GAP * len(widths) - columns
        widths[text] = max(min(widths[text], _LEAST), widths[text] - max(0, excess))
    return table, widths


def _widths(table: Table) -> list[int]:
    return [max(map(width, cells)) for cells in zip(table.headings, *table.rows, strict=True)]


def _without(table: Table, column: int) -> Table:
    headings, *rows = [row[:column] + row[column + 1 :] for row in (table.headings, *table.rows)]
    return replace(table, headings=headings, rows=rows, left=table.left - (column < table.left))


def share_lines(counts: Sequence[int], lines: int) -> list[int]:
    """Return how many rows of each table are shown, in so many lines. The first tables come first, and get the most."""
    shares = [0] * len(counts)
    for table, count in enumerate(counts):
        if count and lines > FURNITURE:
            shares[table], lines = 1, lines - FURNITURE - 1
    while lines > 0:
        growing = [table for table, share in enumerate(shares) if 0 < share < counts[table]]
        if not growing:
            break
        for table in (growing[0], *growing):
            if lines > 0 and shares[table] < counts[table]:
                shares[table], lines = shares[table] + 1, lines - 1
    return shares
