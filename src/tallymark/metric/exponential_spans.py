"""The exponential buckets of one series as spans between two numbers."""

from __future__ import annotations

from functools import lru_cache

from tallymark.engine.exponential import upper_bound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tallymark.metric.data import ExponentialHistogramData

__all__ = ["spans"]

_bound = lru_cache(maxsize=4096)(upper_bound)


def spans(data: ExponentialHistogramData, row: int) -> list[tuple[int, float, float]]:
    """Return the buckets that are not empty, ascending: observations, lower edge, upper edge."""
    scale = data.scales[row]
    first, counts = data.negatives[row]
    found = [(n, -_bound(scale, i), -_bound(scale, i - 1)) for i, n in enumerate(counts, first) if n][::-1]
    if data.zero_counts[row]:
        found.append((data.zero_counts[row], 0.0, 0.0))
    first, counts = data.positives[row]
    found += [(n, _bound(scale, i - 1), _bound(scale, i)) for i, n in enumerate(counts, first) if n]
    return found
