"""Histograms as messages `TimeSeries`, in parts. Series that have the same labels add up."""

from __future__ import annotations

from tallymark.export.native_histogram import native_histogram
from tallymark.export.protobuf_labels import NAME, label_field, twins
from tallymark.export.remote_write_buckets import BucketSeries
from tallymark.export.remote_write_labels import named
from tallymark.export.remote_write_native import native_series
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tallymark.engine.exemplar import Exemplar
    from tallymark.export.remote_write_report import Report
    from tallymark.metric.data import ExponentialHistogramData, HistogramData

__all__ = ["exponential_histograms", "histograms"]

_SAMPLES = 256
"""About so many are a portion."""
_ROWS = 16
"""So many exponential histograms are one: each has up to 160 buckets."""


def histograms(name: str, data: HistogramData, report: Report) -> Iterator[bytes]:
    """Yield histograms with explicit bounds."""
    groups = list(twins(report.labels_of(data.tags, "le")).items())
    series = BucketSeries(name, data.bounds, report)
    for some in portions(len(groups), _SAMPLES // (len(data.bounds) + 3) + 1):
        yield b"".join([_histogram(series, labels, data, rows) for labels, rows in groups[some]])


def _histogram(series: BucketSeries, labels: bytes, data: HistogramData, rows: Sequence[int]) -> bytes:
    exemplars = _of_rows(data.exemplars, rows)
    if len(rows) == 1:
        return series.distribution(labels, data.bucket_counts[rows[0]], data.sums[rows[0]], exemplars)
    together = data.row(*rows)
    return series.distribution(labels, together.bucket_counts, together.sum, exemplars)


def exponential_histograms(name: str, data: ExponentialHistogramData, report: Report) -> Iterator[bytes]:
    """Yield exponential histograms: native ones, or with classic buckets where the receiver or Prometheus takes no other."""
    groups = list(twins(report.labels_of(data.tags, "le")).items())
    for some in portions(len(groups), _ROWS):
        yield b"".join([_exponential(name, labels, data, rows, report) for labels, rows in groups[some]])


def _exponential(name: str, labels: bytes, data: ExponentialHistogramData, rows: Sequence[int], report: Report) -> bytes:
    exemplars = _of_rows(data.exemplars, rows)
    native = native_histogram(data, rows) if report.native else None
    if native is None:
        classic = data.row(*rows)
        return BucketSeries(name, classic.bounds, report).distribution(labels, classic.bucket_counts, classic.sum, exemplars)
    total = sum([data.sums[row] for row in rows])
    new = report.exemplars(exemplars) if exemplars else ()
    return native_series(named(label_field(NAME, name), labels), native, total, new, report)


def _of_rows(column: Sequence[Sequence[Exemplar]], rows: Sequence[int]) -> Sequence[Exemplar]:
    return [one for row in rows for one in column[row]] if column else ()
