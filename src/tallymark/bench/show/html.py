"""Results as an HTML page: one file, without scripts, with the distributions drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from tallymark.bench.compare.comparison import Comparison
from tallymark.bench.result.result import RunResult, TimeResult
from tallymark.bench.show.remarks import run_remarks
from tallymark.bench.show.report import (
    about,
    cold_tables,
    comparison_about,
    comparison_remarks,
    comparison_table,
    remarks,
    run_table,
)
from tallymark.bench.show.table import Better, Table, Worse
from tallymark.bench.units import format_seconds

WIDTH, ROW, MARGIN = 640, 26, 60

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --paper: #fff; --rule: #d5d9de; --old: #8a5a00; --new: #0a5ec2;
  --better: #1a7f37; --worse: #c22; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --paper: #16181b; --rule: #3a4048; --old: #e0a33a; --new: #6cb0ff;
    --better: #4ac26b; --worse: #ff7b72; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
div { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--rule); text-align: right; white-space: pre; }
th:first-child, td:first-child { text-align: left; }
svg { display: block; max-width: 100%; font-size: 11px; fill: var(--ink); }
.old { fill: var(--old); stroke: var(--old); } .new { fill: var(--new); stroke: var(--new); }
circle { fill-opacity: .35; stroke: none; } line { stroke-width: 2; } .axis { stroke: var(--rule); stroke-width: 1; }
.better { color: var(--better); } .worse { color: var(--worse); }
li { white-space: pre-line; }
"""


def run_html(run: RunResult) -> str:
    """Return a page with the tables of a run, its warnings, and every value of every benchmark drawn."""
    drawn = [_figure(one.name, [("new", one.time)]) for one in run.benchmarks if one.time]
    said = [*remarks(run), *(str(one) for one in run_remarks(run, cold=True) if one.word == "WARN")]
    return _page("Benchmarks", about(run), [run_table(run), *cold_tables(run)], said, drawn)


def comparison_html(comparison: Comparison) -> str:
    """Return a page with both sides of a comparison, its warnings, and both sides' values drawn on one axis."""
    drawn = [
        _figure(one.name, [("old", one.old.time), ("new", one.new.time)])
        for one in comparison.benchmarks
        if one.old.time and one.new.time
    ]
    said = comparison_remarks(comparison)
    return _page("Comparison of benchmarks", comparison_about(comparison), [comparison_table(comparison)], said, drawn)


def _page(title: str, line: str, tables: Iterable[Table], said: Iterable[str], drawn: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(one)}</li>\n" for one in said)
    parts = [
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>',
        f'<meta name="viewport" content="width=device-width">\n<style>{STYLE}</style>\n</head>\n<body>',
        f"<h1>{escape(title)}</h1>\n<p>{escape(line)}</p>",
        *map(_table, tables),
        f"<ul>\n{items}</ul>" if items else "",
        "<h2>Distributions</h2>\n<p>A row for each process, with a dot for each of its values and a line for their median.</p>",
        *drawn,
        "</body>\n</html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _table(table: Table) -> str:
    if not table.rows:
        return ""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.headers)
    rows = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    return f"<div><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>"


def _cell(text: str) -> str:
    judged = ' class="better"' if isinstance(text, Better) else ' class="worse"' if isinstance(text, Worse) else ""
    return f"<td{judged}>{escape(text)}</td>"


def _figure(name: str, sides: Sequence[tuple[str, TimeResult | None]]) -> str:
    """Draw the values of one benchmark, process by process, all sides on one axis."""
    timed = [(side, time) for side, time in sides if time is not None]
    values = [value for _, time in timed for process in time.processes for value in process.values]
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1e-9
    height = ROW * sum(len(time.processes) for _, time in timed) // 2 + 40

    def across(value: float) -> str:
        return f"{MARGIN + (value - low) / span * (WIDTH - 2 * MARGIN):.1f}"

    marks, y = [], 14.0
    for side, time in timed:
        for process in time.processes:
            marks += [f'<circle class="{side}" cx="{across(value)}" cy="{y:.1f}" r="3"/>' for value in process.values]
            middle = across(process.median)
            marks.append(f'<line class="{side}" x1="{middle}" x2="{middle}" y1="{y - 5:.1f}" y2="{y + 5:.1f}"/>')
            y += ROW / 2
    medians = ", ".join(f"{side if len(timed) > 1 else 'median'} {format_seconds(time.median)}" for side, time in timed)
    ends = "".join(
        f'<text x="{across(value)}" y="{height - 6}" text-anchor="{anchor}">{escape(format_seconds(value))}</text>'
        for value, anchor in ((low, "start"), (low + span, "end"))
    )
    axis = f'<line class="axis" x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{height - 20}" y2="{height - 20}"/>'
    return (
        f"<h3>{escape(name)}</h3>\n"
        f'<svg role="img" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
        f"<title>{escape(name)}</title><desc>{escape(medians)}</desc>\n{axis}{ends}\n{chr(10).join(marks)}\n</svg>\n<p>{escape(medians)}</p>"
    )
