"""Expressions on how durations and sizes are distributed: over buckets with a label `le`, or in native histograms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from tallymark.grafana.promql import Spelling, sum_by

__all__ = ["Classic", "Distribution", "Native"]

NO_CONDITIONS: Sequence[str] = ()


class Distribution(ABC):
    """The observations of one metric. Expressions are about observations in a window, such as `5m`, and keep some labels apart.

    Attributes:
        name: of the metric, as the scraper knows it.
        bounds: upper bounds of the buckets, ascending, without infinity; empty for a native histogram.
        unit: of the observations.
    """

    def __init__(self, spelling: Spelling, name: str, unit: str, bounds: Sequence[float] = ()) -> None:
        self.name = name
        self.unit = unit
        self.bounds = tuple(bounds)
        self._spelling = spelling

    @property
    @abstractmethod
    def sample(self) -> str:
        """The name of series that are there if the metric is, for the lists of labels' values."""

    @abstractmethod
    def count(self, by: Sequence[str], window: str, *alternatives: Sequence[str]) -> str:
        """Return how many observations there were per second that meet the conditions of at least one of the alternatives."""

    @abstractmethod
    def total(self, by: Sequence[str], window: str, conditions: Sequence[str] = NO_CONDITIONS) -> str:
        """Return the sum of the observations per second."""

    @abstractmethod
    def quantile(self, q: str, by: Sequence[str], window: str, conditions: Sequence[str] = NO_CONDITIONS) -> str:
        """Return the quantile `q`, such as `0.99`."""

    @abstractmethod
    def buckets(self, window: str, conditions: Sequence[str] = NO_CONDITIONS) -> str:
        """Return all buckets, for a heat map."""

    @abstractmethod
    def above(self, threshold: str, by: Sequence[str], window: str, conditions: Sequence[str] = NO_CONDITIONS) -> str:
        """Return how many observations per second were above a threshold; nothing where there were none at all."""


class Classic(Distribution):
    """Buckets with a label `le`."""

    @property
    def sample(self) -> str:
        return f"{self.name}_count"

    def count(self, by: Sequence[str], window: str, *alternatives: Sequence[str]) -> str:
        return sum_by(by, self._spelling.rate(self.sample, window, alternatives or [NO_CONDITIONS]))

    def total(self, by: Sequence[str], window: str, conditions: Sequence[str] = NO_CONDITIONS) -> str:
        return sum_by(by, self._spelling.rate(f"{self.name}_sum", window, [conditions]))

    def quantile(self, q: str, by: Sequence[str], window: str, conditions: Sequence[str] = NO_CONDITIONS) -> str:
        return f"histogram_quantile({q}, {self._buckets(['le', *by], window, conditions)})"

    def buckets(self, window: str, conditions: Sequence[str] = NO_CONDITIONS) -> str:
        return self._buckets(["le"], window, conditions)

    def above(self, threshold: str, by: Sequence[str], window: str, conditions: Sequence[str] = NO_CONDITIONS) -> str:
        """Return how many observations there were above a threshold, which must be one of the bounds."""
        below = self._buckets(by, window, [*conditions, _ends_at(float(threshold))])
        return f"{self.count(by, window, conditions)} - {below}"

    def _buckets(self, by: Sequence[str], window: str, conditions: Sequence[str]) -> str:
        return sum_by(by, self._spelling.rate(f"{self.name}_bucket", window, [conditions]))


def _ends_at(bound: float) -> str:
    """Return the condition that a bucket ends at a bound. Some libraries write a whole number as `1`, and others as `1.0`."""
    text = repr(bound)
    return f'le=~"{text[:-2]}|{text}"' if text.endswith(".0") else f'le="{text}"'


class Native(Distribution):
    """A native histogram: one sample holds all buckets."""

    @property
    def sample(self) -> str:
        return self.name

    def count(self, by: Sequence[str], window: str, *alternatives: Sequence[str]) -> str:
        return f"histogram_count({self._merged(by, window, *(alternatives or [NO_CONDITIONS]))})"

    def total(self, by: Sequence[str], window: str, conditions: Sequence[str] = NO_CONDITIONS) -> str:
        return f"histogram_sum({self._merged(by, window, conditions)})"

    def quantile(self, q: str, by: Sequence[str], window: str, conditions: Sequence[str] = NO_CONDITIONS) -> str:
        return f"histogram_quantile({q}, {self._merged(by, window, conditions)})"

    def buckets(self, window: str, conditions: Sequence[str] = NO_CONDITIONS) -> str:
        return self._merged([], window, conditions)

    def above(self, threshold: str, by: Sequence[str], window: str, conditions: Sequence[str] = NO_CONDITIONS) -> str:
        """Return how many observations there were above a threshold. Within a bucket, Prometheus interpolates."""
        merged = self._merged(by, window, conditions)
        # Where nothing was observed, the fraction is not a number, and would spoil all sums that it gets into.
        return f"histogram_count({merged}) * (1 - histogram_fraction(-Inf, {threshold}, {merged}) >= 0)"

    def _merged(self, by: Sequence[str], window: str, *alternatives: Sequence[str]) -> str:
        return sum_by(by, self._spelling.rate(self.name, window, alternatives))
