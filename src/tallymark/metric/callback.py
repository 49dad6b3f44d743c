"""Instruments whose value a callback tells when the registry is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from tallymark.engine import Counter, Gauge, Number
from tallymark.engine.number import to_float

__all__ = ["Callback", "Observed"]

Callback: TypeAlias = Callable[[], Number | Iterable[tuple[Mapping[str, object], Number]]]
"""Returns the present value (of a counter: the total), or pairs of tags and value, one for each series."""


class Observed:
    """An instrument, the callback that tells its values, and what it told last time.

    A counter that processes share is the sum of what callbacks tell in all of them: each adds what came since it last told.
    """

    __slots__ = ("_adds", "_callback", "_instrument", "_told")

    def __init__(self, instrument: Counter | Gauge, callback: Callback, *, shared: bool = False) -> None:
        self._instrument = instrument
        self._callback = callback
        self._adds = shared and instrument.kind == "counter"
        self._told: dict[Counter | Gauge, Any] = {}

    def refresh(self) -> None:
        """Ask the callback and store what it says; remove the series that it no longer tells of.

        Raises:
            Exception: what the callback raises, or `TypeError` for a result of another form.
        """
        said: Any = self._callback()
        is_number = hasattr(type(said), "__float__") or hasattr(type(said), "__index__")
        told: dict[Counter | Gauge, Any] = {}
        for tags, value in [({}, said)] if is_number else said:
            series = self._instrument.with_tags(tags)
            told[series] = told[series] + value if series in told else value  # several go to an overflow series
        before, self._told = self._told, told
        for series, value in told.items():
            if not self._adds or not _add(series, before.get(series, 0.0), value):
                series._set_from_callback(value)
        for series in before.keys() - told.keys() if not self._adds else ():
            series.remove()


def _add(series: Counter | Gauge, before: Any, total: Any) -> bool:
    """Add what a total grew by, or all of it where it began anew; False where it is no total."""
    was, now = to_float(before), to_float(total)
    if not 0.0 <= now < math.inf:
        return False
    series.inc(now - was if 0.0 <= was <= now else now)
    return True
