"""Texts and numbers from outside, cleaned for use as tags and limits, or rejected."""

from __future__ import annotations

from tallymark.engine.options import TagLimits

__all__ = ["LIMITS", "MAX_READ", "clean", "positive"]

MAX_READ = 64 * 1024
"""How much is read of one file or variable, in bytes or characters: far more than any of them has, and little memory."""

# A service's own limits are for its own tags: `host_info` may need more than ten.
LIMITS = TagLimits(max_tags=100)


def clean(value: object) -> str | None:
    """Return a text as one line that every backend takes, truncated to 200 characters; `None` if nothing is left of it.

    Control characters are removed, and so is all else that is invisible, such as direction marks, which make a log read
    backwards. Bytes that are no UTF-8 arrive as lone surrogates, which no exporter could write; such a text counts as none.
    """
    if not isinstance(value, str):
        return None
    value = value[:MAX_READ]
    if any("\ud800" <= character <= "\udfff" for character in value):
        return None
    return LIMITS.truncate("".join(filter(str.isprintable, value)).strip()) or None


def positive(text: str) -> int:
    """Return the number that a file of the kernel holds; 0 for anything else, such as `max` or `-1`."""
    text = text.strip()
    # 64 bits have 20 digits; `int` alone would also take "1_000", "+5" and other scripts' digits.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else 0
