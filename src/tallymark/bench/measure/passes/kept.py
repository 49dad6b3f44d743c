"""What ops keep: which types, and the lines that made them."""

from __future__ import annotations

from tallymark.bench.measure.passes.guard import Batch, Guard, clock
from tallymark.bench.sites import Kept


class KeptPass:
    """What ops keep, for a benchmark that was found to keep something."""

    def __init__(self, budget: float) -> None:
        self._budget = budget
        self.guard = Guard()
        self.kept = Kept()

    def batches(self) -> Batch:
        start = clock()
        yield from self.guard.first()
        each = max(clock() - start, 1e-9)
        self.kept = Kept(max(3, min(200, int(self._budget / each))))
        yield from self.kept.batches()
