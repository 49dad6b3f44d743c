"""Families by the names that a scraper knows them by: what the query `name[]=…` of a scrape asks for."""

from __future__ import annotations

from tallymark.export.escaping import SCHEMES, UNDERSCORES, metric_names
from tallymark.export.openmetrics_types import names_of
from tallymark.frozen import replace
from tallymark.metric.snapshot import Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["only"]


def only(snapshot: Snapshot, names: Collection[str]) -> Snapshot:
    """Return the families that have one of these names, or a sample that has: in any format, under any escaping scheme.

    A family stays whole, since a part of a histogram is none; it keeps the name that it has beside the others.
    """
    wanted = set(names)
    families = snapshot.families
    columns = [metric_names(families, scheme) for scheme in SCHEMES]
    kept = [
        replace(family, exposition_name=name)
        for family, name, *spellings in zip(families, metric_names(families, UNDERSCORES), *columns, strict=True)
        if any(not wanted.isdisjoint(names_of(spelling, family.data)) for spelling in spellings)
    ]
    return Snapshot(tuple(kept), snapshot.time)
