"""Shows one table: live in a terminal, or as blocks of plain lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from tallymark.top.plain import plain_table
from tallymark.top.run import is_live_terminal

if TYPE_CHECKING:
    from types import TracebackType

    from tallymark.top.table import Table

__all__ = ["Display", "LiveDisplay", "PlainDisplay", "make_display"]


class Display(Protocol):
    """Shows a table while something runs, as a context manager, and once more when it is over.

    Attributes:
        interval: seconds from one `show` to the next.
    """

    interval: float

    def show(self, table: Table) -> None:
        """Show the present state."""

    def summarise(self, table: Table) -> None:
        """Show a summary at the end."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def make_display() -> Display:
    """Return the display for standard output: a live table if it is a terminal and Rich is installed, else plain lines."""
    return LiveDisplay() if is_live_terminal() else PlainDisplay()


class PlainDisplay:
    """Blocks of plain lines, for pipes and files."""

    interval = 2.0

    def show(self, table: Table) -> None:
        print(plain_table(table), end="\n\n", flush=True)

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

    def show(self, table: Table) -> None:
        from tallymark.top.screen import rich_table

        self._live.update(rich_table(table, self._console.width), refresh=True)

    def summarise(self, table: Table) -> None:
        from tallymark.top.screen import rich_table

        self._console.print(rich_table(table, self._console.width))
        self._console.print()

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.stop()
