"""What a comparison is to find out, and when that is known: then no more is measured.

A change is found when it is significant. That there is none worth speaking of is found when the interval of the ratio
excludes a change of the size that one cares for, either way. Until then more pairs are measured, up to a limit.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from tallymark.bench.compare.compare import ALPHA, CHANGE, compare
from tallymark.bench.compare.gate import Gate
from tallymark.bench.compare.pairs import weights
from tallymark.bench.result.result import RunResult

LOOKS = 4  # a comparison takes 3.4 times the processes that it begins with, at most
GROWTH = 1.5


@dataclass(frozen=True)
class Question:
    """Whether the sides of a comparison differ in time, and if not, whether a change as large as `change` can be excluded.

    Attributes:
        change: the change that one cares for, as a share: the limit of a gate.
        more: go on until that is decided, within `LOOKS` looks; else only what a change that is plain to see needs.
        alpha: the probability at which a difference is significant.
    """

    change: float = CHANGE
    more: bool = True
    alpha: float = ALPHA

    def looks(self, benchmarks: int, processes: int) -> tuple[int, ...]:
        """Return after how many pairs to look: first after `processes`, or as many as any significance needs."""
        number = LOOKS if self.more else 1
        first = max(processes, needed(benchmarks, self.alpha, weights(number)[0]))
        return tuple(round(first * GROWTH**look) for look in range(number))

    def undecided(self, runs: Sequence[RunResult], benchmarks: int) -> Collection[str]:
        """Return the names of the benchmarks that need more pairs, of so many that are compared in the end.

        Not all of them may be measured yet. So p is corrected for their number (Bonferroni); Holm's correction, in the end,
        finds no less.
        """
        undecided = set()
        for one in compare(*runs, alpha=self.alpha).benchmarks:
            if one.time and replace(one.time, significant=one.time.p * benchmarks < self.alpha).undecided(self.change):
                undecided.add(one.name)
        return undecided


def ask(gate: Gate | None, quick: bool) -> Question:
    """Return the question of a comparison on the command line. A gate on time is decided, even if the rest is quick."""
    limit = gate.limits.get("time") if gate else None
    return Question((limit and limit.amount) or CHANGE, more=limit is not None or not quick)


def needed(benchmarks: int, alpha: float, weight: float = 1.0) -> int:
    """Return the least number of pairs for a p below alpha, after Holm's correction, if all pairs agree: their p is 2 / 2^n."""
    return math.floor(math.log2(2 * max(1, benchmarks) / (alpha * weight))) + 1
