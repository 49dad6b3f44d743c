"""Text for so many columns of a terminal: shortened in the middle, wrapped, and free of what would move the cursor."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

ELLIPSIS = "…"
WHOLE = "\N{NO-BREAK SPACE}"  # in a line that is filled: a space where it must not break
SHARES = (
    0.5,
    0.65,
    0.35,
    0.8,
    0.2,
    1.0,
    0.0,
)  # of what is kept of a name, how much is its start: the first that tells all apart
FEWEST = 8  # columns that a function's name keeps while its parameters are whole


def printable(text: str) -> str:
    """Return text with backslash escapes for what a terminal would obey, or an encoding rejects."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def split_name(name: str) -> tuple[str, str]:
    """Return the path of a benchmark's file, and its name there; no path if it has none, as pyperf's have not."""
    path, separator, own = name.partition("::")
    return (path, own) if separator else ("", name)


def cells(text: str) -> int:
    """Return how many columns a text takes: wide characters two (Unicode Standard Annex 11), all others at most one."""
    return len(text) if text.isascii() else sum(_cells(one) for one in text)


def _cells(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def head(text: str, width: int) -> str:
    """Return the longest start of a text that takes at most so many columns."""
    taken = 0
    for i, one in enumerate(text):
        taken += _cells(one)
        if taken > width:
            return text[:i]
    return text


def cut(text: str, width: int) -> str:
    """Return a text, or its start and an ellipsis."""
    return text if cells(text) <= width else head(text, width - 1) + ELLIPSIS


def middle(text: str, width: int, share: float = 0.5) -> str:
    """Return a text, or a share of it from its start, an ellipsis, and the rest from its end."""
    if cells(text) <= width:
        return text
    if width < 1:
        return ""
    front = round((width - 1) * share)
    return head(text, front) + ELLIPSIS + head(text[::-1], width - 1 - front)[::-1]


def shortened(names: Sequence[str], width: int) -> list[str] | None:
    """Return names for so many columns, such that different ones stay different; None if no way of cutting them does that."""
    for share in SHARES:
        found = [_shortened(name, width, share) for name in names]
        if len(set(found)) == len(set(names)):
            return found
    return None


def _shortened(name: str, width: int, share: float) -> str:
    """Shorten a function's name before its parameters."""
    function, bracket, rest = name.partition("[")
    params = bracket + rest
    kept = max(width - cells(params), min(FEWEST, cells(function), width // 2))
    short = middle(function, kept, share) if params and function else middle(function, width, share)
    return short + middle(params, width - cells(short), share)


def chunks(text: str, width: int) -> list[str]:
    """Return a text in pieces of at most so many columns; nothing is lost."""
    found = []
    while cells(text) > width:
        piece = head(text, width) or text[0]
        found.append(piece)
        text = text[len(piece) :]
    return [*found, text]


def filled(text: str, width: int, indent: str = "", first: str = "") -> Iterator[str]:
    """Yield lines of whole words within a width, the later ones indented. A word that is wider than a line stays whole."""
    line, empty = first, True
    for word in filter(None, text.split(" ")):
        longer = line + word if empty else f"{line} {word}"
        if not empty and cells(longer) > width:
            yield line.replace(WHOLE, " ")
            longer = indent + word
        line, empty = longer, False
    yield line.replace(WHOLE, " ")
