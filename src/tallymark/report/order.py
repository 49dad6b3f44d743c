"""`Order`: what one thread asks the reporters' thread for."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallymark.report.member import Member

    What: TypeAlias = Literal["report", "flush", "close"]

__all__ = ["Order"]


class Order:
    """A report now, a flush or a close; and its result, for which one thread waits.

    It waits for a plain lock, which it never holds while it runs: so a signal handler that interrupts it may wait for another.

    Args:
        what: is asked for.
        member: the reporter that is to do it.
        until: the moment after which nobody waits for it.

    Attributes:
        losses: how much had been given up before.
        result: True if everything has arrived.
    """

    def __init__(self, what: What, member: Member, until: float) -> None:
        self.what = what
        self.member = member
        self.until = until
        self.losses = 0
        self.result = False
        self._pending = Lock()
        self._pending.acquire()

    def finish(self, result: bool) -> None:
        """Let go on who waits. Called once, by the reporters' thread."""
        self.result = result
        self._pending.release()

    def wait(self, clock: Callable[[], float]) -> bool:
        """Wait until it is finished, or nobody waits for it any more; return the result."""
        if self._pending.acquire(timeout=max(self.until - clock(), 0.0)):
            return self.result
        return False
