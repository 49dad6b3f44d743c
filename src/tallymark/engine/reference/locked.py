"""`Scalar` and `Distribution`, as the instruments use them: with locks where CPython can run without a GIL.

The lock is held for what is headed `Atomic`, and nothing is called under it: no signal handler, finaliser or other code runs
there. So whoever waits for it waits for a few assignments. Records to a live series take no other lock.
"""

from __future__ import annotations

from bisect import bisect_left

from tallymark.engine.lock import FREE_THREADED, cells
from tallymark.engine.reference import distribution, scalar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from tallymark.engine.reference.distribution import Distribution
    from tallymark.engine.reference.scalar import Scalar

__all__ = ["Distribution", "LockedDistribution", "LockedScalar", "Scalar"]


class LockedScalar(scalar.Scalar):
    """A scalar that threads may update at the same time."""

    __slots__ = ()

    def _add(self, amount: float) -> Self | None:
        series: Self | None = self
        while series is not None:
            with cells:
                # Atomic
                if series._live:
                    series._value += amount
                    return series
            series = series._family.wake(series)
        return None

    def _store(self, value: float) -> None:
        series: scalar.Scalar | None = self
        while series is not None:
            with cells:
                # Atomic
                if series._live:
                    series._value = value
                    return
            series = series._family.wake(series)

    def _clear(self, mark: object) -> bool:
        with cells:
            # Atomic
            if self._live and (mark is None or (self._value, self._records) == mark):
                self._live = False
                self._value = 0.0
                self._records = 0
                return True
        return False


class LockedDistribution(distribution.Distribution):
    """A distribution that threads may update at the same time. A row never changes: it is replaced, so readers need no lock."""

    __slots__ = ()

    def _observe(self, value: float) -> Self | None:
        bounds = self._family.options.bounds
        if not bounds:
            return self._observe_exponentially(value)
        bucket = bisect_left(bounds, value)
        series: Self | None = self
        while series is not None:
            with cells:
                # Atomic
                if series._live:
                    *counts, total, smallest, largest = series._cells
                    counts[bucket] += 1
                    smallest = value if value < smallest else smallest
                    largest = value if value > largest else largest
                    series._cells = [*counts, total + value, smallest, largest]
                    return series
            series = series._family.wake(series)
        return None

    def _replace(self, before: object, following: object) -> bool:
        with cells:
            # Atomic
            if self._live and self._cells is before:
                self._cells = following
                return True
        return False

    def _clear(self, mark: object) -> bool:
        empty = self._empty()
        with cells:
            # Atomic
            if self._live and (mark is None or self._cells == mark):
                self._live = False
                self._cells = empty
                return True
        return False


if not TYPE_CHECKING:
    Scalar = LockedScalar if FREE_THREADED else scalar.Scalar
    Distribution = LockedDistribution if FREE_THREADED else distribution.Distribution
