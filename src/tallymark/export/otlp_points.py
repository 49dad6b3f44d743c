"""Data points of OpenTelemetry's metrics: fields of fixed width, written by hand after kept attributes.

There may be very many of them: a message for each would take too long to make. Zeros are written out, which protobuf allows.

Source: https://github.com/open-telemetry/opentelemetry-proto, opentelemetry/proto/metrics/v1/metrics.proto.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import compress
from struct import Struct, pack

from tallymark.export.otlp_attributes import EXPONENTIAL, HISTOGRAM, NUMBER, column_of_attributes
from tallymark.export.otlp_messages import exemplar_fields
from tallymark.export.protobuf_wire import Heads, varint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from tallymark.export.otlp_times import Times
    from tallymark.metric.data import (
        ExponentialHistogramData,
        GaugeData,
        HistogramData,
        InfoData,
        StateSetData,
        SumData,
        SummaryData,
    )

__all__ = ["exponential_points", "gauge_points", "histogram_points", "sum_points", "summary_points"]

MOST = 2**64 - 1
"""A count above this is written as this."""

_START, _TIME, _COUNT, _SUM = 0x11, 0x19, 0x21, 0x29
_VALUE = 0x21
_ZEROS = 0x39
_double = Struct("<Bd").pack
_whole = Struct("<BQ").pack
_extremes = Struct("<BdBd").pack
_timed_number = Struct("<BQBd").pack
_number = Struct("<BQBQBd").pack
_counted = Struct("<BQBQBQ").pack
_heads = Heads(b"\x0a")
"""The field `data_points`, and the fields of a point: each a tag and eight bytes."""


def _points(attributes: Sequence[bytes], bodies: Sequence[bytes]) -> bytes:
    return b"".join([b"".join((_heads[len(one) + len(body)], one, body)) for one, body in zip(attributes, bodies, strict=True)])


def _changed(counts: Sequence[float], *columns: Sequence[Any]) -> list[list[Any]]:
    """Return only the rows in which something was counted."""
    chosen = [count != 0 for count in counts]
    return [list(compress(column, chosen)) for column in columns]


def gauge_points(data: GaugeData, rows: slice, times: Times, more: Mapping[str, str]) -> bytes:
    """Return values that go up and down, which start at no time."""
    now = times.now
    bodies = [_timed_number(_TIME, now, _VALUE, value) for value in data.values[rows]]
    return _points(column_of_attributes(data.tags[rows], more), bodies)


def sum_points(
    data: SumData | InfoData | StateSetData, rows: slice, times: Times, more: Mapping[str, str], *, delta: bool
) -> bytes:
    """Return totals; of differences, those that are not 0."""
    now, values = times.now, data.values[rows]
    attributes = column_of_attributes(data.tags[rows], more)
    starts = times.starts(data.created[rows], delta=delta)
    bodies = [_number(_START, start, _TIME, now, _VALUE, value) for start, value in zip(starts, values, strict=True)]
    exemplars = getattr(data, "exemplars", ())
    if exemplars:
        bodies = [body + exemplar_fields(b"\x2a", some) for body, some in zip(bodies, exemplars[rows], strict=True)]
    if delta:
        attributes, bodies = _changed(values, attributes, bodies)
    return _points(attributes, bodies)


def summary_points(data: SummaryData, rows: slice, times: Times, more: Mapping[str, str], *, delta: bool) -> bytes:
    """Return counts and sums: totals as summaries; differences, which these cannot be, as histograms without buckets.

    Both have the same fields, but for the tag of their attributes, and the quantiles that other libraries tell.
    """
    counts = [min(count, MOST) for count in data.counts[rows]]
    starts = times.starts(data.created[rows], delta=delta)
    bodies = [
        _counted(_START, start, _TIME, times.now, _COUNT, count) + _double(_SUM, total)
        for start, count, total in zip(starts, counts, data.sums[rows], strict=True)
    ]
    attributes = column_of_attributes(data.tags[rows], more, HISTOGRAM if delta else NUMBER)
    if delta:
        attributes, bodies = _changed(counts, attributes, bodies)
    elif data.quantiles:
        bodies = [body + _quantiles(pairs) for body, pairs in zip(bodies, data.quantiles[rows], strict=True)]
    return _points(attributes, bodies)


def _quantiles(pairs: Sequence[tuple[float, float]]) -> bytes:
    """Return the field `quantile_values`: messages of two doubles."""
    return b"".join([b"\x32\x12" + _double(0x09, quantile) + _double(0x11, value) for quantile, value in pairs])


def histogram_points(data: HistogramData, rows: slice, times: Times, more: Mapping[str, str], *, delta: bool) -> bytes:
    """Return distributions with explicit bounds."""
    bounds, now = data.bounds, times.now
    layout = Struct(f"<{len(bounds) + 1}Q")
    counts_head = b"\x32" + varint(layout.size)
    bounds_field = b"\x3a" + varint(8 * len(bounds)) + pack(f"<{len(bounds)}d", *bounds) if bounds else b""
    starts, all_counts = times.starts(data.created[rows], delta=delta), data.bucket_counts[rows]
    totals = [sum(counts) for counts in all_counts]
    rests = _rests(b"\x42", 0x59, data, rows, delta=delta)
    bodies = []
    for start, count, counts, (total, rest) in zip(starts, totals, all_counts, rests, strict=True):
        if count > MOST:
            count, counts = MOST, [min(one, MOST) for one in counts]
        head = _counted(_START, start, _TIME, now, _COUNT, count)
        bodies.append(b"".join((head, total, counts_head, layout.pack(*counts), bounds_field, rest)))
    attributes = column_of_attributes(data.tags[rows], more, HISTOGRAM)
    if delta:
        attributes, bodies = _changed(totals, attributes, bodies)
    return _points(attributes, bodies)


def exponential_points(
    data: ExponentialHistogramData, rows: slice, times: Times, more: Mapping[str, str], *, delta: bool
) -> bytes:
    """Return distributions with exponential buckets."""
    starts, zeros, now = times.starts(data.created[rows], delta=delta), data.zero_counts[rows], times.now
    above, below = data.positives[rows], data.negatives[rows]
    totals = [zero + sum(up[1]) + sum(down[1]) for zero, up, down in zip(zeros, above, below, strict=True)]
    counts = totals
    if max(totals, default=0) > MOST:  # seldom, and then slow
        counts, zeros = [min(count, MOST) for count in totals], [min(zero, MOST) for zero in zeros]
    rests = _rests(b"\x5a", 0x61, data, rows, delta=delta)
    bodies = []
    for start, count, zero, scale, up, down, (total, rest) in zip(
        starts, counts, zeros, data.scales[rows], above, below, rests, strict=True
    ):
        head, none = _counted(_START, start, _TIME, now, _COUNT, count), _whole(_ZEROS, zero)
        positives, negatives = _buckets(b"\x42", *up), _buckets(b"\x4a", *down) if down[1] else b""
        bodies.append(b"".join((head, total, _scale(scale), none, positives, negatives, rest)))
    attributes = column_of_attributes(data.tags[rows], more, EXPONENTIAL)
    if delta:
        attributes, bodies = _changed(totals, attributes, bodies)
    return _points(attributes, bodies)


@lru_cache(maxsize=1000)
def _scale(scale: int) -> bytes:
    return b"\x30" + _zigzag(scale)


def _buckets(tag: bytes, first: int, counts: Sequence[int]) -> bytes:
    """Return a field `Buckets`: where they start, and their counts, each in as many bytes as it needs. None: no field."""
    if not counts:
        return b""
    try:
        packed = bytes(counts)  # mostly they are small
    except ValueError:
        packed = b"\xff"
    if not packed.isascii():  # some need more bytes
        packed = b"".join([varint(min(count, MOST)) for count in counts])
    start, length = _zigzag(first), _varint(len(packed))
    size = _varint(2 + len(start) + len(length) + len(packed))
    return b"".join((tag, size, b"\x08", start, b"\x12", length, packed))


_varint = lru_cache(maxsize=1000)(varint)


@lru_cache(maxsize=1000)
def _zigzag(number: int) -> bytes:
    """Return a number as a `sint32`."""
    return varint(2 * number if number >= 0 else -2 * number - 1)


def _rests(
    exemplar: bytes, least: int, data: HistogramData | ExponentialHistogramData, rows: slice, *, delta: bool
) -> list[tuple[bytes, bytes]]:
    """Return for each series the field `sum`, and the fields that may follow the buckets: the extremes, and exemplars.

    Where there are observations below 0 there is no sum, as the protocol asks: receivers take a sum that falls for a restart.
    Of differences, the extremes are not known exactly, and are left out.

    Args:
        exemplar: the tag of the field `exemplars`.
        least: the tag of the field `min`; that of `max` is 8 more.
        data: all series.
        rows: those that are wanted.
        delta: True for differences.
    """
    sums, mins, maxs = data.sums[rows], data.mins[rows], data.maxs[rows]
    rests = [
        (
            b"" if low < 0.0 else _double(_SUM, total),
            b"" if delta or low != low else _extremes(least, low, least + 8, high),
        )
        for total, low, high in zip(sums, mins, maxs, strict=True)
    ]
    if data.exemplars:
        told = [exemplar_fields(exemplar, some) for some in data.exemplars[rows]]
        return [(total, rest + one) for (total, rest), one in zip(rests, told, strict=True)]
    return rests
