"""Prometheus' native histograms: exponential buckets as spans of neighbours, at a schema that Prometheus takes.

Source: https://prometheus.io/docs/specs/native_histograms/, sections "Schema", "Buckets", "Zero bucket" and "OpenTelemetry
interoperability".
"""

from __future__ import annotations

from tallymark.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from tallymark.metric.data import ExponentialHistogramData

    Buckets: TypeAlias = tuple[int, Sequence[int]]

__all__ = ["ZERO_THRESHOLD", "NativeBuckets", "NativeHistogram", "native_histogram"]

ZERO_THRESHOLD = 2.0**-1074
"""The smallest double above 0: what is counted as zero is at most that. It is not 0, since Prometheus 2.42 takes a histogram
without observations, whose threshold is 0, for a classic one."""

_SCHEMAS = range(-4, 9)
_GAP = 2
"""So many empty buckets between two others are written out, as Prometheus' Go client does; more end a span."""


class NativeBuckets(Frozen):
    """The buckets on one side of zero.

    Attributes:
        spans: of neighbours: how many buckets lie between each and the one before, and how many it has. The first number of
            the first is the index of its first bucket. Bucket `i` holds what is above `base ** (i - 1)`, up to `base ** i`.
        counts: observations in each bucket of each span.
    """

    __slots__ = ("counts", "spans")

    spans: list[tuple[int, int]]
    counts: list[int]


class NativeHistogram(Frozen):
    """A distribution at a schema that Prometheus takes: the buckets' `base` is `2 ** 2 ** -schema`."""

    __slots__ = ("negative", "positive", "schema", "zero_count")

    schema: int
    zero_count: int
    positive: NativeBuckets
    negative: NativeBuckets

    @property
    def count(self) -> int:
        """Number of observations."""
        return self.zero_count + sum(self.positive.counts) + sum(self.negative.counts)


def native_histogram(data: ExponentialHistogramData, rows: Sequence[int]) -> NativeHistogram | None:
    """Return the distribution of one series, or of several together.

    Buckets that are narrower than Prometheus takes are merged. What is not above the smallest double counts as zero; what is
    above the largest, as infinite. Return None if buckets are too wide, or there are more observations than 63 bits count.
    """
    schema = min(_SCHEMAS[-1], *[data.scales[row] for row in rows])
    if schema not in _SCHEMAS:
        return None
    zeros = sum([data.zero_counts[row] for row in rows])
    sides = []
    for column in (data.positives, data.negatives):
        buckets, below = _merged([(data.scales[row] - schema, column[row]) for row in rows], schema)
        zeros += below
        sides.append(_in_spans(buckets))
    made = NativeHistogram(schema, zeros, *sides)
    return made if made.count < 2**63 else None


def _merged(sides: list[tuple[int, Buckets]], schema: int) -> tuple[dict[int, int], int]:
    """Return counts by Prometheus' index, which is one above OpenTelemetry's, and how many lie below all doubles above 0.

    Args:
        sides: buckets, each after the number by which their scale is above the schema.
    """
    lowest, infinite = (_scaled(exponent, schema) for exponent in (-1074, 1024))
    found: dict[int, int] = {}
    below = 0
    for finer, (first, counts) in sides:
        if not (finer or found) and lowest <= first and first + len(counts) <= infinite:  # as nearly always
            found = {at: count for at, count in enumerate(counts, first + 1) if count}
            continue
        for index, count in enumerate(counts, first):
            at = min(index >> finer, infinite) + 1
            if at <= lowest:
                below += count
            elif count:
                found[at] = found.get(at, 0) + count
    return found, below


def _scaled(exponent: int, schema: int) -> int:
    """Return the index of the last bucket that ends at a power of two or below it."""
    return exponent << schema if schema >= 0 else exponent >> -schema


def _in_spans(buckets: dict[int, int]) -> NativeBuckets:
    spans: list[tuple[int, int]] = []
    counts: list[int] = []
    end = 0  # of the last span: the index after its last bucket
    for index in sorted(buckets):
        gap = index - end
        if spans and gap <= _GAP:
            spans[-1] = spans[-1][0], spans[-1][1] + gap + 1
            counts += [0] * gap
        else:
            spans.append((gap, 1))
        counts.append(buckets[index])
        end = index + 1
    return NativeBuckets(spans, counts)
