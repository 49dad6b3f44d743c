"""`ProcessValues`: gauges of which each process has its own value, combined when they are read."""

from __future__ import annotations

import struct
from math import fsum

from tallymark.engine.columns import Columns
from tallymark.engine.text import text_tags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["ProcessValues", "combine", "double_of"]


def _sum(values: list[float]) -> float:
    try:
        return fsum(values)
    except (ValueError, OverflowError):  # infinities of both signs, or beyond what a double holds
        return sum(values)


_COMBINE: dict[str, Callable[[list[float]], float]] = {"sum": _sum, "max": max, "min": min}


def combine(aggregate: str, values: list[float]) -> float:
    """Return what the values that processes have in a gauge make up: their `"sum"`, `"max"` or `"min"`."""
    return float(_COMBINE[aggregate](values))


class ProcessValues:
    """Reads and ends the series of such gauges. Each series combines the values of its processes."""

    def __init__(self, shared: Any) -> None:
        self._shared = shared
        self._marks: dict[int, dict[bytes, tuple[int, float]]] = {}  # by offset: the mark of each series, and since when

    def read(self, engine: Any, offset: int, aggregate: str) -> Columns | None:
        """Return the series of a gauge; None where it has none."""
        values = self._series(offset)
        found = {text: tags for text in values if (tags := text_tags(text)) is not None}
        if not found:
            return None
        return Columns(
            tuple(engine.TagSet(tags) for tags in found.values()),
            tuple(min(created for created, _ in values[text]) for text in found),
            tuple(combine(aggregate, [double_of(word) for _, word in values[text]]) for text in found),
        )

    def expire(self, offset: int, ttl: float | None, now: float) -> int:
        """Remove the series of which no value changed for `ttl` seconds; return how many. Otherwise as `Registry.expire`."""
        if ttl is None:
            return 0
        before, after, removed = self._marks.get(offset, {}), {}, 0
        for text, values in self._series(offset).items():
            mark = sum(word for _, word in values) % 2**64
            present, since = before.get(text, (mark, now))
            if present != mark:
                since = now
            if now - since >= ttl and self._shared.expire(offset, text, mark):
                removed += 1
            else:
                after[text] = mark, since
        self._marks[offset] = after
        return removed

    def _series(self, offset: int) -> dict[bytes, list[tuple[float, int]]]:
        values: dict[bytes, list[tuple[float, int]]] = {}
        for text, _, created, (word,) in self._shared.series(offset):
            values.setdefault(text, []).append((created, word))
        return values


def double_of(word: int) -> float:
    """Return the double that a cell holds."""
    value: float = struct.unpack("d", struct.pack("Q", word))[0]
    return value
