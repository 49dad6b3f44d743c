"""Publishes the figures, their charts, and the tables in README and docs, which nobody edits by hand.

A page marks where a table goes: the text between `<!-- begin NAME -->` and `<!-- end NAME -->` is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from plan import tables
from plan.criteria import criteria
from plan.figures import ROOT, Figures, load
from tallymark.bench.show.markdown import escape, table_markdown
from tallymark.bench.show.report import Table

FIGURES = ROOT / "docs" / "figures" / "figures.json"
PAGES = ("README.md", "docs/guide.md", "docs/performance.md", "docs/pooling.md", "docs/processes.md")

_BLOCK = re.compile(r"(<!-- begin (\w+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)

BLOCKS: dict[str, Callable[[Figures], Table]] = {
    "document": tables.document_table,
    "original": tables.original_table,
    "strategies": tables.strategies_table,
    "pressure": tables.pressure_table,
    "held_strategies": tables.held_strategies_table,
    "peers": tables.peers_table,
    "summary": lambda figures: tables.peers_table(figures, ("native", "reference", "prometheus_client", "OpenTelemetry")),
    "held": tables.held_table,
    "processes": tables.processes_table,
    "lifetimes": tables.lifetimes_table,
    "series": lambda figures: tables.growth_table(figures, "series"),
    "tags": lambda figures: tables.growth_table(figures, "tags"),
    "threads": lambda figures: tables.growth_table(figures, "threads"),
    "criteria": lambda figures: tables.criteria_table(criteria(figures)),
}


def publish(figures: Figures) -> None:
    """Write figures, charts and pages."""
    from plan.charts import draw_growth, draw_records

    FIGURES.parent.mkdir(exist_ok=True)
    figures.save(FIGURES)
    figures = load(FIGURES)  # as it is committed: rounded
    draw_records(figures, FIGURES.with_name("records.svg"))
    draw_growth(figures, FIGURES.with_name("growth.svg"))
    for page in PAGES:
        path = ROOT / page
        path.write_text(fill(path.read_text(encoding="utf-8"), figures), encoding="utf-8")


def fill(page: str, figures: Figures) -> str:
    """Return a page with new tables in its blocks."""
    return _BLOCK.sub(lambda found: f"{found[1]}{block(found[2], figures)}\n{found[3]}", page)


def block(name: str, figures: Figures) -> str:
    """Return what a block holds: a table or text, and below it the command that made it."""
    if name == "post_mortem":
        return "```\n" + "\n".join(figures.post_mortem) + "\n```\n\n" + _origin(figures)
    if name == "headline":
        return f"{tables.headline(figures)} {_origin(figures)}"
    return table_markdown(BLOCKS[name](figures)) + "\n\n" + _origin(figures)


def _origin(figures: Figures) -> str:
    known = figures.environment
    where = f"{known.get('implementation')} {known.get('python')}, {known.get('cpu')}, {known.get('cpus')} CPUs"
    return f"`{figures.command}`, {figures.created[:10]}: {escape(where)}."


def pages() -> dict[str, Path]:
    """Return the pages that hold blocks."""
    return {page: ROOT / page for page in PAGES}
