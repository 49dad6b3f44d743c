"""One series of exponential buckets read at one moment."""

from __future__ import annotations

from math import inf, log, nan, tanh

from tallymark.engine.exponential import combined, rescaled, steps_to_fit, upper_bound
from tallymark.engine.histogram_snapshot import HistogramSnapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tallymark.engine.exponential import Buckets

__all__ = ["ExponentialSnapshot"]

_set = object.__setattr__


class ExponentialSnapshot(HistogramSnapshot):
    """The distribution that a series with exponential buckets holds, in the unit of its metric.

    Its `bounds` and `bucket_counts` are the same buckets, with explicit bounds. An observation below 0 that equals a bound is
    there one bucket too high, as those bounds are inclusive towards 0.

    Attributes:
        scale: the bounds are powers of `2 ** 2 ** -scale`.
        zero_count: observations that are 0.
        positives: the index of the first bucket above 0, and the observations in that one and those after it. Bucket `i` holds
            what is above `base ** i`, up to `base ** (i + 1)`.
        negatives: the same for absolute values of observations below 0.
    """

    __slots__ = ("negatives", "positives", "scale", "zero_count")

    scale: int
    zero_count: int
    positives: Buckets
    negatives: Buckets

    def __init__(
        self, scale: int, zero_count: int, positives: Buckets, negatives: Buckets, sum: float, min: float, max: float
    ) -> None:
        _set(self, "scale", scale)
        _set(self, "zero_count", zero_count)
        _set(self, "positives", positives)
        _set(self, "negatives", negatives)
        counts: dict[float, int] = {}  # bounds that round to the same double are one
        for bound, count in self._edges():
            counts[bound] = counts.get(bound, 0) + count
        last = counts.pop(inf, 0)
        super().__init__(tuple(counts), (*counts.values(), last), sum, min, max)

    def _edges(self) -> Iterator[tuple[float, int]]:
        """Yield upper bounds, ascending, with the observations below each that are above the last."""
        first, counts = self.negatives
        for index in range(first + len(counts) - 1, first - 1, -1):
            yield -upper_bound(self.scale, index - 1), counts[index - first]
        yield 0.0, self.zero_count
        first, counts = self.positives
        if counts:
            yield upper_bound(self.scale, first - 1), 0
        for index, count in enumerate(counts, first):
            yield upper_bound(self.scale, index), count

    @property
    def relative_error(self) -> float:
        """The most by which `quantile()` differs from an observation, relative to it: `(base - 1) / (base + 1)`."""
        return tanh(log(2.0) * 0.5 * 2.0**-self.scale)

    def merged(self, other: HistogramSnapshot) -> ExponentialSnapshot:
        """Return the distribution of the observations of both, at a scale at which they fit, as if one had observed all.

        Raises:
            ValueError: the other one has explicit bounds.
        """
        if not isinstance(other, ExponentialSnapshot):
            raise ValueError("a distribution over exponential buckets cannot be merged with one that has explicit bounds")
        scale = min(self.scale, other.scale)
        above = [rescaled(one.positives, one.scale - scale) for one in (self, other)]
        below = [rescaled(one.negatives, one.scale - scale) for one in (self, other)]
        by = max(steps_to_fit(above), steps_to_fit(below))
        scale -= by
        positives, negatives = [combined([rescaled(one, by) for one in side]) for side in (above, below)]
        zeros, total = self.zero_count + other.zero_count, self.sum + other.sum
        return ExponentialSnapshot(scale, zeros, positives, negatives, total, *self._extremes(other))

    def quantile(self, q: float) -> float:
        """Estimate the `q`-quantile (`0 <= q <= 1`); NaN where nothing was observed.

        It is the observation of rank `q * count`, rounded up, whose bucket is found. What is returned is in that bucket, and
        as far, relative to them, from one edge as from the other: the error is at most `relative_error`, whatever the
        observations are. To interpolate by rank would double that. The bucket's edges are narrowed to `min` and `max`;
        `quantile(0)` and `quantile(1)` are exact.

        Source: Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
        2019.

        Raises:
            ValueError: `q` is outside 0 to 1.
        """
        if not 0.0 <= q <= 1.0:
            raise ValueError(f"quantile must be within 0 and 1, not {q!r}")
        if q in (0.0, 1.0) and self.min == self.min:
            return self.max if q else self.min
        rank = q * self.count
        below = 0
        for lower, upper, count in self.spans():
            below += count
            if count and below >= rank:
                return self._between(max(lower, self.min), min(upper, self.max))
        return nan

    def spans(self) -> Iterator[tuple[float, float, int]]:
        """Yield the edges of each bucket, ascending, and its observations."""
        first, counts = self.negatives
        for index in range(first + len(counts) - 1, first - 1, -1):
            yield -upper_bound(self.scale, index), -upper_bound(self.scale, index - 1), counts[index - first]
        yield 0.0, 0.0, self.zero_count
        first, counts = self.positives
        for index, count in enumerate(counts, first):
            yield upper_bound(self.scale, index - 1), upper_bound(self.scale, index), count

    @staticmethod
    def _between(low: float, high: float) -> float:
        """Return what is as far, relative to them, from one edge as from the other: `2 * low * high / (low + high)`."""
        near, far = (low, high) if low >= 0 else (high, low)
        if far in (0.0, inf, -inf):
            return near
        ratio = near / far
        return min(max(far * (2.0 * ratio / (1.0 + ratio)), low), high)


# What makes one; bounds and the counts between them follow.
type.__setattr__(ExponentialSnapshot, "__match_args__", ("scale", "zero_count", "positives", "negatives", "sum", "min", "max"))
