"""Distributions as observations with sample rates: a StatsD server knows no buckets.

For each bucket that has new observations, one value stands for all of them, with a sample rate that tells how many. Each value
is in its bucket, at the same share of the way from its lower edge to its upper one, and that share is the one with which the
values add up to the sum. So counts are exact, and sums are but for rounding; a quantile is off by at most the width of its
bucket. Edges are narrowed to the smallest and largest observation.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf, isfinite

from tallymark.metric.exponential_spans import spans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeAlias

    from tallymark.metric.data import ExponentialHistogramData, HistogramData

    Bucket: TypeAlias = tuple[int, float, float]
    """Observations, above 0; lower edge, upper edge."""

__all__ = ["exponential_observations", "observations"]


def observations(data: HistogramData, rows: slice) -> list[list[tuple[int, float]]]:
    """Return, for each of some series, what stands for its observations: how many, and a value."""
    edges = (-inf, *data.bounds, inf)
    between = list(pairwise(edges))
    columns = zip(data.bucket_counts[rows], data.sums[rows], data.mins[rows], data.maxs[rows], strict=True)
    found = []
    for counts, total, least, most in columns:
        buckets = [(count, low, high) for count, (low, high) in zip(counts, between, strict=True) if count]
        found.append(_values(buckets, total, least, most))
    return found


def exponential_observations(data: ExponentialHistogramData, rows: slice) -> list[list[tuple[int, float]]]:
    """Return the same for exponential buckets."""
    return [
        _values(spans(data, row), data.sums[row], data.mins[row], data.maxs[row]) for row in range(len(data.tags))[rows]
    ]  # fmt: skip


def _values(buckets: Sequence[Bucket], total: float, least: float, most: float) -> list[tuple[int, float]]:
    if not buckets:
        return []
    narrowed = [_narrowed(bucket, least, most) for bucket in buckets]
    share = _share(narrowed, total)
    values = [(count, low + share * (high - low)) for count, low, high in narrowed]
    if not most < inf and buckets[-1][2] == inf:  # nobody knows how far the last bucket goes: it takes what is left of the sum
        count, value = values[-1]
        left = (total - _sum(values)) / count
        if left > 0.0:
            values[-1] = count, value + left
    return values


def _narrowed(bucket: Bucket, least: float, most: float) -> Bucket:
    """Return a bucket with edges that are known. Where the extremes are not, the first one starts at 0, as in Prometheus."""
    count, low, high = bucket
    low, high = max(low, least), min(high, most)
    if low == -inf:
        low = min(0.0, high)
    if high == inf:
        high = low
    return count, low, max(low, high)


def _share(buckets: Iterable[Bucket], total: float) -> float:
    """Return the share of the way through the buckets at which values add up to a sum."""
    lowest = width = 0.0
    for count, low, high in buckets:
        lowest += count * low
        width += count * (high - low)
    share = (total - lowest) / width if width > 0.0 else 0.5
    return min(max(share, 0.0), 1.0) if isfinite(share) else 0.5


def _sum(values: Iterable[tuple[int, float]]) -> float:
    return sum([count * value for count, value in values])
