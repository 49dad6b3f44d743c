"""Tables as plain lines, for pipes, files, and terminals that cannot move their cursor."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tallymark.top.shown import cut, width
from tallymark.top.table import process_text, tables_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tallymark.top.controls import Controls
    from tallymark.top.table import Table
    from tallymark.top.watcher import Reading

__all__ = ["heading_text", "plain_reading", "plain_table"]

_ROWS = 10
_WIDEST = 60


def plain_reading(reading: Reading, controls: Controls) -> str:
    """Return all tables, with at most ten rows each but for the first, and what they are about."""
    first, *others = tables_of(reading.view, controls)
    lines = [heading_text(reading), *map(process_text, reading.view.processes[:_ROWS]), "", plain_table(first)]
    for table in others:
        if table.rows:
            lines += ["", plain_table(table, _ROWS)]
    return "\n".join(lines)


def heading_text(reading: Reading) -> str:
    """Return what is shown, of when, and how often it is read."""
    moment = time.strftime("%H:%M:%S", time.localtime(reading.view.time))
    seconds = reading.view.seconds
    over = f"over {seconds:.3g} s" if seconds > 0 else "since the start"
    series = sum([one.series for one in reading.view.cardinality])
    pids = f"  processes {len(reading.pids)}" if reading.pids else ""
    return f"{reading.source}  {moment}  {over}  {series:,} series{pids}"


def plain_table(table: Table, most: int | None = None) -> str:
    """Return the lines of a table, columns aligned."""
    if not table.rows and table.absent:
        return table.absent
    rows = [[cut(cell, _WIDEST) for cell in row] for row in (table.headings, *table.rows[:most])]
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return "\n".join(["  ".join(_aligned(row, widths, table.left)).rstrip() for row in rows])


def _aligned(row: list[str], widths: list[int], left: int) -> Iterator[str]:
    for column, (cell, columns) in enumerate(zip(row, widths, strict=True)):
        space = " " * (columns - width(cell))
        yield cell + space if column < left else space + cell
