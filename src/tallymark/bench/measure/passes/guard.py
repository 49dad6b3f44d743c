"""What every pass is made of: batches of iterations, and a guard against what a benchmark may do to its process."""

from __future__ import annotations

import functools
import gc
import itertools
import os
import select
import time
from collections.abc import Iterable, Iterator, Sequence

from tallymark.bench.errors import BenchmarkFileError

Batch = Iterator[Iterable[None]]

clock = time.perf_counter


def repeat(n: int) -> Iterator[None]:
    """Return n iterations: unlike those of `range`, they allocate nothing."""
    return itertools.repeat(None, n)


def median(values: Sequence[float]) -> float:
    """Return the median; `statistics`, whose import takes longer than many a pass, is not for processes that measure."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


class Guard:
    """Checks, after the first op and before a batch repeats it, what the benchmark did to its process."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._forks = _count_forks()
        self._gc = (gc.isenabled(), gc.get_threshold())
        self.changes_gc = False

    def first(self) -> Batch:
        reader, writer = os.pipe()
        before = self._forks[0]
        yield repeat(1)
        if os.getpid() != self._process:
            os.write(writer, b"!")
        # A child that goes on in the loop forks again: the parent must know before it runs a batch.
        if os.getpid() != self._process or (self._forks[0] > before and select.select([reader], [], [], 0.5)[0]):
            raise BenchmarkFileError("forks: the child came back into b.loop(); end it with os._exit() within the op")
        os.close(reader)
        os.close(writer)
        self.look()

    def look(self) -> None:
        """Note if the collector's settings were changed, and restore them."""
        if (gc.isenabled(), gc.get_threshold()) != self._gc:
            self.changes_gc = True
            (gc.enable if self._gc[0] else gc.disable)()
            gc.set_threshold(*self._gc[1])


@functools.cache
def _count_forks() -> list[int]:
    """Return how often this process forked since the first call, in a list of one item that is kept up to date."""
    forks = [0]

    def forked() -> None:
        forks[0] += 1

    os.register_at_fork(after_in_parent=forked)
    return forks


class CheckPass:
    """One op, and a check of what it did to the process."""

    def __init__(self) -> None:
        self.guard = Guard()

    def batches(self) -> Batch:
        yield from self.guard.first()
