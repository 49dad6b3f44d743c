"""Time: of an op in steady state, of the first one on fresh state, and with the garbage collector on and off."""

from __future__ import annotations

import gc
import itertools
import statistics
from collections.abc import Sequence

from tallymark.bench import allocations
from tallymark.bench.measure.passes.guard import Batch, Guard, clock, repeat


class TimePass:
    """Values of the time of an op, after a warm-up that ends when the time has no trend.

    Args:
        values: how many to take.
        shortest: least seconds for the ops of one value, all together, so that the clock's own cost vanishes.
        budget: seconds after which warm-up ends, and values are cut short: one is always taken.

    It ends when so many values were taken while the machine was calm, or after four times as many in all.
    """

    def __init__(self, values: int, shortest: float, budget: float) -> None:
        self._count, self._shortest, self._budget = values, shortest, budget
        self.guard = Guard()
        self.loops, self.warmup = 1, 0
        self._taken: list[tuple[float, float]] = []

    def batches(self) -> Batch:
        began = clock()
        yield from self.guard.first()
        n, ops, spent = 1, 1, clock() - began
        while (ops < 1000 or spent < 0.01) and spent < self._budget / 4:
            start = clock()
            yield repeat(n)
            elapsed = clock() - start
            ops, spent = ops + n, spent + elapsed
            per_op = elapsed / n
            n = max(1, min(n * 10, int(self._shortest / per_op) + 1 if per_op > 0 else n * 10))
        per_op = max(spent / ops if n == 1 else per_op, 1e-12)
        self.loops = max(1, round(self._shortest / per_op))
        recent: list[float] = []
        while len(recent) < 5 or (falls(recent[-5:]) and len(recent) < 20):
            if clock() - began > self._budget / 3:
                break
            start = clock()
            yield repeat(self.loops)
            recent.append((clock() - start) / self.loops)
            ops += self.loops
        self.warmup = ops
        if recent:  # the first guess was made before the warm-up
            self.loops = max(1, round(self._shortest / max(min(recent), 1e-12)))
        before = probe()
        while calm(self._taken) < self._count and len(self._taken) < 4 * self._count:
            start = clock()
            yield repeat(self.loops)
            value = (clock() - start) / self.loops
            after = probe()
            self._taken.append((max(before, after), value))
            before = after
            if clock() - began > self._budget:
                break
        self.guard.look()

    @property
    def values(self) -> list[float]:
        """The calmest values, in seconds per op, as they came."""
        least = sorted(one for one, _ in self._taken)[: self._count]
        return [value for one, value in self._taken if one <= least[-1]][: self._count]

    @property
    def probe(self) -> float:
        """How calm the machine was at these values: the median of the probes, in seconds per iteration."""
        return statistics.median(sorted(one for one, _ in self._taken)[: self._count])


#: A probe that is slower than the fastest by more than this factor means that something else ran. Calm ones lie within 2 %.
CALM = 1.06
_PROBE = 32_000


def probe() -> float:
    """Return the seconds per iteration of an empty loop, which depend on the machine alone, not on what is measured.

    Other programs slow a process by a third while they run, for milliseconds or seconds; most of all on the other thread of the
    same core. A value that was taken meanwhile is taken again. That favours no code, and neither side.
    """
    start = clock()
    for _ in repeat(_PROBE):
        pass
    return (clock() - start) / _PROBE


def calm(taken: Sequence[tuple[float, float]]) -> int:
    """Return how many of these (probe, value) pairs were taken while the machine was calm."""
    fastest = min((one for one, _ in taken), default=0.0)
    return sum(one <= CALM * fastest for one, _ in taken)


def falls(values: Sequence[float]) -> bool:
    """Return True if values still fall, by more than 2 % over their length: Theil and Sen's slope, the median of all pairs."""
    slopes = [(b - a) / (j - i) for (i, a), (j, b) in itertools.combinations(enumerate(values), 2)]
    return statistics.median(slopes) * (len(values) - 1) < -0.02 * statistics.median(values)


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
            "time_on": statistics.median(self.on),
            "time_off": statistics.median(self.off),
        }
