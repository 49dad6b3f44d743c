"""`number_lines`: lines of a text and a number."""

from __future__ import annotations

from math import isfinite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["number_lines"]


def number_lines(
    texts: Sequence[str], values: Sequence[float], start: str, between: str, end: str, /
) -> tuple[bytes, int] | None:
    """Return a line for each finite number: `start`, its text, `between`, what `repr` writes of it, and `end`; and how many.

    Return None where some value is no `float`: what is written of others, the exporter knows.

    Raises:
        TypeError: a text is none.
        ValueError: there are not as many values as texts. `UnicodeEncodeError` for a text that cannot be encoded.
    """
    start, between, end = map(_text, (start, between, end))
    f"{start}{between}{end}".encode()  # an error without a line, too
    texts, values = tuple(texts), tuple(values)
    if len(texts) != len(values):
        raise ValueError(f"there are {len(texts)} texts and {len(values)} values")
    rows = list(zip(map(_text, texts), values, strict=True))
    if any(type(value) is not float for value in values):
        return None
    lines = [f"{start}{text}{between}{value!r}{end}" for text, value in rows if isfinite(value)]
    return "".join(lines).encode(), len(lines)


def _text(given: str) -> str:
    """Return a text: of a subclass too, that which it holds."""
    if not isinstance(given, str):
        raise TypeError(f"a line has a text, not a value of type {type(given).__name__}")
    return str.__str__(given)
