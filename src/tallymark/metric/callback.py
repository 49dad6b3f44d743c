"""Instruments whose value a callback returns when the registry is read."""

from __future__ import annotations

import math

from tallymark.engine.lock import slow_path
from tallymark.engine.number import to_float

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeAlias

    from tallymark.engine import Counter, Gauge
    from tallymark.engine.number import Number

    Callback: TypeAlias = Callable[[], Number | Iterable[tuple[Mapping[str, object], Number]]]
    """Returns the present value (of a counter: the total), or pairs of tags and value, one for each series."""

__all__ = ["CallbackInstrument"]


class CallbackInstrument:
    """An instrument, the callback that returns its values, and what that returned last time.

    A counter that processes share is the sum of what callbacks return in all of them: each call adds the growth since the last.
    """

    __slots__ = ("_adds", "_callback", "_instrument", "_last")

    def __init__(self, instrument: Counter | Gauge, callback: Callback, *, shared: bool = False) -> None:
        self._instrument = instrument
        self._callback = callback
        self._adds = shared and instrument.kind == "counter"
        self._last: dict[Counter | Gauge, Any] = {}

    def refresh(self) -> None:
        """Call the callback and store what it returns; remove the series that it no longer returns.

        Raises:
            Exception: what the callback raises, or `TypeError` for a result of another form.
        """
        returned: Any = self._callback()
        is_number = hasattr(type(returned), "__float__") or hasattr(type(returned), "__index__")
        values: dict[Counter | Gauge, Any] = {}
        for tags, value in [({}, returned)] if is_number else returned:
            series = self._instrument.with_tags(tags)
            values[series] = values[series] + value if series in values else value  # several may share the overflow series
        with slow_path():  # another thread may read at the same time
            before, self._last = self._last, values
        for series, value in values.items():
            if not self._adds or not _add(series, before.get(series, 0.0), value):
                series._set_from_callback(value)
        for series in before.keys() - values.keys() if not self._adds else ():
            series.remove()


def _add(series: Counter | Gauge, before: Any, total: Any) -> bool:
    """Add what a total grew by, or all of it if it restarted; return False if it is not a total."""
    was, now = to_float(before), to_float(total)
    if not 0.0 <= now < math.inf:
        return False
    series.inc(now - was if 0.0 <= was <= now else now)
    return True
