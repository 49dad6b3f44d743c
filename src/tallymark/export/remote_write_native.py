"""Native histograms as messages `TimeSeries`, written by hand: no package on PyPI has these messages."""

from __future__ import annotations

from functools import lru_cache
from struct import pack

from tallymark.export.native_histogram import ZERO_THRESHOLD
from tallymark.export.protobuf_wire import varint
from tallymark.export.remote_write_wire import double, series_message, zigzag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tallymark.engine.exemplar import Exemplar
    from tallymark.export.native_histogram import NativeBuckets, NativeHistogram
    from tallymark.export.remote_write_report import Report

__all__ = ["native_series"]

_HISTOGRAM = b"\x22"
"""The tag of `histograms` in `TimeSeries`. All tags below are of `Histogram`."""
_COUNT, _SUM, _SCHEMA, _ZERO_COUNT, _TIME = b"\x08", b"\x19", b"\x20", b"\x30", b"\x78"
_ZERO_THRESHOLD = b"\x29" + pack("<d", ZERO_THRESHOLD)
_NEGATIVE, _POSITIVE = (b"\x42", b"\x4a"), (b"\x5a", b"\x62")
"""Of each side, the spans and the deltas."""

_SMALL = range(-1024, 1025)
_short = [zigzag(delta) for delta in _SMALL]


def native_series(labels: bytes, native: NativeHistogram, total: float, exemplars: Sequence[Exemplar], report: Report) -> bytes:
    """Return one series.

    Args:
        labels: with the name.
        native: the distribution.
        total: the sum of its observations.
        exemplars: those that are to be sent; the oldest come first, as receivers want them.
    """
    histogram = b"".join(
        (
            _COUNT, varint(native.count), _SUM, double(total), _SCHEMA, zigzag(native.schema), _ZERO_THRESHOLD,
            _ZERO_COUNT, varint(native.zero_count), *_side(_NEGATIVE, native.negative), *_side(_POSITIVE, native.positive),
            _TIME, report.moment.time,
        )
    )  # fmt: skip
    fields = [report.exemplar_field(one) for one in sorted(exemplars, key=lambda one: one.time)]
    return series_message(labels, *fields, _HISTOGRAM, varint(len(histogram)), histogram)


def _side(tags: tuple[bytes, bytes], buckets: NativeBuckets) -> list[bytes]:
    if not buckets.spans:
        return []
    spans, deltas = tags
    fields = [spans + _span(*each) for each in buckets.spans]
    low, high = _SMALL[0], _SMALL[-1]
    differences = [count - before for count, before in zip(buckets.counts, [0, *buckets.counts], strict=False)]
    packed = b"".join([_short[delta - low] if low <= delta <= high else zigzag(delta) for delta in differences])
    return [*fields, deltas, varint(len(packed)), packed]


@lru_cache(maxsize=4096)
def _span(offset: int, length: int) -> bytes:
    """Return a message `BucketSpan` after its length."""
    span = b"\x08" + zigzag(offset) + b"\x10" + varint(length)
    return varint(len(span)) + span
