"""`Feed`: who looks at the live page, and what each is sent. It costs nothing while nobody looks.

A viewer is first sent the document of everything, and then, once a second, that of what changed. One who has not taken the last
one yet is not sent another: later it is sent everything anew, and nothing is kept for it. So a viewer holds one document at
most, which others hold too. A stuck one would hold an old one for itself: where there are many of those, the oldest are taken
away, and with them the connections.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tallymark.serve.live.readings import readings_of
from tallymark.serve.pages import log_failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallymark.serve.limits import Limits
    from tallymark.serve.renderer import Renderer
    from tallymark.serve.shared_pages import EventLoop, Timer

__all__ = ["HEARTBEAT", "Feed", "Viewer"]

HEARTBEAT = b":\n\n"
"""A comment: browsers ignore it, and proxies see that the connection is in use."""
_NEVER = -1


class Viewer(Protocol):
    """Who looks. It is sent one event at a time."""

    def show(self, event: bytes) -> None:
        """Begin to send an event. `Feed.is_ready` is called when all of it is sent."""

    def abort(self) -> None:
        """Let go of what is being sent, at once, and end."""


class _Seen:
    """What a viewer was sent.

    Attributes:
        number: of the last reading.
        last: when it was sent something.
        is_busy: whether it has not taken all of that.
    """

    __slots__ = ("is_busy", "last", "number")

    def __init__(self, now: float) -> None:
        self.number = _NEVER
        self.last = now
        self.is_busy = True  # with the beginning of the response


class _Told(NamedTuple):
    """A reading, as events."""

    number: int
    every: float
    changes: bytes | None
    whole: bytes | None


class Feed:
    """The viewers of one registry in one event loop. Used in the loop's thread alone, except `close`.

    Args:
        renderer: in whose thread the registry is read.
        loop: the event loop.
        limits: what viewers may cost.
        most: returns how many viewers there may be now; if not given, it is `limits.viewers`.
        is_ending: returns True if the loop is about to end, and waits for viewers to leave.
    """

    def __init__(
        self,
        renderer: Renderer,
        loop: EventLoop,
        limits: Limits,
        most: Callable[[], int] | None = None,
        is_ending: Callable[[], bool] = bool,
    ) -> None:
        self._renderer = renderer
        self._readings = readings_of(renderer.registry)
        self._loop = loop
        self._limits = limits
        self._most = most or (lambda: limits.viewers)
        self._is_ending = is_ending
        self._process = os.getpid()
        self._viewers: dict[Viewer, _Seen] = {}
        self._told: _Told | None = None
        self._due = 0.0  # when the next reading is to be made
        self._timer: Timer | None = None
        self._watches = self._asking = self._stopped = False

    # Viewers

    def join(self, viewer: Viewer) -> bool:
        """Send a viewer events, as soon as it is ready; return False if there are too many."""
        if self._stopped or len(self._viewers) >= self._most():
            return False
        self._viewers[viewer] = _Seen(self._loop.time())
        if not self._watches:
            self._watches = True
            self._readings.watch()
            self._renderer.registry.attach(self)
        if not self._is_fresh():
            self._ask()
        return True

    def is_ready(self, viewer: Viewer) -> None:
        """Note that a viewer has taken all that it was sent."""
        seen = self._viewers.get(viewer)
        if seen is None:
            return
        seen.is_busy = False
        if seen.number == _NEVER:
            if self._told is not None and self._is_fresh():
                self._show(viewer, self._told)
            else:
                self._ask()

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer, if it is known; with the last one, all that was read."""
        if self._viewers.pop(viewer, None) is not None and not self._viewers:
            self._let_go()

    def is_idle(self) -> bool:
        """Return True if nobody looks."""
        return not self._viewers

    def _is_fresh(self) -> bool:
        """Return True if there is a document of everything that a new viewer can be sent."""
        return self._told is not None and self._told.whole is not None and self._loop.time() < self._due

    # Turns

    def _turn(self) -> None:
        self._timer = None
        now = self._loop.time()
        if self._is_ending():
            self._end()
        if not self._viewers:
            return
        if now >= self._due:
            self._ask()
        for viewer, seen in list(self._viewers.items()):
            if not seen.is_busy and now - seen.last >= self._limits.heartbeat:
                self._send(viewer, seen, HEARTBEAT)
        if self._timer is None:  # else whoever asked has set it
            self._turn_at(now + self._limits.heartbeat if self._asking else self._due)

    def _turn_at(self, when: float) -> None:
        self._cancel()
        if self._viewers:
            self._timer = self._loop.call_at(min(when, self._loop.time() + self._limits.heartbeat), self._turn)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ask(self) -> None:
        """Have the registry read, unless that is about to happen."""
        if self._asking or self._stopped:
            return
        present = _NEVER if self._told is None else self._told.number
        whole = any(seen.number == _NEVER or not (seen.is_busy or seen.number == present) for seen in self._viewers.values())
        self._asking = True
        if self._timer is None:
            self._turn_at(self._loop.time() + self._limits.heartbeat)
        # Last of all: the other thread needs the GIL, and would wait for what this one does yet.
        if not self._renderer.call(lambda: self._read(whole)):  # there cannot be a thread now
            self._asking = False
            self._due = self._loop.time() + self._limits.retry
            self._turn_at(self._due)

    def _read(self, whole: bool) -> None:
        """Read the registry, in the renderer's thread."""
        told: _Told | None = None
        try:
            reading = self._readings.get(self._renderer.registry, whole=whole)
            told = _Told(reading.number, reading.every, _event(reading.changes), _event(reading.whole))
        except TimeoutError:  # another thread reads it, and for long
            pass
        except BaseException as error:  # a callback's sys.exit() ends neither this thread nor the process
            log_failure(self._renderer.registry, error)
        try:
            self._loop.call_soon_threadsafe(self._deliver, told)
        except RuntimeError:
            self.abandon()

    def _deliver(self, told: _Told | None) -> None:
        self._asking = False
        if not self._viewers:
            return
        self._due = self._loop.time() + (told.every if told is not None else self._limits.retry)
        if told is not None:
            self._told = told
            for viewer in list(self._viewers):
                self._show(viewer, told)
            self._take_away()
            # Who came while it was read needs all of it.
            if told.whole is None and any(seen.number == _NEVER for seen in self._viewers.values()):
                self._ask()
        self._turn_at(self._due)

    def _show(self, viewer: Viewer, told: _Told) -> None:
        seen = self._viewers.get(viewer)
        if seen is None or seen.is_busy or seen.number == told.number:
            return
        event = told.changes if told.changes and seen.number == told.number - 1 else told.whole
        if event:  # else all of it is asked for next time
            seen.number = told.number
            self._send(viewer, seen, event)

    def _send(self, viewer: Viewer, seen: _Seen, event: bytes) -> None:
        seen.is_busy = True
        seen.last = self._loop.time()
        viewer.show(event)

    def _take_away(self) -> None:
        """Take old documents away from those that are stuck, if they hold too many different ones, or one for very long."""
        now = self._loop.time()
        stuck = {viewer: seen for viewer, seen in self._viewers.items() if seen.is_busy and now - seen.last > self._limits.hold}
        if not stuck:
            return
        numbers = sorted({seen.number for seen in stuck.values()})
        too_old = numbers[: -self._limits.pages]
        for viewer, seen in stuck.items():
            if seen.number in too_old or now - seen.last > self._limits.page:
                self.leave(viewer)
                viewer.abort()

    # Ending

    def close(self) -> None:
        """End all viewers soon: the registry closes. May be called from any thread; in a forked child, it does nothing."""
        if self._process != os.getpid():  # the loop is the parent's
            return
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._end_all, None)

    def _end_all(self, _: object) -> None:
        self._end()

    def _end(self) -> None:
        for viewer in list(self._viewers):
            self.leave(viewer)
            viewer.abort()

    def stop(self) -> None:
        """End all viewers now, and take no more."""
        self._stopped = True
        self._end()

    def abandon(self) -> None:
        """Forget all viewers: the loop has ended, and they with it."""
        self._viewers.clear()
        self._let_go()

    def _let_go(self) -> None:
        self._cancel()
        self._told = None
        if self._watches:
            self._watches = False
            self._renderer.registry.detach(self)
            self._renderer.call(self._readings.unwatch)  # to give megabytes back to the system takes milliseconds


def _event(document: bytes | None) -> bytes | None:
    return b"data: %b\n\n" % document if document else None
