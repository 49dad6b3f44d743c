"""Text from elsewhere, as a table shows it: nothing in it moves the cursor, colours, or reorders what is beside it."""

from __future__ import annotations

from unicodedata import bidirectional, east_asian_width

from tallymark.metric.shared.printable import printable

__all__ = ["cut", "shown", "width"]

_LONGEST = 200
_RIGHT_TO_LEFT = ("R", "AL", "AN")


def shown(text: str) -> str:
    """Return a text with backslash escapes for what is not printable, or written from right to left; shortened if very long."""
    text = printable(text[:_LONGEST]) + ("…" if len(text) > _LONGEST else "")
    if text.isascii():
        return text
    return "".join([one.encode("unicode_escape").decode() if bidirectional(one) in _RIGHT_TO_LEFT else one for one in text])


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return len(text) if text.isascii() else sum([2 if east_asian_width(one) in "WF" else 1 for one in text])


def cut(text: str, columns: int) -> str:
    """Return a text that takes no more than so many columns."""
    if width(text) <= columns:
        return text
    taken = 1  # of the ellipsis
    for end, one in enumerate(text):
        taken += width(one)
        if taken > columns:
            return text[:end] + "…"
    return text
