"""How many allocations an operation costs in steady state, counted at CPython's allocators."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tallymark.bench import _allocs  # type: ignore[attr-defined]

__all__ = ["Allocations", "allocations_per_op"]


class Allocations(NamedTuple):
    """What one operation asks of the allocators. Fractions are kept: they are what happens once in a while.

    Attributes:
        allocs: allocations, on whichever of CPython's allocator domains they enter.
        bytes: bytes asked for by these.
    """

    allocs: float
    bytes: float


def allocations_per_op(loop: Callable[[Iterable[None]], object], n: int = 1000) -> Allocations:
    """Return the allocations of one iteration of `loop`, a function that runs its operation once for each item it is given.

    The operations are warmed up first. What the loop itself costs once cancels out: `(A(3n) - A(n)) / 2n`, the smallest of
    five, as anything else that runs meanwhile only adds.
    """
    loop(itertools.repeat(None, n))
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        loop(itertools.repeat(None, n))  # collecting emptied the free lists
        samples = [_difference(_count(loop, n), _count(loop, 3 * n), 2 * n) for _ in range(5)]
    finally:
        if collecting:
            gc.enable()
    return min(samples)


def _count(loop: Callable[[Iterable[None]], object], n: int) -> tuple[int, int]:
    iterations = itertools.repeat(None, n)
    _allocs.start()
    try:
        loop(iterations)
    finally:
        count, size, _, _ = _allocs.stop()
    return count, size


def _difference(once: tuple[int, int], thrice: tuple[int, int], n: int) -> Allocations:
    return Allocations((thrice[0] - once[0]) / n, (thrice[1] - once[1]) / n)
