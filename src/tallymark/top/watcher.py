"""`Watcher`: reads a source again and again, and tells what went on meanwhile."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from tallymark.frozen import Frozen
from tallymark.read.errors import ReadError
from tallymark.top.view import read_view

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from tallymark.metric.shared.contents import LivingProcess
    from tallymark.metric.snapshot import Snapshot
    from tallymark.top.view import View

    class Readable(Protocol):
        """What can be watched: a `tallymark.read.Source`, for example."""

        name: str
        processes: tuple[LivingProcess, ...]

        def snapshot(self) -> Snapshot: ...


__all__ = ["WINDOW", "Reading", "Watcher"]

WINDOW = 10.0
"""Seconds over which rates and quantiles are told: long enough to be steady, short enough to see a change."""

_SHARE = 5
"""Of one processor, reading takes no more than one part in so many."""

_MOST_KEPT = 20
"""Snapshots: they may be large."""


class Reading(Frozen):
    """What is known after a reading.

    Attributes:
        source: its name.
        view: of the last snapshot that could be taken.
        trouble: why none could be taken now; empty if one was.
        pids: of the processes that have a shared file open.
        every: seconds to the next reading.
    """

    __slots__ = ("every", "pids", "source", "trouble", "view")

    source: str
    view: View
    trouble: str
    pids: tuple[int, ...]
    every: float


class Watcher:
    """Reads a source. The first reading must succeed.

    Args:
        source: what is read.
        every: seconds from one reading to the next, at the least.
        window: seconds over which rates are told.
        cpu_clock: seconds of processor time that this thread has used.
    """

    def __init__(
        self, source: Readable, every: float, window: float = WINDOW, cpu_clock: Callable[[], float] = time.thread_time
    ) -> None:
        self._source = source
        self._every = every
        self._window = window
        self._cpu_clock = cpu_clock
        self._snapshots: deque[Snapshot] = deque()
        self._last: Reading | None = None

    def read(self) -> Reading:
        """Read the source. What has been read before stays if it cannot be read now.

        Raises:
            ReadError: it could not be read, and has never been.
        """
        start = self._cpu_clock()
        trouble = ""
        try:
            view = self._look()
        except ReadError as error:
            if self._last is None:
                raise
            view, trouble = self._last.view, str(error)
        every = max(self._every, _SHARE * (self._cpu_clock() - start))
        pids = tuple([process.pid for process in self._source.processes])
        self._last = Reading(self._source.name, view, trouble, pids, every)
        return self._last

    def _look(self) -> View:
        now = self._source.snapshot()
        if self._snapshots and now.time <= self._snapshots[-1].time:
            self._snapshots.clear()  # the clock was set back
        # The oldest stays until another one is as old as the window.
        while len(self._snapshots) > 1 and self._snapshots[1].time <= now.time - self._window:
            self._snapshots.popleft()
        view = read_view(self._snapshots[0] if self._snapshots else None, now)
        if not self._snapshots or now.time - self._snapshots[-1].time >= self._window / _MOST_KEPT:
            self._snapshots.append(now)
        return view
