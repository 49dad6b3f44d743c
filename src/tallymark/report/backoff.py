"""`Backoff`: how long to wait before what failed is tried again."""

from __future__ import annotations

from random import SystemRandom
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Backoff", "random"]

random = SystemRandom().random
"""Not that of the service, which may have a seed, and whose numbers are its own."""


class Backoff:
    """Waits that grow with each failure, and are random, so that clients that failed together do not come back together.

    Source: Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), "full jitter".

    Args:
        base: seconds, the limit of the first wait; that of each next one is twice as long.
        most: seconds, the limit of all.
        random: returns a number in [0, 1).

    Attributes:
        failures: how many there were since the last success.
    """

    def __init__(self, base: float = 1.0, most: float = 60.0, random: Callable[[], float] = random) -> None:
        self._base = base
        self._most = most
        self._random = random
        self.failures = 0

    def failed(self, after: float = 0.0) -> float:
        """Return the seconds to wait after one more failure: `after` at least, which the other side asks for."""
        limit = min(self._base * 2.0 ** min(self.failures, 60), self._most)
        self.failures += 1
        return after + limit * self._random()

    def succeeded(self) -> None:
        """Begin anew."""
        self.failures = 0
