"""The statistics of pairs: two processes that took their values in turns, see `measure/duet.py`.

A pair gives one number, the logarithm of the ratio of its sides. If the sides are alike, it is as likely to be above 0 as
below, by as much. Wilcoxon's signed-rank test asks whether that can be, and assumes nothing else of the machine's noise. Its
exact distribution is that of all ways to choose the signs. (Hollander, Wolfe and Chicken, Nonparametric Statistical Methods,
3.1-3.3.)
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from tallymark.bench.compare.stats import CONFIDENCE, Interval
from tallymark.bench.result.result import TimeResult

_EQUAL = 1e-12


def log_ratios(old: TimeResult, new: TimeResult) -> list[float]:
    """Return the logarithm of new / old of each pair: the median over values that are neighbours in time.

    The median leaves out the neighbours between which the machine's speed changed. A pair is left out if half of its values or
    more are not above 0.
    """
    partners = {one.duet: one.values for one in old.processes if one.duet}
    found = []
    for one in new.processes:
        if one.duet in partners:
            values = list(zip(partners[one.duet], one.values, strict=False))
            known: list[float] = [math.log(b / a) for a, b in values if a > 0 and b > 0]
            if 2 * len(known) > len(values):
                found.append(statistics.median(known))
    return found


def signed_rank(differences: Sequence[float]) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test: exact, also with ties. Differences of 0 are left out."""
    known = [one for one in differences if abs(one) > _EQUAL]
    if not known:
        return 1.0
    ranks = _ranks([abs(one) for one in known])
    ways = _ways(ranks)
    positive = sum(rank for rank, one in zip(ranks, known, strict=True) if one > 0)
    least = min(positive, sum(ranks) - positive)
    return min(1.0, 2 * sum(ways[: least + 1]) / 2.0 ** len(known))


def _ranks(values: Sequence[float]) -> list[int]:
    """Return twice the rank of each value; equal values have the mean of their ranks."""
    return [sum(b < a - _EQUAL for b in values) + sum(b <= a + _EQUAL for b in values) + 1 for a in values]


def _ways(ranks: Iterable[int]) -> list[int]:
    """Return in how many ways some of the ranks have each sum."""
    ways = [1]
    for rank in ranks:
        ways = [a + b for a, b in zip(ways + [0] * rank, [0] * rank + ways, strict=True)]
    return ways


def center(differences: Sequence[float]) -> float:
    """Return the estimate of Hodges and Lehmann: the median of the means of any two differences, or of one with itself."""
    return float(statistics.median(_means(differences)))


def _means(differences: Sequence[float]) -> list[float]:
    return sorted((a + b) / 2 for i, a in enumerate(differences) for b in differences[i:])


def center_interval(differences: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the values that a signed-rank test would not reject, which are an interval between two of the means (Tukey).

    Its confidence is the next that is possible above the one asked for, or the most that so few pairs allow.
    """
    means, n = _means(differences), len(differences)
    tails, tail, k = _ways(range(1, n + 1)), 0, 0
    while 2 * (tail + tails[k]) / 2**n <= 1 - confidence:
        tail += tails[k]
        k += 1
    if k == 0:
        k, tail = 1, 1
    return Interval(means[k - 1], means[-k], 1 - 2 * tail / 2**n)


def weights(looks: int) -> list[float]:
    """Return the share of the error probability that each look at growing data may use: half of what is left, and the last all.

    The sum is 1. So the probability that equal sides are called different at any look is at most the one of a single test,
    however the looks depend on each other (Bonferroni; Jennison and Turnbull, Group Sequential Methods, 7.2, on spending
    alpha).
    """
    spent = [2.0**-look for look in range(1, looks)]
    return [*spent, 1.0 - sum(spent)]


def _taken(number: int, looks: Sequence[int]) -> list[tuple[int, float]]:
    """Return the looks at so many pairs, each with its weight: those that were planned, and the end of the data."""
    shares, taken = weights(len(looks)), []
    for look, share in zip(looks, shares, strict=True):
        taken.append((min(look, number), share))
        if look >= number:
            break
    return taken


def sequential_p(differences: Sequence[float], looks: Sequence[int]) -> float:
    """Return a p that holds though the data was looked at after so many pairs, each time to decide whether to measure more.

    It is the least over the looks of p / weight. `looks` are all that were planned; those that the data does not reach were not
    needed, or not reached as a run was interrupted.
    """
    return min(1.0, min(signed_rank(differences[:n]) / share for n, share in _taken(len(differences), looks)))


def last_weight(number: int, looks: Sequence[int]) -> float:
    """Return the weight of the last look at so many pairs: its interval has that share of the error probability."""
    return _taken(number, looks)[-1][1]
