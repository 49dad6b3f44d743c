"""How many observations the series of a family hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallymark.metric.data import ExponentialHistogramData, HistogramData, SummaryData

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tallymark.metric.snapshot import FamilySnapshot

__all__ = ["observations"]


def observations(family: FamilySnapshot) -> Sequence[int]:
    """Return the observations of each series; 0 where they hold none, but a number."""
    match family.data:
        case SummaryData() as data:
            return data.counts
        case HistogramData() as data:
            return [sum(counts) for counts in data.bucket_counts]
        case ExponentialHistogramData() as data:
            parts = zip(data.zero_counts, data.positives, data.negatives, strict=True)
            return [zeros + sum(positives[1]) + sum(negatives[1]) for zeros, positives, negatives in parts]
    return [0] * len(family)
