"""Time: of an op in steady state, of the first one on fresh state, and with the garbage collector on and off."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Sequence
from typing import Protocol

from tallymark.bench import allocations
from tallymark.bench.measure.passes.guard import Batch, Guard, clock, median, repeat


class Turns(Protocol):
    """Tells a pass when to go on: other processes measure in between."""

    def next(self) -> bool:
        """Wait for a turn. Return False if it is the end."""
        ...


class TimePass:
    """Values of the time of an op, after a warm-up that ends when the time has no trend.

    Args:
        turns: asked before the warm-up, and before each value.
        shortest: least seconds for the ops of one value, all together, so that the clock's own cost vanishes.
        budget: seconds after which warm-up ends.

    The empty loop is timed beside each value, and its share subtracted: the machine's speed may change between two values.
    """

    def __init__(self, turns: Turns, shortest: float, budget: float) -> None:
        self._turns, self._shortest, self._budget = turns, shortest, budget
        self.guard = Guard()
        self.loops, self.warmup = 1, 0
        self.values: list[float] = []
        self.empty: list[float] = []

    def batches(self) -> Batch:
        self._turns.next()
        yield from self._warm_up()
        while self._turns.next():
            before = self._empty()
            start = clock()
            yield repeat(self.loops)
            elapsed = (clock() - start) / self.loops
            empty = min(before, self._empty())
            self.empty.append(empty)
            self.values.append(elapsed - empty)
        self.guard.look()

    def _warm_up(self) -> Batch:
        began = clock()
        yield from self.guard.first()
        n, ops, spent = 1, 1, clock() - began
        while (ops < 1000 or spent < 0.01) and spent < self._budget:
            start = clock()
            yield repeat(n)
            elapsed = clock() - start
            ops, spent = ops + n, spent + elapsed
            per_op = elapsed / n
            n = max(1, min(n * 10, int(self._shortest / per_op) + 1 if per_op > 0 else n * 10))
        per_op = max(spent / ops if n == 1 else per_op, 1e-12)
        self.loops = max(1, round(self._shortest / per_op))
        recent: list[float] = []
        while (len(recent) < 5 or (falls(recent[-5:]) and len(recent) < 20)) and clock() - began < self._budget:
            start = clock()
            yield repeat(self.loops)
            recent.append((clock() - start) / self.loops)
            ops += self.loops
        self.warmup = ops
        if recent:  # the first guess was made before the warm-up
            self.loops = max(1, round(self._shortest / max(min(recent), 1e-12)))

    def _empty(self) -> float:
        """Return the seconds per iteration of a loop like the benchmark's, without an op."""
        n = min(self.loops, 20_000)
        start = clock()
        for _ in itertools.chain.from_iterable((repeat(n),)):
            pass
        return (clock() - start) / n


def falls(values: Sequence[float]) -> bool:
    """Return True if values still fall, by more than 2 % over their length: Theil and Sen's slope, the median of all pairs."""
    slopes = [(b - a) / (j - i) for (i, a), (j, b) in itertools.combinations(enumerate(values), 2)]
    return median(slopes) * (len(values) - 1) < -0.02 * median(values)


class FirstPass:
    """The first op alone, on the state that the benchmark has just set up."""

    def __init__(self, counted: bool = False) -> None:
        self._counted = counted
        self.seconds = 0.0
        self.counts: allocations.Counts | None = None

    def batches(self) -> Batch:
        once = repeat(1)
        if self._counted:
            allocations.mark(0)
            yield once
            allocations.mark(1)
            self.counts = allocations.counts_between(0, 1)
        else:
            start = clock()
            yield once
            self.seconds = clock() - start


class CollectionPass:
    """Collections of the garbage collector and their pauses, and the time with it on and off."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.guard = Guard()
        self.ops = self.collections = 0
        self.pause = 0.0
        self.on: list[float] = []
        self.off: list[float] = []
        self._began = 0.0

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = clock()
        else:
            self.pause += clock() - self._began
            self.collections += 1

    def batches(self) -> Batch:
        start = clock()
        yield from self.guard.first()
        n, elapsed = 1, clock() - start
        while elapsed < self._seconds / 20:
            n *= 2
            start = clock()
            yield repeat(n)
            elapsed = clock() - start
        gc.collect()
        began = clock()
        try:
            while len(self.on) < 5 and (not self.on or clock() - began < self._seconds):
                gc.enable()
                gc.callbacks.append(self._collected)
                start = clock()
                yield repeat(n)
                self.on.append((clock() - start) / n)
                gc.callbacks.remove(self._collected)
                self.ops += n
                gc.disable()
                start = clock()
                yield repeat(n)
                self.off.append((clock() - start) / n)
        finally:
            gc.enable()
            if self._collected in gc.callbacks:
                gc.callbacks.remove(self._collected)

    def result(self) -> dict[str, float]:
        """Return the fields of a CollectionResult."""
        return {
            "per_1000": 1000 * self.collections / self.ops,
            "pause": 1000 * self.pause / self.ops,
            "time_on": median(self.on),
            "time_off": median(self.off),
        }
