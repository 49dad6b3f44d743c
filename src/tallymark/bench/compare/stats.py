"""The statistics of comparisons. They are SciPy's where it has them. SciPy is imported on first use: a run does not need it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 4999
SEED = 20_191  # fixed: the same files give the same report


@dataclass(frozen=True)
class Interval:
    """A confidence interval, and the confidence that it attains: order statistics attain only certain levels."""

    low: float
    high: float
    confidence: float


def median_interval(values: Sequence[float]) -> Interval:
    """Return the interval between two order statistics that covers the median with at least 95 %, or the most that n allows.

    The k-th smallest and k-th largest of n cover it with 1 - 2 P(Binomial(n, 1/2) < k), for any continuous distribution
    (David and Nagaraja, Order Statistics, 7.1). Six observations are the fewest that attain 95 %; `confidence` is the level.
    """
    ordered, n = sorted(values), len(values)
    k, tail = 1, 2.0**-n
    while 2 * (wider := tail + math.comb(n, k) / 2**n) <= 1 - CONFIDENCE:
        k, tail = k + 1, wider
    return Interval(ordered[k - 1], ordered[n - k], max(0.0, 1 - 2 * tail))


def ratio_interval(old: Sequence[float], new: Sequence[float]) -> Interval | None:
    """Return the 95 % percentile bootstrap interval of median(new) / median(old), or None when old is not above 0 throughout.

    Each side is resampled by itself (Efron and Tibshirani, An Introduction to the Bootstrap, 13.3).
    """
    import numpy as np
    from scipy.stats import bootstrap

    if min(old) <= 0 or min(len(old), len(new)) < 2:
        return None

    def ratio(a: Any, b: Any, axis: int) -> Any:
        return np.median(b, axis=axis) / np.median(a, axis=axis)

    found = bootstrap(
        (old, new),
        ratio,
        method="percentile",
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        rng=np.random.default_rng(SEED),
    )
    return Interval(float(found.confidence_interval.low), float(found.confidence_interval.high), CONFIDENCE)


def mann_whitney(old: Sequence[float], new: Sequence[float]) -> float:
    """Return the two-sided p of Mann-Whitney's U: exact without ties up to 50 a side, else by the normal approximation."""
    from scipy.stats import mannwhitneyu

    together = [*old, *new]
    if len(set(together)) == 1:
        return 1.0
    exact = len(set(together)) == len(together) and max(len(old), len(new)) <= 50
    return float(mannwhitneyu(old, new, alternative="two-sided", method="exact" if exact else "asymptotic").pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number (Holm 1979): those below alpha are significant, at family-wise rate alpha."""
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = highest
    return adjusted


def split_noise(medians: Sequence[float]) -> float | None:
    """Return the machine's A/A noise as a share, from one side's process medians: how far two halves of them lie apart.

    They are split at random, a thousand times with a fixed seed; 95 % of the differences are smaller than the noise. This is
    cautious: halves vary more than all processes do. Of A/A comparisons, under 1 % are significant at 5 % and exceed the noise.
    None for fewer than four processes, or if a median is not above 0.
    """
    import numpy as np

    half = len(medians) // 2
    if half < 2 or min(medians) <= 0:
        return None
    logs: NDArray[float64] = np.log(np.asarray(medians))
    shuffled = np.random.default_rng(SEED).permuted(np.tile(logs, (1000, 1)), axis=1)
    apart = np.abs(np.median(shuffled[:, :half], axis=1) - np.median(shuffled[:, half : 2 * half], axis=1))
    return float(math.expm1(float(np.quantile(apart, CONFIDENCE))))
