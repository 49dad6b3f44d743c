"""`RecordedSeries`: one series that a test asked for."""

from __future__ import annotations

from collections.abc import Iterator

from tallymark.metric.data import ExponentialHistogramData, HistogramData, SummaryData
from tallymark.metric.snapshot import SeriesView, Snapshot

__all__ = ["RecordedSeries", "recorded_series"]


class RecordedSeries(SeriesView):
    """One series at one moment: `name`, `kind`, `tags`, `created`, and `value`, or `histogram`, `count` and `sum`."""

    __slots__ = ()

    @property
    def amount(self) -> float:
        """What assertions compare: the value of a series that holds one number, the number of observations of the others."""
        match self.family.data:
            case SummaryData() | HistogramData() | ExponentialHistogramData():
                return self.count
        return self.value


def recorded_series(snapshot: Snapshot) -> Iterator[RecordedSeries]:
    """Return all series of a snapshot."""
    return (RecordedSeries(series.family, series.row) for series in snapshot)
