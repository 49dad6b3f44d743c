"""`Readings`: one reading of a registry for all who look at it, through whichever server of this process."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from tallymark.serve.live.documents import Documents

if TYPE_CHECKING:
    from tallymark.metric.registry import Registry

__all__ = ["EVERY", "Reading", "Readings", "readings_of"]

EVERY = 1.0
"""Seconds between two readings, unless they cost too much."""
_MOST_OF_A_CORE = 0.02
"""The part of a core that readings may take."""
_MOST_OF_THE_TIME = 0.25
"""The part of the time that readings may take, most of it in collectors that wait for something: scrapes wait meanwhile."""
_IS_RECENT = 0.75
"""The part of the time between two readings for which the last one will do. Who asks late must not make the next one wait."""
_PATIENCE = 10.0
"""Seconds to wait for a reading that another thread makes, where there is none yet."""
_IS_OLD, _MOMENT = 60.0, 1.0
"""Seconds after which the last reading tells nothing any more, and to wait then: briefly, as a server may have one thread."""


class Reading(NamedTuple):
    """A registry as it was at one moment.

    Attributes:
        number: one more than that of the reading before.
        changes: the document of what changed since; empty if nobody can need it.
        whole: the document of everything; None if nobody asked for it.
        every: seconds until the next reading.
        made: when it was made, on a clock that never steps.
    """

    number: int
    changes: bytes
    whole: bytes | None
    every: float
    made: float


class Readings:
    """The readings of one registry. Any thread may ask for one."""

    def __init__(self, registry: Registry) -> None:
        self._documents = Documents(registry)
        self._reading = threading.Lock()  # held while the registry is read
        self._watching = threading.Lock()
        self._watchers = 0
        self._number = 0
        self._last: Reading | None = None
        self._every = EVERY

    def get(self, registry: Registry, *, whole: bool) -> Reading:
        """Return a reading: a new one, unless the last one is recent, or another thread is about to make one.

        Args:
            registry: whose readings these are. They do not keep it alive.
            whole: the document of everything is needed.

        Raises:
            TimeoutError: another thread makes the first one, or the first one for long, and is not done in time.
            Exception: what reading the registry raised.
        """
        last = self._last
        patience = 0.0 if last is not None and (last.whole or not whole) else _PATIENCE
        if last is not None and time.monotonic() - last.made > max(_IS_OLD, 2 * last.every):
            patience = _MOMENT
        if not self._reading.acquire(timeout=patience):
            if last is None or patience:
                raise TimeoutError("the registry is still being read, for another client")
            return last
        try:
            return self._present(registry, whole=whole)
        finally:
            self._reading.release()

    def _present(self, registry: Registry, *, whole: bool) -> Reading:
        last = self._last
        try:
            if last is None or time.monotonic() - last.made >= _IS_RECENT * last.every:
                last = self._read(registry, is_first=last is None)
            if whole and last.whole is None:
                last = last._replace(whole=self._documents.whole())
        except BaseException:
            self._forget()
            raise
        self._last = last
        return last

    def _read(self, registry: Registry, *, is_first: bool) -> Reading:
        began, used = time.monotonic(), time.thread_time()
        # Of those who ask again and again, and of those who come first, everybody needs everything.
        changes = self._documents.read(registry, self._every, tells=self._watchers > 0 and not is_first)
        made, used = time.monotonic(), time.thread_time() - used
        self._number += 1
        if not is_first:  # which costs more than the others will
            self._every = max(EVERY, used / _MOST_OF_A_CORE, (made - began) / _MOST_OF_THE_TIME)
        return Reading(self._number, changes, None, self._every, made)

    def _forget(self) -> None:
        self._documents.forget()
        self._last = None
        self._number += 1  # nobody may take the next changes for those since what was seen last

    def watch(self) -> None:
        """Note that somebody will ask for one reading after the other."""
        with self._watching:
            self._watchers += 1

    def unwatch(self) -> None:
        """Note that one who watched does so no more. When nobody does, what was read is forgotten."""
        with self._watching:
            self._watchers -= 1
            is_over = not self._watchers
        if is_over and self._reading.acquire(blocking=False):
            self._forget()
            self._reading.release()


_readings: WeakKeyDictionary[Registry, Readings] = WeakKeyDictionary()
_making = threading.Lock()


def readings_of(registry: Registry) -> Readings:
    """Return the readings of a registry in this process."""
    with _making:
        found = _readings.get(registry)
        if found is None:
            found = _readings[registry] = Readings(registry)
        return found


def _begin_anew() -> None:
    # In a forked child: a thread that was reading is the parent's, and never releases what it holds.
    global _readings, _making
    _readings, _making = WeakKeyDictionary(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
