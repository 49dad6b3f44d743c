"""Where reports go: how wide it is, and whether it shows colours. Rich colours them; without it they are plain."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from typing import TextIO

from tallymark.bench.show.layout import Line

WIDTH = 80  # of what is not a terminal
NARROWEST = 40  # figures and the names of metrics need them

#: Colours never stand alone: a sign or a word says the same.
STYLES = {"better": "green", "worse": "red", "warning": "yellow", "failure": "bold red", "heading": "bold", "header": "bold"}


def columns(stream: TextIO) -> int:
    """Return the columns of a terminal (COLUMNS, if it is set), and 80 of anything else."""
    return max(NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns) if stream.isatty() else WIDTH


def is_coloured(stream: TextIO) -> bool:
    """Return True for a terminal, unless NO_COLOR is set or TERM is dumb; FORCE_COLOR makes colours elsewhere too."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def write(lines: Iterable[Line], stream: TextIO) -> None:
    """Write lines, in colour where they can be. What the stream cannot encode is written as backslash escapes."""
    encoding = stream.encoding or "utf-8"
    shown = [[(text.encode(encoding, "backslashreplace").decode(encoding), style) for text, style in line] for line in lines]
    if not (is_coloured(stream) and _write_coloured(shown, stream)):
        stream.write("".join("".join(text for text, _ in line).rstrip() + "\n" for line in shown))


def _write_coloured(lines: Iterable[Line], stream: TextIO) -> bool:
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        return False
    console = Console(file=stream, force_terminal=True, color_system="standard", highlight=False, markup=False, emoji=False)
    for line in lines:
        text = Text()
        for piece, style in line:
            text.append(piece, STYLES.get(style))
        console.print(text, soft_wrap=True)
    return True
