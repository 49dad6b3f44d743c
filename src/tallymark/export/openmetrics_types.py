"""What OpenMetrics calls each family of a snapshot, and of which type it is.

A counter `requests_total` is the family `requests` there, an info `build_info` the family `build`, and a counter may have a
sample `requests_created` too. No other family may have such a name. If one has, the counter is shown under the name of its
sample as of an unknown type, and the info as a gauge: a series has the same name in every format, whatever else there is.
"""

from __future__ import annotations

from typing import NamedTuple

from tallymark.export.escaping import is_label_name, metric_names
from tallymark.metric.data import GaugeData, InfoData, StateSetData, SumData, SummaryData
from tallymark.metric.names import unit_ending

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import FamilySnapshot

__all__ = ["Typed", "names_of", "typed"]

_TARGET = ("target_info", "target__info")
"""The metric that is about what is scraped, under each scheme. It should come first."""


class Typed(NamedTuple):
    """A family as OpenMetrics has it.

    Attributes:
        family: as in the snapshot.
        name: of the family, not quoted.
        type: what follows `# TYPE`.
        unit: what follows `# UNIT`; empty where OpenMetrics does not allow the unit.
    """

    family: FamilySnapshot
    name: str
    type: str
    unit: str


def typed(families: Sequence[FamilySnapshot], scheme: str) -> list[Typed]:
    """Return the families that have series, under an escaping scheme."""
    named = [(family, name) for family, name in zip(families, metric_names(families, scheme), strict=True) if len(family)]
    named.sort(key=lambda each: each[1] not in _TARGET)
    taken = {sample for family, name in named for sample in _samples(name, family.data)}
    return [_typed(family, name, scheme, taken) for family, name in named]


def _samples(name: str, data: Data) -> list[str]:
    match data:
        case SumData() | GaugeData() | InfoData() | StateSetData():
            return [name]
        case SummaryData():
            return [name + suffix for suffix in ("", "_sum", "_count", "_created")]
        case _:
            return [name + suffix for suffix in ("", "_bucket", "_sum", "_count", "_created")]


def names_of(name: str, data: Data) -> list[str]:
    """Return all names that a family and its samples may have, in any text format. `name` is its name under a scheme."""
    match data:
        case SumData(monotonic=True):
            stem = name.removesuffix("_total")
            return [name, stem, f"{stem}_created"]
        case InfoData():
            return [name, name.removesuffix("_info")]
        case _:
            return _samples(name, data)


def _typed(family: FamilySnapshot, name: str, scheme: str, taken: set[str]) -> Typed:
    match family.data:
        case SumData(monotonic=True):
            stem = _claimed(name, "_total", ("", "_created"), taken)
            return Typed(family, stem, "counter", _unit(stem, family.unit)) if stem else Typed(family, name, "unknown", "")
        case InfoData():
            stem = _claimed(name, "_info", ("",), taken)
            return Typed(family, stem or name, "info" if stem else "gauge", "")
        case StateSetData():
            return Typed(family, name, "stateset" if _can_be_label(name, scheme) else "gauge", "")
        case SumData() | GaugeData():
            kind = "gauge"
        case SummaryData():
            kind = "summary"
        case _:
            kind = "histogram"
    return Typed(family, name, kind, _unit(name, family.unit))


def _claimed(name: str, ending: str, suffixes: Collection[str], taken: set[str]) -> str:
    """Return a name without its ending, and take what is made of it; return an empty text if any of that is taken already."""
    stem = name.removesuffix(ending)
    names = {stem + suffix for suffix in suffixes}
    if stem in ("", name) or not taken.isdisjoint(names):
        return ""
    taken |= names
    return stem


def _unit(name: str, unit: str) -> str:
    ending = unit_ending(unit)
    return ending[1:] if ending and name.endswith(ending) else ""


def _can_be_label(name: str, scheme: str) -> bool:
    """Return True if a label can have the name of a family too: it has no colon, unless in quotes, and is not reserved."""
    return not name.startswith("__") and (is_label_name(name) or scheme == "allow-utf-8")
