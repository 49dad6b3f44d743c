"""`SeriesChange`: which series change the most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallymark.frozen import Frozen
from tallymark.metric.data import GaugeData, SumData
from tallymark.top.observations import observations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tallymark.engine import TagSet
    from tallymark.metric.snapshot import FamilySnapshot
    from tallymark.top.changes import Changes

__all__ = ["SeriesChange", "read_series"]

_set = object.__setattr__


class SeriesChange(Frozen):
    """One series, and how fast it changes.

    Attributes:
        name: of the metric, as its endpoint shows it.
        value: of a distribution or summary its observations so far.
        rate: the change a second; NaN where there is no earlier snapshot.
    """

    __slots__ = ("name", "rate", "tags", "value")

    name: str
    tags: TagSet
    value: float
    rate: float

    def __init__(self, name: str, tags: TagSet, value: float, rate: float) -> None:  # written out: there may be very many
        _set(self, "name", name)
        _set(self, "tags", tags)
        _set(self, "value", value)
        _set(self, "rate", rate)


def read_series(changes: Changes) -> list[SeriesChange]:
    """Return the series that changed, those first that changed the fastest; of bytes, a million count as one."""
    recorded = {family.name: family for family in changes.recorded.families}
    found = [one for family in changes.now.families for one in _changed(changes, family, recorded[family.name])]
    return sorted(found, key=_slowness)


def _slowness(change: SeriesChange) -> float:
    if change.rate != change.rate:
        return 0.0
    return -abs(change.rate) / (1e6 if "_bytes" in change.name else 1.0)


def _changed(changes: Changes, now: FamilySnapshot, recorded: FamilySnapshot) -> Iterator[SeriesChange]:
    name = now.exposition_name or now.name
    for tags, value, change in zip(now.data.tags, _values(now), _values(recorded), strict=True):
        if change and change == change:
            yield SeriesChange(name, tags, value, changes.rate(change))


def _values(family: FamilySnapshot) -> Sequence[float]:
    match family.data:
        case SumData() | GaugeData() as data:
            return data.values
    return observations(family)
