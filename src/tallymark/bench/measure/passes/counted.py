"""Allocations: requests at the allocators per op, when they settle, and the objects that an op creates."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

from tallymark.bench import allocations
from tallymark.bench.measure.passes.guard import Batch, Guard, clock, repeat
from tallymark.bench.retention import Retention


class AllocationPass:
    """Requests at the allocators per op, and when they settle. The hooks must be installed.

    Args:
        budget: about how many seconds it may take.
        cold: empty CPython's free lists before each op, instead of reusing what earlier ops freed.
    """

    def __init__(self, budget: float, cold: bool = False) -> None:
        self._budget, self._cold = budget, cold
        self.guard = Guard()
        self.series: list[int] = []
        self.period: int | None = None
        self.settled_after = 0
        self.once: list[allocations.Counts] = []
        self.thrice: list[allocations.Counts] = []
        self.others = 0
        self.retention: Retention | None = None
        self.n, self.ops = 1, 0

    def batches(self) -> Batch:
        began = clock()
        yield from self.guard.first()
        gc.disable()
        self.guard = Guard()
        try:
            yield from self._settle(began)
            took = max((clock() - began) / max(self.ops, 1), 1e-9)
            self.n = max(1, min(1000, int(self._budget / 30 / took)))
            gc.collect()
            yield repeat(self.n)  # collecting emptied the free lists
            if self._cold:
                self.n = min(self.n, 16)
            read = self._read_cold if self._cold else self._read
            for _ in range(5):
                yield from read(self.n, self.once)
                yield from read(3 * self.n, self.thrice)
                if clock() - began > self._budget and len(self.once) > 1:
                    break
            if any(one.allocs > one.frees for one in self.thrice):
                self.retention = Retention(max(1, self.n // 4), self._budget / 2)
                yield from self.retention.batches()
            self.guard.look()
        finally:
            gc.enable()

    def _settle(self, began: float) -> Batch:
        """Run ops one by one until the requests of 64 ops are constant or periodic: at most 20 times 64.

        If 64 ops would take too long, 8 are enough.
        """
        for _ in range(20):
            del self.series[:]
            for _ in range(64):
                yield from self._one()
                self.ops += 1
                if len(self.series) >= 8 and clock() - began > self._budget:
                    break
            self.period = find_period(self.series)
            if self.period is not None:
                return
            self.settled_after = self.ops
            if clock() - began > self._budget / 3:
                return

    def _one(self) -> Batch:
        once = repeat(1)
        allocations.mark(0)
        yield once
        allocations.mark(1)
        self.series.append(allocations.counts_between(0, 1).allocs)

    def _read(self, n: int, into: list[allocations.Counts]) -> Batch:
        iterations = repeat(n)
        allocations.mark(0)
        yield iterations
        allocations.mark(1)
        into.append(allocations.counts_between(0, 1))
        self.others += allocations.others_between(0, 1)
        self.ops += n

    def _read_cold(self, n: int, into: list[allocations.Counts]) -> Batch:
        """Read ops one by one, each after a collection, which empties the free lists."""
        readings: list[allocations.Counts] = []
        for _ in range(n):
            once = repeat(1)  # made before the collection: making it may leave something on a free list
            gc.collect()
            allocations.mark(0)
            yield once
            allocations.mark(1)
            readings.append(allocations.counts_between(0, 1))
        self.ops += n
        into.append(allocations.Counts(*map(sum, zip(*readings, strict=True))))

    def result(self) -> dict[str, Any]:
        """Return the fields of an AllocationResult, and those of a WarmupResult."""
        rates: list[list[float]] = [
            [(three - one) / (2 * self.n) for one, three in zip(a, b, strict=True)]
            for a, b in zip(self.once, self.thrice, strict=True)
        ]
        names = allocations.Counts._fields
        # Whatever else runs in the process can only add: the least reading is nearest to the op's own.
        least = dict(zip(names, min(rates), strict=True))
        samples = [[rate[names.index("allocs")], rate[names.index("bytes")]] for rate in rates]
        totals = dict(zip(names, map(sum, zip(*self.once, *self.thrice, strict=True)), strict=True))
        counted = 4 * self.n * len(self.once)
        found = {
            **{key: clean(value) for key, value in least.items()},
            "samples": samples,
            "realloc_samples": [rate[names.index("reallocs")] for rate in rates],
            "exact": all(sample == samples[0] for sample in samples),
            "ops": counted,
            "total_allocs": totals["allocs"],
            "total_bytes": totals["bytes"],
            "retained": 0.0 if self.retention is None else clean(self.retention.per_op),
            "other_threads": self.others / max(counted, 1),
        }
        warmup = {
            "steady": self.period is not None,
            "ops": self.settled_after,
            "period": self.period or 1,
            "series": self.series,
        }
        return {"allocations": found, "warmup": warmup}


def find_period(series: Sequence[int]) -> int | None:
    """Return the shortest period that a series repeats at least four times: 1 if it is constant, None if it has no period.

    One op may differ (another thread, a cache that was resized): that is no trend. So may one in sixteen, if all others are
    alike: a table that grows is resized from time to time.
    """
    for period in range(1, len(series) // 4 + 1):
        pattern = [sorted(series[i::period])[len(series[i::period]) // 2] for i in range(period)]
        if sum(value != pattern[i % period] for i, value in enumerate(series)) <= 1:
            return period
    usual = max(dict.fromkeys(series), key=series.count)
    return 1 if sum(value != usual for value in series) <= len(series) // 16 else None


def clean(value: float) -> float:
    """Return a rate, rounded to drop the noise of its last digits."""
    return round(value, 6)


class ObjectPass:
    """Objects created per op, by type: Python 3.13 and later."""

    def __init__(self, n: int = 300) -> None:
        self._n = n
        self.guard = Guard()
        self.objects: dict[str, float] = {}

    def batches(self) -> Batch:
        yield from self.guard.first()
        yield repeat(self._n)
        readings = []
        for n in (self._n, 3 * self._n):
            iterations = repeat(n)
            with allocations.tracing_objects() as created:
                yield iterations
            readings.append(dict(created))
        once, thrice = readings
        for kind, count in thrice.items():
            rate = (count - once.get(kind, 0)) / (2 * self._n)
            if rate > 0:
                self.objects[kind] = clean(rate)
