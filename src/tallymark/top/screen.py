"""Tables in a terminal, drawn by Rich, in as many lines as there are. `ImportError` where Rich is not installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from tallymark.frozen import replace
from tallymark.top.fit import FURNITURE, GAP, fit_columns, share_lines
from tallymark.top.plain import heading_text
from tallymark.top.shown import shown
from tallymark.top.table import process_text, tables_of

if TYPE_CHECKING:
    from rich.console import JustifyMethod, RenderableType

    from tallymark.top.controls import Controls
    from tallymark.top.table import Table
    from tallymark.top.watcher import Reading

__all__ = ["draw", "rich_table"]

_STYLES = {"errors/s": "red", "errors": "red", "kind": "dim", "reason": "yellow", "tag with the most values": "yellow"}

_NOTHING = ("0.0", "0.0%", "-", "0")


def draw(reading: Reading, controls: Controls, columns: int, height: int) -> Group:
    """Return a picture of `height` lines, or fewer."""
    head = _head(reading, controls, height - FURNITURE - 1)
    tables = tables_of(reading.view, controls)
    counts = [len(table.rows) or bool(table.absent) for table in tables]
    shares = share_lines(counts, height - len(head))
    body: list[RenderableType] = []
    for table, rows in zip(tables, shares, strict=True):
        if rows:
            body += [Text(), rich_table(table, columns, rows)]
    return Group(*head, *body)


def _head(reading: Reading, controls: Controls, most: int) -> list[Text]:
    """Return what stands above the tables: so many lines at the most, but at least one, so that there is room for a row."""
    heading, keys = Text(heading_text(reading), style="bold"), _keys(reading, controls)
    processes, pids, trouble = [], [], []
    if reading.view.processes:
        first, *others = reading.view.processes
        processes = [Text(process_text(first) + (f"  and {len(others)} more" if others else ""))]
    if reading.pids:
        pids = [Text("pids " + " ".join(map(str, reading.pids)))]
    if reading.trouble:
        trouble = [Text(f"cannot be read, trying again every {reading.every:.3g} s: {reading.trouble}", style="bold red")]
    kept = [*trouble, keys, heading, *processes, *pids][: max(1, most)]
    for line in kept:
        line.no_wrap, line.overflow = True, "ellipsis"
    return [line for line in (heading, *processes, *pids, keys, *trouble) if any(line is one for one in kept)]


def _keys(reading: Reading, controls: Controls) -> Text:
    if controls.is_typing:
        return Text(f"filter: {shown(controls.filter)}▏  (Enter keeps it, Esc removes it)", style="yellow")
    filtered = f": {shown(controls.filter)}" if controls.filter else ""
    return Text(f"q quit  s sort: {controls.sort}  / filter{filtered}  read every {reading.every:.3g} s", style="dim")


def rich_table(table: Table, columns: int, most: int | None = None) -> RichTable | Text:
    """Return a table of no more than so many columns of a terminal. Nothing in its cells is markup."""
    if not table.rows and table.absent:
        return Text(table.absent, style="dim")
    fitted, widths = fit_columns(replace(table, rows=table.rows[:most]), columns)
    drawn = RichTable(box=None, padding=(0, GAP, 0, 0), header_style="bold")
    for column, (heading, columns) in enumerate(zip(fitted.headings, widths, strict=True)):
        style = "cyan" if column == 0 else _STYLES.get(heading, "")
        justify: JustifyMethod = "left" if column < fitted.left else "right"
        drawn.add_column(Text(heading), justify=justify, style=style, no_wrap=True, overflow="ellipsis", width=columns)
    for row in fitted.rows:
        drawn.add_row(*[Text(cell, style="dim" if cell in _NOTHING else "") for cell in row])
    return drawn
