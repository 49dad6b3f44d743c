"""Results on a stream: Rich tables in a terminal; aligned plain text elsewhere, and without Rich."""

from __future__ import annotations

from typing import TextIO

from tallymark.bench.compare.comparison import Comparison
from tallymark.bench.result.result import RunResult
from tallymark.bench.show.report import (
    Table,
    about,
    cold_table,
    comparison_about,
    comparison_remarks,
    comparison_table,
    remarks,
    run_table,
    totals_table,
)


def show_run(run: RunResult, stream: TextIO) -> None:
    """Show the steady state of every benchmark, and all warnings."""
    show_table(run_table(run), stream)
    _lines([about(run), *remarks(run)], stream)


def show_cold(run: RunResult, stream: TextIO) -> None:
    """Show what first use costs, and what all counted ops requested."""
    show_table(cold_table(run), stream)
    show_table(totals_table(run), stream)
    _lines([about(run)], stream)


def show_comparison(comparison: Comparison, stream: TextIO) -> None:
    """Show both sides of every benchmark, and all warnings."""
    show_table(comparison_table(comparison), stream)
    _lines([comparison_about(comparison), *comparison_remarks(comparison)], stream)


def show_table(table: Table, stream: TextIO) -> None:
    """Show a table, unless it has no rows."""
    if not table.rows:
        return
    if not (stream.isatty() and _rich_table(table, stream)):
        stream.write(plain(table) + "\n\n")


def plain(table: Table) -> str:
    """Return a table as aligned lines, without spaces at their ends."""
    rows = [table.headers, *table.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.headers))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _rich_table(table: Table, stream: TextIO) -> bool:
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table as RichTable
    except ImportError:
        return False
    drawn = RichTable(box=box.SIMPLE_HEAD)
    for i, header in enumerate(table.headers):
        drawn.add_column(header, justify="right" if i else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(cell.replace("[", "\\[") for cell in row))
    Console(file=stream).print(drawn)
    return True


def _lines(lines: list[str], stream: TextIO) -> None:
    stream.write("\n".join(lines) + "\n")
