"""`RecordedSeries`: one series as a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator

from tallymark.metric.snapshot import SeriesView, Snapshot

__all__ = ["RecordedSeries", "recorded_series"]


class RecordedSeries(SeriesView):
    """One series at one moment: `name`, `kind`, `tags`, `created`, and `value`, or `histogram`, `count` and `sum`."""

    __slots__ = ()

    @property
    def count(self) -> int:
        """Number of observations. `AttributeError` for kinds without buckets."""
        return self.histogram.count

    @property
    def sum(self) -> float:
        """Sum of the observations, of a timer in seconds. `AttributeError` for kinds without buckets."""
        return self.histogram.sum

    @property
    def amount(self) -> float:
        """What assertions compare: the value of a counter or gauge, the number of observations of the others."""
        return self.count if self.family.bounds else self.value


def recorded_series(snapshot: Snapshot) -> Iterator[RecordedSeries]:
    """Return all series of a snapshot."""
    return (RecordedSeries(series.family, series.row) for series in snapshot)
