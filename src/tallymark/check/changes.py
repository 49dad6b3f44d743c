"""`changes`: what a backend changes of each metric: its name, its type, its unit, its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tallymark.check.formats import lines_of
from tallymark.export.otlp_units import ucum
from tallymark.metric.data import (
    ExponentialHistogramData,
    GaugeData,
    HistogramData,
    InfoData,
    StateSetData,
    SumData,
    SummaryData,
)
from tallymark.metric.names import unit_ending
from tallymark.metric.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tallymark.check.line import Line
    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import FamilySnapshot
    from tallymark.report.backend import Backend

__all__ = ["Change", "changes"]

_REASONS = {
    "unsupported_value": ("value", "some values cannot be told: left out, or told as none"),
    "unsupported_type": ("type", "some of it cannot be told: left out"),
    "name": ("name", "characters of its name or tags are not allowed there: replaced"),
}
"""What a backend's reasons for a change mean."""
_SHOWN = 3


class Change(NamedTuple):
    """What is changed of a metric.

    Attributes:
        metric: its name in the source.
        what: `"name"`, `"type"`, `"unit"`, `"value"`, or `"all"` where nothing of it is sent.
        how: for people.
    """

    metric: str
    what: str
    how: str


def changes(snapshot: Snapshot, backend: Backend) -> list[Change]:
    """Return what is changed, in the order of the metrics.

    Args:
        backend: one that sends nothing: it encodes each metric alone.
    """
    found = []
    for family in snapshot.families:
        if len(family):
            found += _changes(family, snapshot.time, backend)
    return found


def _changes(family: FamilySnapshot, time: float, backend: Backend) -> list[Change]:
    reasons: list[str] = []
    backend.on_dropped = lambda metric, reason: reasons.append(reason)
    parts = [part for part in backend.encode(Snapshot((family,), time), 0.0) if part]
    told = [line for line in lines_of(backend, parts) if line.name]
    if not told:
        why = "none of its values can be told" if "unsupported_value" in reasons else "nothing of it is sent"
        return [Change(family.name, "all", why)]
    how = [_REASONS.get(reason, ("value", reason)) for reason in dict.fromkeys(reasons)]
    pairs = [*_names(family, told, backend.prefix), *_types(family.data, told), *_units(family, told), *how]
    return [Change(family.name, what, words) for what, words in pairs]


def _names(family: FamilySnapshot, told: list[Line], prefix: str) -> Iterator[tuple[str, str]]:
    names = list(dict.fromkeys(line.name for line in told))
    if names != [prefix + family.name]:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield "name", f"is sent as {', '.join(names[:_SHOWN])}{more}"


def _types(data: Data, told: list[Line]) -> Iterator[tuple[str, str]]:
    types = list(dict.fromkeys(line.type for line in told if line.type))
    own = _type(data)
    if not types:
        yield "type", f"{own}: not told there"
    elif types != [own]:
        yield "type", f"{own} is sent as {' and '.join(types)}"


def _type(data: Data) -> str:
    match data:
        case SumData(monotonic=True):
            return "counter"
        case SumData():
            return "sum that goes down too"
        case GaugeData():
            return "gauge"
        case SummaryData():
            return "summary"
        case HistogramData():
            return "histogram"
        case ExponentialHistogramData():
            return "exponential histogram"
        case InfoData():
            return "info"
        case StateSetData():
            return "stateset"


def _units(family: FamilySnapshot, told: list[Line]) -> Iterator[tuple[str, str]]:
    unit = family.unit
    if not unit:
        return
    units = list(dict.fromkeys(line.unit for line in told if line.unit))
    if units and units not in ([unit], [ucum(unit)]):
        yield "unit", f"{unit} are sent as {' and '.join(units)}"
    elif not units and unit_ending(unit) and not all(unit_ending(unit)[1:] in line.name for line in told):
        yield "unit", f"{unit}: not told there"
