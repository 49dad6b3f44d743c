"""The messages of remote write 1.0 as bytes: a series is written by hand after its labels, since there may be very many.

Source: https://prometheus.io/docs/specs/prw/remote_write_spec/, and prompb/remote.proto, prompb/types.proto of Prometheus.
"""

from __future__ import annotations

from math import isnan
from struct import pack

from tallymark.export.protobuf_wire import varint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["STALE", "Moment", "Prefixes", "double", "doubles", "milliseconds", "series_message", "zigzag"]

STALE = b"\x02\x00\x00\x00\x00\x00\xf0\x7f"
"""The NaN that tells that a series has ended."""
_NAN = b"\x01\x00\x00\x00\x00\x00\xf8\x7f"
"""The NaN of Prometheus for what is not a number."""
_SERIES, _SAMPLE, _VALUE = b"\x0a", b"\x12", b"\x09"
"""The tags of `timeseries` in `WriteRequest`, of `samples` in `TimeSeries`, and of `value` in `Sample`."""
_LATEST = 2**63 - 1


class Moment:
    """When the samples of a report were taken: what is before and after the eight bytes of each value.

    Attributes:
        time: in milliseconds since the epoch, as a field has it.
        before: the begin of the field `samples`.
        after: its end.
        size: of the field.
    """

    __slots__ = ("after", "before", "size", "time")

    def __init__(self, seconds: float) -> None:
        self.time = varint(milliseconds(seconds))
        self.after = b"\x10" + self.time
        self.before = _SAMPLE + bytes((9 + len(self.after),)) + _VALUE
        self.size = len(self.before) + 8 + len(self.after)


def milliseconds(seconds: float) -> int:
    """Return a time as an unsigned number has it that stands for a signed one; one that no server can tell, as 0."""
    if not abs(seconds) < _LATEST / 1000.0:
        return 0
    return round(seconds * 1000.0) & (2**64 - 1)


def doubles(values: Sequence[float]) -> bytes:
    """Return numbers of eight bytes each. What is not a number is none that would mean that a series has ended."""
    total = sum(values)
    if total == total:
        return pack(f"<{len(values)}d", *values)
    return b"".join([double(value) for value in values])


def double(value: float) -> bytes:
    """Return one number as `doubles` does."""
    return _NAN if isnan(value) else pack("<d", value)


class Prefixes(dict[int, bytes]):
    """What is before the labels of a series, by their length.

    Args:
        start: what all of them begin with.
        size: of what follows them.
    """

    def __init__(self, start: bytes, size: int) -> None:
        self.start, self._size = start, size + len(start)

    def __missing__(self, length: int) -> bytes:
        prefix = self[length] = _SERIES + varint(length + self._size) + self.start
        return prefix


def series_message(*fields: bytes) -> bytes:
    """Return a series as a field of a request."""
    return b"".join((_SERIES, varint(sum(map(len, fields))), *fields))


def zigzag(number: int) -> bytes:
    """Return a signed number: those near 0, of either sign, are short."""
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)
