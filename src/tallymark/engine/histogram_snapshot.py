"""One histogram series read at one moment, and what can be estimated from its buckets."""

from __future__ import annotations

from math import inf, nan

from tallymark.frozen import Frozen

__all__ = ["HistogramSnapshot"]

_set = object.__setattr__


class HistogramSnapshot(Frozen):
    """The distribution that one histogram or timer series holds, in the unit of its metric.

    Attributes:
        bounds: upper bounds of the buckets, inclusive, ascending.
        bucket_counts: observations in each bucket, not cumulative; one more than `bounds`, for what lies above the last.
        sum: sum of all observations.
        min: smallest observation; NaN where there is none.
        max: largest observation; NaN where there is none.
    """

    __slots__ = ("bounds", "bucket_counts", "max", "min", "sum")

    bounds: tuple[float, ...]
    bucket_counts: tuple[int, ...]
    sum: float
    min: float
    max: float

    def __init__(
        self, bounds: tuple[float, ...], bucket_counts: tuple[int, ...], sum: float, min: float, max: float
    ) -> None:  # written out for speed: a reading makes one for each series
        _set(self, "bounds", bounds)
        _set(self, "bucket_counts", bucket_counts)
        _set(self, "sum", sum)
        _set(self, "min", min)
        _set(self, "max", max)

    @property
    def count(self) -> int:
        """Number of observations."""
        return sum(self.bucket_counts)

    @property
    def mean(self) -> float:
        """Arithmetic mean of the observations; NaN where there is none."""
        count = self.count
        return self.sum / count if count else nan

    @property
    def relative_error(self) -> float:
        """The most by which `quantile()` differs from an observation, relative to it; NaN where bounds are explicit."""
        return nan

    def merged(self, other: HistogramSnapshot) -> HistogramSnapshot:
        """Return the distribution of the observations of both.

        Raises:
            ValueError: the two have different bounds.
        """
        if self.bounds != other.bounds:
            raise ValueError(f"only distributions with the same bounds can be merged, not {self.bounds} and {other.bounds}")
        counts = tuple([mine + theirs for mine, theirs in zip(self.bucket_counts, other.bucket_counts, strict=True)])
        return HistogramSnapshot(self.bounds, counts, self.sum + other.sum, *self._extremes(other))

    def _extremes(self, other: HistogramSnapshot) -> tuple[float, float]:
        # NaN (nothing observed) compares false, so it is kept only if both have it.
        least = self.min if not other.min < self.min and self.count else other.min
        most = self.max if not other.max > self.max and self.count else other.max
        return least, most

    def quantile(self, q: float) -> float:
        """Estimate the `q`-quantile (`0 <= q <= 1`); NaN where nothing was observed.

        The bucket that holds the observation of rank `q * count` is found first. Observations are taken to be spread evenly
        over a bucket (linear interpolation, as in Prometheus's `histogram_quantile`). The bucket's edges are narrowed to `min`
        and `max`, so the estimate never leaves the observed range, not even in the open last bucket. The error is at most
        the width of that (narrowed) bucket; `quantile(0)` and `quantile(1)` are exact.

        Raises:
            ValueError: `q` is outside 0 to 1.
        """
        if not 0.0 <= q <= 1.0:
            raise ValueError(f"quantile must be within 0 and 1, not {q!r}")
        rank = q * self.count
        below = 0
        for count, lower, upper in zip(self.bucket_counts, (-inf, *self.bounds), (*self.bounds, inf), strict=True):
            if count and below + count >= rank:
                low, high = max(lower, self.min), min(upper, self.max)
                share = max(0.0, rank - below) / count
                # Not low + (high - low) * share, which may round past high, or overflow.
                return min(max(low * (1.0 - share) + high * share, low), high)
            below += count
        return nan

    def __repr__(self) -> str:
        spread = f" min={self.min:g} max={self.max:g} p50={self.quantile(0.5):g} p99={self.quantile(0.99):g}"
        return f"<{type(self).__name__} count={self.count} sum={self.sum:g}{spread if self.count else ''}>"
