"""Results as Markdown, for pull requests."""

from __future__ import annotations

from collections.abc import Iterable

from tallymark.bench.compare.comparison import Comparison
from tallymark.bench.result.result import RunResult
from tallymark.bench.show.report import about, comparison_about, comparison_remarks, comparison_table, remarks, run_table
from tallymark.bench.show.table import Table


def run_markdown(run: RunResult) -> str:
    """Return a run as a table, with its warnings as a list."""
    return _page(run_table(run), about(run), remarks(run))


def comparison_markdown(comparison: Comparison) -> str:
    """Return a comparison as a table, with its warnings as a list."""
    return _page(comparison_table(comparison), comparison_about(comparison), comparison_remarks(comparison))


def _page(table: Table, line: str, said: Iterable[str]) -> str:
    parts = [table_markdown(table)] if table.rows else []
    parts.append(escape(line))
    items = [f"- {escape('. '.join(line.strip() for line in one.splitlines()))}" for one in said]
    return "\n\n".join([*parts, "\n".join(items)]).rstrip()


def table_markdown(table: Table) -> str:
    """Return a table as Markdown."""
    rule = "| --- |" + " ---: |" * (len(table.headers) - 1)
    return "\n".join([_row(table.headers), rule, *map(_row, table.rows)])


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    # An indented name is a metric of the benchmark above it; Markdown drops leading spaces.
    return "&nbsp;&nbsp;" + escape(text.strip()) if text.startswith("  ") else escape(text)


def escape(text: str) -> str:
    """Return text, escaped so that Markdown shows it as it is."""
    for character in "\\`*_<|[]~":
        text = text.replace(character, "\\" + character)
    return text
