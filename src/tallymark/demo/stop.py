"""The wish to end, by Ctrl-C or `kill`."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

__all__ = ["Stop", "stop_on_signals"]


class Stop:
    """A wish to end that a signal handler may state at any moment, and that one thread waits for."""

    def __init__(self) -> None:
        # Not an Event: a handler that interrupts its own thread inside `Event.wait` would wait for that thread's lock for
        # ever. Of the standard library's means, a SimpleQueue is the one whose `put` may interrupt itself and `get`.
        self._wishes: SimpleQueue[int] = SimpleQueue()

    def state(self, signal_number: int = 0, frame: object = None) -> None:
        """State the wish. May be called from a signal handler."""
        self._wishes.put(signal_number)

    def wait(self, seconds: float) -> bool:
        """Wait until the wish is stated, but no longer than `seconds`; return True if it was. It stays stated."""
        try:
            wish = self._wishes.get(timeout=seconds)
        except Empty:
            return False
        self._wishes.put(wish)
        return True


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Have SIGINT and SIGTERM state a wish to end within a `with` block, which must be in the main thread."""
    stop = Stop()
    former = {number: signal.signal(number, stop.state) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
