"""Interruptions: SIGINT, SIGTERM and SIGHUP end the measuring, and leave time to show and write what was measured."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interruption:
    """The signal that came, if any. The first one raises KeyboardInterrupt, once; later ones do nothing."""

    def __init__(self) -> None:
        self.signal = 0
        self.holds = 0
        self.waits = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            return
        self.signal, self.waits = number, True
        self.end_if_due()

    def end_if_due(self) -> None:
        if self.waits and not self.holds:
            self.waits = False
            raise KeyboardInterrupt

    @property
    def status(self) -> int:
        """The exit status of a process that a signal ended: 130 for SIGINT, 143 for SIGTERM; 0 if none came."""
        return 128 + self.signal if self.signal else 0


_current = [Interruption()]


@contextlib.contextmanager
def interruptible() -> Iterator[Interruption]:
    """Turn each of these signals into one KeyboardInterrupt, in this block. Only the main thread can.

    A signal that the process ignores, as under `nohup`, is still ignored.
    """
    made = Interruption()
    _current.append(made)
    mine = threading.current_thread() is threading.main_thread()  # no other can set handlers
    before: dict[int, Any] = {number: signal.getsignal(number) for number in (SIGNALS if mine else ())}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, made.handle)
        yield made
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
        _current.remove(made)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Delay an interruption to the end of this block, so that what it begins is also ended, or written in full."""
    current = _current[-1]
    current.holds += 1
    try:
        yield
    finally:
        current.holds -= 1
    current.end_if_due()
