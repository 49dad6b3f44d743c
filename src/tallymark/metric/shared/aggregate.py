"""How the values that processes have in one gauge make up its value."""

from __future__ import annotations

import struct
from math import fsum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["combine", "double_of"]


def _sum(values: list[float]) -> float:
    try:
        return fsum(values)
    except (ValueError, OverflowError):  # infinities of both signs, or beyond what a double holds
        return sum(values)


_COMBINE: dict[str, Callable[[list[float]], float]] = {"sum": _sum, "max": max, "min": min}


def combine(aggregate: str, values: list[float]) -> float:
    """Return what the values that processes have in a gauge make up: their `"sum"`, `"max"` or `"min"`."""
    return float(_COMBINE[aggregate](values))


def double_of(word: int) -> float:
    """Return the double that a cell holds."""
    value: float = struct.unpack("d", struct.pack("Q", word))[0]
    return value
