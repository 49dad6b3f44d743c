"""Series that hold one number, as messages `Metric`: written by hand after kept labels, since there may be very many."""

from __future__ import annotations

from struct import pack

from tallymark.export.protobuf_labels import newest, oldest, twins
from tallymark.export.protobuf_series import exemplar_message
from tallymark.export.protobuf_wire import METRIC, Heads, created_fields, varint
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tallymark.engine.exemplar import Exemplar
    from tallymark.export.protobuf_labels import FamilyLabels
    from tallymark.metric.data import GaugeData, InfoData, StateSetData, SumData

__all__ = ["counters", "gauges"]

_GAUGE, _COUNTER = b"\x12", b"\x1a"
"""The tags of these fields of `Metric`."""


def gauges(labels: FamilyLabels, data: GaugeData | SumData | InfoData | StateSetData) -> list[bytes]:
    """Return the series of a gauge. Of those that have the same labels, the last one stays."""
    tags, values = data.tags, data.values
    parts = [_gauges(labels.column(tags[rows]), values[rows]) for rows in portions(len(tags))]
    if not labels.may_repeat or not labels.repeat(tags):
        return parts
    del parts
    merged = dict(zip(labels.whole(tags), values, strict=True))
    return [_gauges(list(merged), list(merged.values()))]


def _gauges(labels: list[bytes], values: Sequence[float]) -> bytes:
    return _numbers(_GAUGE, labels, values, [b""] * len(labels))


def counters(labels: FamilyLabels, data: SumData, escaping: str) -> list[bytes]:
    """Return the series of a counter. Those that have the same labels add up."""
    tags, values, created, exemplars = data.tags, data.values, data.created, data.exemplars
    parts = [
        _counters(labels.column(tags[rows]), values[rows], created[rows], exemplars[rows] if exemplars else (), escaping)
        for rows in portions(len(tags))
    ]
    if not labels.may_repeat or not labels.repeat(tags):
        return parts
    del parts
    groups = twins(labels.whole(tags))
    same = groups.values()
    added = [sum([values[row] for row in rows]) for rows in same]
    first = [oldest(created, rows) for rows in same]
    together = [[one for row in rows for one in exemplars[row]] for rows in same] if exemplars else ()
    return [_counters(list(groups), added, first, together, escaping)]


def _counters(
    labels: list[bytes],
    values: Sequence[float],
    created: Sequence[float],
    exemplars: Sequence[Sequence[Exemplar]],
    escaping: str,
) -> bytes:
    ends = created_fields(created)
    if exemplars:
        ends = [_exemplar_field(some, escaping) + end for some, end in zip(exemplars, ends, strict=True)]
    return _numbers(_COUNTER, labels, values, ends)


def _exemplar_field(exemplars: Sequence[Exemplar], escaping: str) -> bytes:
    exemplar = newest(exemplars)
    if exemplar is None:
        return b""
    message: bytes = exemplar_message(exemplar, escaping).SerializeToString()
    return b"\x12" + varint(len(message)) + message


def _numbers(field: bytes, labels: list[bytes], values: Sequence[float], ends: list[bytes]) -> bytes:
    """Return messages, each after its length."""
    heads, starts = Heads(METRIC), Heads(field, b"\x09")  # the tag of the value, which takes eight bytes more
    doubles = pack(f"<{len(values)}d", *values)
    middles = [starts[9 + len(end)] for end in ends]
    rows = zip(labels, middles, range(0, len(doubles), 8), ends, strict=True)
    return b"".join(
        [
            b"".join((heads[len(label) + len(middle) + 8 + len(end)], label, middle, doubles[at : at + 8], end))
            for label, middle, at, end in rows
        ]
    )
