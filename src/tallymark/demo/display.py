"""Shows the table: live in a terminal, or as blocks of plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from tallymark.demo.table import HEADINGS, Row, plain_text

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Display", "make_display", "rich_table"]

_STYLES = {"operation": "bold cyan", "errors": "red", "timeouts": "yellow"}


class Display(Protocol):
    """Shows the table while the demo runs, as a context manager, and once more when it is over.

    Attributes:
        interval: seconds from one `show` to the next.
    """

    interval: float

    def show(self, rows: Sequence[Row]) -> None:
        """Show the present state."""

    def summarise(self, rows: Sequence[Row]) -> None:
        """Show a summary at the end."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def make_display() -> Display:
    """Return the display for standard output: a live table if it is a terminal and Rich is installed, else plain lines."""
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        try:
            return LiveDisplay()
        except ImportError:
            pass
    return PlainDisplay()


class PlainDisplay:
    """Blocks of plain lines, for pipes and files."""

    interval = 2.0

    def show(self, rows: Sequence[Row]) -> None:
        print(plain_text(rows), end="\n\n", flush=True)

    summarise = show

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass


class LiveDisplay:
    """A table that is redrawn at the same position. `ImportError` if Rich is not installed."""

    interval = 0.5

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def show(self, rows: Sequence[Row]) -> None:
        self._live.update(rich_table(rows), refresh=True)

    def summarise(self, rows: Sequence[Row]) -> None:
        self._console.print(rich_table(rows))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.stop()


def rich_table(rows: Sequence[Row]) -> Table:
    """Return the table for Rich to print. `ImportError` where Rich is not installed."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "operation" else "right", style=_STYLES.get(heading))
    for row in rows:
        table.add_row(*row.cells())
    return table
