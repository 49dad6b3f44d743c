"""Draw the demo as a picture, docs/figures/demo.svg: `python tools/demo_picture.py`.

The demo runs for ten seconds, and the picture shows its last table. Nothing in it is of this machine, and it needs no font from
elsewhere.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tallymark.demo.run import run
from tallymark.top.display import PlainDisplay
from tallymark.top.screen import rich_table
from tallymark.top.table import Table

PICTURE = Path(__file__).parents[1] / "docs" / "figures" / "demo.svg"
SECONDS = 10.0
PORT = 9464
COLUMNS = 82

THEME = TerminalTheme(
    (22, 27, 34),
    (230, 237, 243),
    [
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (57, 197, 207),
        (177, 186, 196),
    ],
)
"""Light on dark, whether the page around it is light or dark."""

FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="tallymark demo in a terminal">
<!-- Drawn by tools/demo_picture.py, with Rich -->
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""Rich's own, without its fonts, which would come from another site."""


class LastTable(PlainDisplay):
    """Keeps the last table that the demo showed."""

    def __init__(self) -> None:
        self.tables: list[Table] = []

    def show(self, table: Table) -> None:
        self.tables = [table]

    def summarise(self, table: Table) -> None:
        pass


def draw(greeting: str, table: Table) -> str:
    """Return the picture of a terminal in which the demo greets, and shows its table."""
    console = Console(record=True, file=StringIO(), force_terminal=True, width=COLUMNS, color_system="truecolor")
    console.print(Text("$ tallymark demo", style="bold green"))
    console.print(Text(greeting))
    console.print(Text())
    console.print(rich_table(table, COLUMNS))
    picture = console.export_svg(title="tallymark demo", theme=THEME, code_format=FORMAT, unique_id="demo")
    # Letters fill their column in every font, so that no line of the table has gaps.
    return picture.replace(" textLength=", ' lengthAdjust="spacingAndGlyphs" textLength=')


def main() -> int:
    """Run the demo and write the picture; return the exit status."""
    last = LastTable()
    with redirect_stdout(StringIO()) as printed:
        run(seconds=SECONDS, port=PORT, rate=200.0, display=last)
    greeting = "\n".join(printed.getvalue().splitlines()[:2])
    if "in use" in greeting:
        print(f"port {PORT} is in use, and the picture would say so: try again later", file=sys.stderr)
        return 1
    PICTURE.write_text(draw(greeting, *last.tables), encoding="utf-8")
    print(PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
