"""How many blocks an op keeps for good: after a collection, and when what grows once has grown."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Iterable, Iterator

from tallymark.bench.allocations import counts_between, mark

#: Slots for marks: those that the lines' trace uses, too; both never run at once.
_BEFORE, _AFTER = 62, 63
LEAST, MOST = 5, 14  # readings


class Retention:
    """Reads, in batches of ops that double, how many blocks an op keeps. The hooks must be installed.

    Reference cycles are collected before and after each batch. A batch of twice as many ops keeps more only if each op keeps
    something: what grows once, such as a dict that is resized or a cache that fills up, ends in some batch. So the least
    difference between two batches counts, and the first that is 0 ends it.

    Args:
        n: ops of the first batch.
        budget: about how many seconds to go on, if every batch kept something.
    """

    def __init__(self, n: int, budget: float) -> None:
        self._n, self._budget = n, budget
        self.ops = 0
        self.per_op = 0.0

    def batches(self) -> Iterator[Iterable[None]]:
        until = time.perf_counter() + self._budget
        n, least, last = self._n, float("inf"), 0
        for done in range(MOST):
            iterations = itertools.repeat(None, n)
            gc.collect()
            mark(_BEFORE)
            yield iterations
            gc.collect()
            mark(_AFTER)
            counts = counts_between(_BEFORE, _AFTER)
            self.ops += n
            kept = counts.allocs - counts.frees
            if kept <= 0:
                least = 0.0
            elif done:
                least = min(least, (kept - last) / (n / 2))
            if least <= 0 or (done + 1 >= LEAST and time.perf_counter() > until):
                break
            n, last = 2 * n, kept
        self.per_op = max(0.0, least)
