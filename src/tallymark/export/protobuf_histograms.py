"""Summaries and histograms as messages `Metric`. One message is made for each family, and filled anew for each series."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from math import inf

from tallymark.export.native_histogram import ZERO_THRESHOLD, native_histogram
from tallymark.export.protobuf_labels import newest, oldest, twins
from tallymark.export.protobuf_messages import Histogram, Summary
from tallymark.export.protobuf_series import exemplar_message, set_time
from tallymark.export.protobuf_wire import METRIC, Heads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tallymark.engine.exemplar import Exemplar
    from tallymark.engine.histogram_snapshot import HistogramSnapshot
    from tallymark.export.native_histogram import NativeBuckets, NativeHistogram
    from tallymark.metric.data import ExponentialHistogramData, HistogramData, SummaryData

__all__ = ["exponential_histograms", "histograms", "summaries"]

_SUMMARY, _HISTOGRAM = b"\x22", b"\x3a"
"""The tags of these fields of `Metric`."""

_MOST = 2**64 - 1
"""A count above this is written as this."""


class _Metrics:
    """The messages of a family's series."""

    __slots__ = ("_bodies", "_heads", "made")

    def __init__(self, field: bytes) -> None:
        self._heads = Heads(METRIC)
        self._bodies = Heads(field)
        self.made: list[bytes] = []

    def add(self, labels: bytes, message: Any) -> None:
        body = message.SerializeToString()
        start = self._bodies[len(body)]
        self.made.append(b"".join((self._heads[len(labels) + len(start) + len(body)], labels, start, body)))


def summaries(labels: list[bytes], data: SummaryData) -> list[bytes]:
    """Return the series of a summary. Those that have the same labels add up."""
    metrics, message = _Metrics(_SUMMARY), Summary()
    for label, rows in twins(labels).items():
        message.sample_count = min(sum([data.counts[row] for row in rows]), _MOST)
        message.sample_sum = sum([data.sums[row] for row in rows])
        del message.quantile[:]
        if data.quantiles and len(rows) == 1:
            for quantile, value in data.quantiles[rows[0]]:
                message.quantile.add(quantile=quantile, value=value)
        set_time(message, "created_timestamp", oldest(data.created, rows))
        metrics.add(label, message)
    return metrics.made


def histograms(labels: list[bytes], data: HistogramData, escaping: str) -> list[bytes]:
    """Return the series of a histogram with explicit bounds. Those that have the same labels add up."""
    metrics, message = _Metrics(_HISTOGRAM), Histogram()
    buckets = [message.bucket.add(upper_bound=bound) for bound in (*data.bounds, inf)]
    exemplars = data.exemplars
    for label, rows in twins(labels).items():
        _fill_classic(message, buckets, data.row(*rows))
        set_time(message, "created_timestamp", oldest(data.created, rows))
        if exemplars:
            _set_exemplars(buckets, data.bounds, _of_rows(exemplars, rows), escaping)
        metrics.add(label, message)
    return metrics.made


def exponential_histograms(labels: list[bytes], data: ExponentialHistogramData, escaping: str, classic: bool) -> list[bytes]:
    """Return the series of an exponential histogram. Those that have the same labels add up."""
    metrics, message = _Metrics(_HISTOGRAM), Histogram()
    exemplars = data.exemplars
    for label, rows in twins(labels).items():
        message.Clear()
        native = native_histogram(data, rows)
        recorded = _of_rows(exemplars, rows) if exemplars else []
        if native is not None:
            _fill_native(message, native, sum([data.sums[row] for row in rows]))
            _add_exemplars(message, recorded, escaping)
        if native is None or classic:
            explicit = data.row(*rows)
            buckets = [message.bucket.add(upper_bound=bound) for bound in (*explicit.bounds, inf)]
            _fill_classic(message, buckets, explicit)
            _set_exemplars(buckets, explicit.bounds, recorded, escaping)
        set_time(message, "created_timestamp", oldest(data.created, rows))
        metrics.add(label, message)
    return metrics.made


def _fill_classic(message: Any, buckets: list[Any], distribution: HistogramSnapshot) -> None:
    count = 0
    for bucket, count in zip(buckets, accumulate(distribution.bucket_counts), strict=True):
        bucket.cumulative_count = min(count, _MOST)
    message.sample_count = min(count, _MOST)
    message.sample_sum = distribution.sum


def _fill_native(message: Any, native: NativeHistogram, total: float) -> None:
    message.sample_count = native.count
    message.sample_sum = total
    message.schema = native.schema
    message.zero_threshold = ZERO_THRESHOLD
    message.zero_count = native.zero_count
    _fill_side(message.negative_span, message.negative_delta, native.negative)
    _fill_side(message.positive_span, message.positive_delta, native.positive)
    if not native.count:  # the specification wants a span even so
        message.positive_span.add(offset=0, length=0)


def _fill_side(spans: Any, deltas: Any, buckets: NativeBuckets) -> None:
    for offset, length in buckets.spans:
        spans.add(offset=offset, length=length)
    deltas.extend([count - before for count, before in zip(buckets.counts, [0, *buckets.counts], strict=False)])


def _of_rows(exemplars: Sequence[Sequence[Exemplar]], rows: Sequence[int]) -> list[Exemplar]:
    return [one for row in rows for one in exemplars[row]]


def _set_exemplars(buckets: list[Any], bounds: Sequence[float], exemplars: list[Exemplar], escaping: str) -> None:
    """Give each bucket its newest exemplar."""
    found: dict[int, list[Exemplar]] = {}
    for one in exemplars:
        found.setdefault(bisect_left(bounds, one.value), []).append(one)
    for at, bucket in enumerate(buckets):
        bucket.ClearField("exemplar")
        if last := newest(found.get(at, ())):
            bucket.exemplar.CopyFrom(exemplar_message(last, escaping))


def _add_exemplars(message: Any, exemplars: list[Exemplar], escaping: str) -> None:
    """Add exemplars to a native histogram, in which each must have a time."""
    for one in sorted(exemplars, key=lambda one: one.time):
        made = exemplar_message(one, escaping)
        if made.HasField("timestamp"):
            message.exemplars.append(made)
