"""Text from elsewhere, as a table shows it: nothing in it moves the cursor, colours, or reorders what is beside it."""

from __future__ import annotations

from unicodedata import bidirectional, category, east_asian_width

from tallymark.metric.shared.printable import printable

__all__ = ["cut", "shown", "width"]

_LONGEST = 200
_RIGHT_TO_LEFT = ("R", "AL", "AN")
_AS_EMOJI = "\ufe0f"
"""What makes the sign before it an emoji, which is wider by a column."""


def shown(text: str) -> str:
    """Return a text with backslash escapes for what is not printable, or written from right to left; shortened if very long."""
    text = printable(text[:_LONGEST]) + ("…" if len(text) > _LONGEST else "")
    if text.isascii():
        return text
    return "".join([one.encode("unicode_escape").decode() if bidirectional(one) in _RIGHT_TO_LEFT else one for one in text])


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(one: str) -> int:
    if category(one) in ("Mn", "Me") and one != _AS_EMOJI:
        return 0
    return 2 if east_asian_width(one) in "WF" else 1


def cut(text: str, columns: int) -> str:
    """Return a text that takes no more than so many columns."""
    if width(text) <= columns:
        return text
    taken = 1  # of the ellipsis
    for end, one in enumerate(text):
        taken += _columns(one)
        if taken > columns:
            return text[:end] + "…"
    return text
