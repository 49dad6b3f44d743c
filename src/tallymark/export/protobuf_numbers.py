"""Series that hold one number, as messages `Metric`: written by hand after kept labels, since there may be very many."""

from __future__ import annotations

from itertools import islice
from struct import pack

from tallymark.export.protobuf_series import exemplar_message, newest, oldest, twins
from tallymark.export.protobuf_wire import METRIC, Heads, created_fields, varint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tallymark.engine.exemplar import Exemplar
    from tallymark.metric.data import GaugeData, InfoData, StateSetData, SumData

__all__ = ["counters", "gauges"]

_PORTION = 2048
_GAUGE, _COUNTER = b"\x12", b"\x1a"
"""The tags of these fields of `Metric`."""


def gauges(labels: list[bytes], data: GaugeData | SumData | InfoData | StateSetData) -> list[bytes]:
    """Return the series of a gauge. Of those that have the same labels, the last one stays."""
    values: Sequence[float] = data.values
    if _have_twins(labels):
        merged = dict(zip(labels, values, strict=True))
        labels, values = list(merged), list(merged.values())
    return _numbers(_GAUGE, labels, values, [b""] * len(labels))


def counters(labels: list[bytes], data: SumData, escaping: str) -> list[bytes]:
    """Return the series of a counter. Those that have the same labels add up."""
    values, created, exemplars = data.values, data.created, data.exemplars
    if _have_twins(labels):
        groups = twins(labels)
        labels = list(groups)
        values = [sum([values[row] for row in rows]) for rows in groups.values()]
        created = [oldest(created, rows) for rows in groups.values()]
        exemplars = exemplars and [[one for row in rows for one in exemplars[row]] for rows in groups.values()]
    ends = created_fields(created)
    if exemplars:
        ends = [_exemplar_field(some, escaping) + end for some, end in zip(exemplars, ends, strict=True)]
    return _numbers(_COUNTER, labels, values, ends)


def _have_twins(labels: list[bytes]) -> bool:
    """Return True if some series have the same labels. In portions: one call for all of them would hold up other threads."""
    seen: set[bytes] = set()
    for start in range(0, len(labels), _PORTION):
        seen.update(labels[start : start + _PORTION])
    return len(seen) < len(labels)


def _exemplar_field(exemplars: Sequence[Exemplar], escaping: str) -> bytes:
    exemplar = newest(exemplars)
    if exemplar is None:
        return b""
    message: bytes = exemplar_message(exemplar, escaping).SerializeToString()
    return b"\x12" + varint(len(message)) + message


def _numbers(field: bytes, labels: list[bytes], values: Sequence[float], ends: list[bytes]) -> list[bytes]:
    """Return messages, in portions: to hold a hundred thousand of them at once would cost more than to write them."""
    heads, starts = Heads(METRIC), Heads(field, b"\x09")  # the tag of the value, which takes eight bytes more
    portions = [values[start : start + _PORTION] for start in range(0, len(values), _PORTION)]
    doubles = b"".join([pack(f"<{len(some)}d", *some) for some in portions])
    middles = [starts[9 + len(end)] for end in ends]
    rows = zip(labels, middles, range(0, len(doubles), 8), ends, strict=True)
    metrics = (
        b"".join((heads[len(label) + len(middle) + 8 + len(end)], label, middle, doubles[at : at + 8], end))
        for label, middle, at, end in rows
    )
    return [b"".join(islice(metrics, _PORTION)) for _ in range(0, len(labels), _PORTION)]
