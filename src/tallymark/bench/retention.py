"""How many blocks an op keeps for good: after a collection, and when what grows once has grown."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Iterable, Iterator

from tallymark.bench.allocations import counts_between, mark

#: Slots for marks: those that the lines' trace uses, too; both never run at once.
_BEFORE, _AFTER = 62, 63
FEWEST, MOST = 4, 14  # readings
ALIKE = 1.25


class Retention:
    """Reads, in batches of ops that double, how many blocks an op keeps. The hooks must be installed.

    Reference cycles are collected before and after each batch. A batch of twice as many ops keeps more only if each op keeps
    something: what grows once, such as a dict that is resized or a cache that fills up, ends in some batch, or is less and less
    for each op. So an op keeps something if what three batches in a row keep more, for each op, is alike.

    Args:
        n: ops of the first batch.
        budget: about how many seconds to go on, as long as every batch keeps something.
    """

    def __init__(self, n: int, budget: float) -> None:
        self._n, self._budget = n, budget
        self.ops = 0
        self.per_op = 0.0

    def batches(self) -> Iterator[Iterable[None]]:
        until = time.perf_counter() + self._budget
        n, kept, rates = self._n, 0, list[float]()
        for done in range(1, MOST + 1):
            iterations = itertools.repeat(None, n)
            gc.collect()
            mark(_BEFORE)
            yield iterations
            gc.collect()
            mark(_AFTER)
            counts = counts_between(_BEFORE, _AFTER)
            self.ops += n
            last, kept = kept, counts.allocs - counts.frees
            rates.append((kept - last) / (n - n // 2 if done > 1 else n))
            late = time.perf_counter() > until
            if rates[-1] <= 0 or (done >= FEWEST and late):  # while there is time, what grows may end
                break
            n *= 2
        self.per_op = min(rates[-3:]) if _alike(rates) else 0.0


def _alike(rates: list[float]) -> bool:
    """Return True if the last three of some rates are about the same, and not 0."""
    low, high = min(rates[-3:]), max(rates[-3:])
    return len(rates) > 2 and low > 0 and high <= ALIKE * low
