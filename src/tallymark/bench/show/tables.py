"""Results on a stream: tables that are no wider than it, and below them one line for each warning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TextIO

from tallymark.bench.compare.comparison import Comparison
from tallymark.bench.result.result import RunResult
from tallymark.bench.show import terminal
from tallymark.bench.show.layout import Line, fitted
from tallymark.bench.show.remarks import Remark, compared_remarks, run_remarks, told
from tallymark.bench.show.report import about, cold_tables, comparison_about, comparison_table, run_table
from tallymark.bench.show.shorten import WHOLE, cells, filled
from tallymark.bench.show.table import Table


def show_run(run: RunResult, stream: TextIO, explain: bool = False) -> None:
    """Show the steady state of every benchmark, and all warnings; `explain` tells what to do about them."""
    _show([run_table(run)], about(run), run_remarks(run), stream, explain)


def show_cold(run: RunResult, stream: TextIO, explain: bool = False) -> None:
    """Show what first use costs, and what all counted ops requested."""
    _show(cold_tables(run), about(run), run_remarks(run, cold=True), stream, explain)


def show_comparison(comparison: Comparison, stream: TextIO, explain: bool = False) -> None:
    """Show both sides of every benchmark, and all warnings."""
    said = compared_remarks(comparison)
    _show([comparison_table(comparison)], comparison_about(comparison), said, stream, explain)


def _show(tables: Sequence[Table], line: str, said: Iterable[Remark], stream: TextIO, explain: bool) -> None:
    for i, table in enumerate(tables):
        show_table(table, stream, path=not i)
    width = terminal.columns(stream)
    lines: list[Line] = [[(one, "")] for one in filled(_whole_parts(line, width), width)]
    terminal.write([*lines, *told(said, width, explain)], stream)


def show_table(table: Table, stream: TextIO, path: bool = True) -> None:
    """Show a table, and an empty line below it, unless it has no rows. The one path of all names can be left out."""
    if table.rows:
        terminal.write([*fitted(table, terminal.columns(stream), path), []], stream)


def _whole_parts(line: str, width: int) -> str:
    """Let a line of parts break between them, where they fit."""
    return " · ".join(part.replace(" ", WHOLE) if cells(part) < width - 2 else part for part in line.split(" · "))


def plain(table: Table) -> str:
    """Return a table as aligned lines of any width, without spaces at their ends."""
    rows = [table.headers, *table.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.headers))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
