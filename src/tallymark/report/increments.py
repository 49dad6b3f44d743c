"""What a backend of deltas is told: what totals grew by, and the present values of all else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallymark.metric.delta import delta
from tallymark.metric.departures import is_total
from tallymark.metric.snapshot import Snapshot

if TYPE_CHECKING:
    from tallymark.metric.snapshot import FamilySnapshot

__all__ = ["grows", "increments"]


def grows(family: FamilySnapshot) -> bool:
    """Return True for a metric whose series only grow: a counter, or a distribution."""
    return is_total(family.data)


def increments(before: Snapshot | None, after: Snapshot) -> Snapshot:
    """Return what was added to totals since `before`, everything if that is None; and the rest as it is.

    A gauge's value is that of now, whatever was told before: who missed a report is right again with the next one.
    """
    if before is None:
        return after
    totals = Snapshot(tuple([family for family in after.families if grows(family)]), after.time)
    grown = iter(delta(before, totals).families)
    return Snapshot(tuple([next(grown) if grows(family) else family for family in after.families]), after.time)
