"""Requests and objects of an op by the stack of calls that asks for them."""

from __future__ import annotations

from tallymark.bench import allocations
from tallymark.bench.measure.passes.counted import AllocationPass
from tallymark.bench.measure.passes.guard import Batch, repeat
from tallymark.bench.stacks import Recording, Row, recording

__all__ = ["LinesPass"]


class LinesPass(AllocationPass):
    """An AllocationPass whose readings also tell where each request comes from. The hooks must be installed.

    On Python 3.13 and later it reads objects after that.
    """

    def __init__(self, budget: float) -> None:
        super().__init__(budget)
        self.rows: list[list[Row]] = []  # of each repetition
        self.created: list[Row] = []
        self.created_in = 1  # ops between the two phases of `created`
        self._recorded: Recording

    def batches(self) -> Batch:
        with recording() as self._recorded:
            yield from super().batches()
            if allocations.CAN_TRACE_OBJECTS:
                yield from self._read_objects(min(self.n, 300))

    def _one(self) -> Batch:
        self._recorded.charge(0)  # what is slower when recorded is repeated less often
        yield from super()._one()

    def _read(self, n: int, into: list[allocations.Counts]) -> Batch:
        thrice = into is self.thrice
        if not self.once:
            self._recorded.read()
        iterations = repeat(n)
        yield repeat(1)  # what reads the rows takes from the free lists: an op fills them again
        allocations.mark(0)
        self._recorded.charge(int(thrice))
        yield iterations
        self._recorded.charge(-1)
        allocations.mark(1)
        into.append(allocations.counts_between(0, 1))
        self.ops += n
        if thrice:
            self.rows.append(self._recorded.read())

    def _read_objects(self, n: int) -> Batch:
        self.created_in = 2 * n
        for phase, times in enumerate((n, 3 * n)):
            iterations = repeat(times)
            yield repeat(1)
            with allocations.tracing_objects():
                self._recorded.charge(phase)
                yield iterations
                self._recorded.charge(-1)
        self.created = self._recorded.read()

    def best(self) -> tuple[list[Row], int]:
        """Return the rows of the repetition that asked for least, which AllocationPass reports too; and the ops they cover."""
        grown = [[b - a for a, b in zip(*pair, strict=True)] for pair in zip(self.once, self.thrice, strict=True)]
        return self.rows[grown.index(min(grown))], 2 * self.n
