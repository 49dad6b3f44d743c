"""`Cardinality`: which metrics have the most series, and the tag that is to blame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallymark.frozen import Frozen
from tallymark.metric.validation import CENSUS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tallymark.engine import TagSet
    from tallymark.metric.snapshot import Snapshot

__all__ = ["Cardinality", "read_cardinality"]


class Cardinality(Frozen):
    """The series of one metric.

    Attributes:
        tag: the key that has the most values; empty where the metric has no tags.
        values: how many it has.
    """

    __slots__ = ("name", "series", "tag", "values")

    name: str
    series: int
    tag: str
    values: int


def read_cardinality(snapshot: Snapshot) -> list[Cardinality]:
    """Return all metrics, those with the most series first."""
    found: dict[str, list[TagSet]] = {}
    for family in snapshot.families:
        if family.name != CENSUS:  # it counts the series of the others
            found.setdefault(family.exposition_name or family.name, []).extend(family.data.tags)
    return sorted([_cardinality(name, tags) for name, tags in found.items()], key=lambda one: -one.series)


def _cardinality(name: str, tags: Sequence[TagSet]) -> Cardinality:
    values = _values(tags)
    tag = max(values, key=lambda key: len(values[key]), default="")
    return Cardinality(name, len(tags), tag, len(values.get(tag, ())))


def _values(tags: Iterable[TagSet]) -> dict[str, set[str]]:
    values: dict[str, set[str]] = {}
    for one in tags:
        for key, value in one.items():
            values.setdefault(key, set()).add(value)
    return values
