"""Protobuf's wire format: as much of it as is written by hand, since a message for each series would take too long to make.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["METRIC", "Heads", "created_fields", "seconds_and_nanos", "varint"]

METRIC = b"\x22"
"""The tag of the field `metric` of the message `MetricFamily`."""
_CREATED = b"\x1a"
"""That of the field `created_timestamp` of `Counter`."""
_FIVE_BYTES = 2.0**28, 2.0**35
"""Seconds from 1978 to 3058 take five bytes."""
_END = 253402300800.0
"""The first second that a Timestamp cannot tell: that of the year 10,000."""


def varint(number: int) -> bytes:
    """Return a number from 0 up as groups of seven bits, the lowest first."""
    groups = bytearray()
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    groups.append(number)
    return bytes(groups)


class Heads(dict[int, bytes]):
    """What comes before a message that is a field of another, by its length: the field's tag, the length, and `start`."""

    def __init__(self, tag: bytes, start: bytes = b"") -> None:
        self._tag, self._start = tag, start

    def __missing__(self, length: int) -> bytes:
        head = self[length] = self._tag + varint(length) + self._start
        return head


def seconds_and_nanos(time: float) -> tuple[int, int] | None:
    """Return a time in milliseconds, as Prometheus reads it; None if it is not known (0), or no Timestamp can tell it."""
    if not 0.0 < time < _END:
        return None
    second, rest = divmod(int(time * 1000.0 + 0.5), 1000)
    return second, rest * 1_000_000


def created_fields(times: Sequence[float]) -> list[bytes]:
    """Return for each series the field that tells when it was created; nothing if that is not known."""
    first, end = _FIVE_BYTES
    if False in [first <= time < end for time in times]:
        return [_created_field(time) for time in times]
    ends, lows, highs = _Ends(), _Lows(), _Highs()
    fields, last, field = [], -1, b""
    for time in times:
        moment = int(time * 1000.0 + 0.5)
        if moment != last:  # neighbours often have the same
            last = moment
            second, rest = divmod(moment, 1000)
            start, nanos = ends[rest]
            field = b"".join((start, lows[second & 0x3FFF], highs[second >> 14], nanos))
        fields.append(field)
    return fields


def _created_field(time: float) -> bytes:
    parts = seconds_and_nanos(time)
    if parts is None:
        return b""
    timestamp = b"\x08" + varint(parts[0]) + _nanos_field(parts[1])
    return _CREATED + varint(len(timestamp)) + timestamp


def _nanos_field(nanos: int) -> bytes:
    return b"\x10" + varint(nanos) if nanos else b""


# Of the parts of times there are few, and each is made once: of a hundred thousand series, many were created in one second, all
# in few stretches of 16,384 seconds, and each at one of a thousand milliseconds.


class _Ends(dict[int, tuple[bytes, bytes]]):
    """What comes before five bytes of seconds, and after them, by the milliseconds."""

    def __missing__(self, rest: int) -> tuple[bytes, bytes]:
        nanos = _nanos_field(rest * 1_000_000)
        ends = self[rest] = _CREATED + varint(6 + len(nanos)) + b"\x08", nanos
        return ends


class _Lows(dict[int, bytes]):
    """The first two bytes of seconds, by their lowest 14 bits."""

    def __missing__(self, low: int) -> bytes:
        two = self[low] = bytes((low & 0x7F | 0x80, low >> 7 | 0x80))
        return two


class _Highs(dict[int, bytes]):
    """The other three bytes, by the other bits."""

    def __missing__(self, high: int) -> bytes:
        three = self[high] = varint(high)
        return three
