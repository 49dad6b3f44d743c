"""Requests to stop, by Ctrl-C or `kill`."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

__all__ = ["Stop", "stop_on_signals"]


class Stop:
    """A request to stop: a signal handler may make it at any moment, and one thread waits for it."""

    def __init__(self) -> None:
        # Not an Event: a handler that interrupts its own thread inside `Event.wait` would wait for that thread's lock for
        # ever. In the standard library, only the `put` of a SimpleQueue may interrupt itself and `get`.
        self._requests: SimpleQueue[int] = SimpleQueue()

    def request(self, signal_number: int = 0, frame: object = None) -> None:
        """Request the stop. May be called from a signal handler."""
        self._requests.put(signal_number)

    def wait(self, seconds: float) -> bool:
        """Wait for a request, but no longer than `seconds`; return True if there was one, now or before."""
        try:
            made = self._requests.get(timeout=seconds)
        except Empty:
            return False
        self._requests.put(made)
        return True


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Have SIGINT and SIGTERM request a stop within a `with` block, which must be in the main thread."""
    stop = Stop()
    former = {number: signal.signal(number, stop.request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
