"""Instruments whose value a callback returns when the registry is read."""

from __future__ import annotations

import math
import os
import time
from _thread import allocate_lock

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

_FROM_ZERO = (time.process_time, time.process_time_ns)
"""What the system counts for each process: a forked child begins with 0. Our own callbacks tell it by `starts_anew`."""


class CallbackInstrument:
    """An instrument, the callback that returns its values, and what that returned last time.

    A counter that processes share is the sum of what callbacks return in all of them: each call adds the growth since the last.
    In a forked child, that is the growth since its parent's last call, if the total goes on there. The parent's last call does
    not count if the total starts anew: if it is less now, or known to.
    """

    __slots__ = ("_adds", "_busy", "_callback", "_forgets", "_forks", "_instrument", "_last")

    def __init__(
        self,
        instrument: Counter | Gauge,
        callback: Callback,
        *,
        shared: bool = False,
        replaces: CallbackInstrument | None = None,
    ) -> None:
        self._instrument = instrument
        self._callback = callback
        self._adds = shared and instrument.kind == "counter"
        starts_anew = callback in _FROM_ZERO or getattr(callback, "starts_anew", False) is True
        self._forgets = shared and (starts_anew or not self._adds)  # a parent's gauges are not its child's to remove
        self._forks = _forks[0]
        self._busy = allocate_lock()
        # What an earlier callback returned, and this one does not, goes.
        self._last: dict[Counter | Gauge, Any] = {} if replaces is None else replaces._last

    def is_of(self, instrument: Counter | Gauge, callback: Callback) -> bool:
        """Return True if it is made of these."""
        return self._instrument is instrument and self._callback == callback

    def refresh(self) -> None:
        """Call the callback and store what it returns; remove the series that it no longer returns.

        While another thread does so, this one goes on with what was returned before: a callback that waits delays only who
        called it.

        Raises:
            Exception: what the callback raises, or `TypeError` for a result of another form.
        """
        self._follow_fork()
        busy = self._busy
        if busy.acquire(blocking=False):
            try:
                self._store(self._callback())
            finally:
                busy.release()

    def _follow_fork(self) -> None:
        if self._forks != _forks[0]:
            self._forks = _forks[0]
            self._busy = allocate_lock()  # the thread that has the old one does not exist here
            if self._forgets:
                self._last = {}

    def _store(self, returned: Any) -> None:
        is_number = hasattr(type(returned), "__float__") or hasattr(type(returned), "__index__")
        values: dict[Counter | Gauge, Any] = {}
        for tags, value in [({}, returned)] if is_number else returned:
            series = self._instrument.with_tags(tags)
            values[series] = values[series] + value if series in values else value  # several may share the overflow series
        before, self._last = self._last, values
        for series, value in values.items():
            if not self._adds or not _add(series, before.get(series), value):
                series._set_from_callback(value)
        for series in before.keys() - values.keys() if not self._adds else ():
            series.remove()


def _add(series: Any, before: Any, total: Any) -> bool:
    """Add what a total grew by, or all of it if it restarted; return False if it is not a total."""
    was, now = to_float(before or 0.0), to_float(total)
    if not 0.0 <= now < math.inf:
        return False
    growth = now - was if 0.0 <= was <= now else now
    if growth > 0.0 or before is None:  # else a series that another process saw expire would come back, as 0
        series.inc(growth)
    series._touch()
    return True


_forks = [0]
"""How many forks led to this process."""


def _in_child() -> None:
    _forks[0] += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
