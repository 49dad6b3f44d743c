"""`Changes`: two snapshots, and what was recorded between them."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

from tallymark.frozen import Frozen
from tallymark.metric.data import HistogramData
from tallymark.metric.delta import delta
from tallymark.metric.snapshot import Snapshot

if TYPE_CHECKING:
    from tallymark.metric.snapshot import FamilySnapshot

__all__ = ["Changes", "changes_between"]


class Changes(Frozen):
    """What was recorded.

    Attributes:
        now: the later snapshot.
        recorded: what was recorded since the earlier one; the whole of the later one where there is no earlier one.
        seconds: between the two; NaN where there is no earlier one, and rates cannot be told.
    """

    __slots__ = ("now", "recorded", "seconds")

    now: Snapshot
    recorded: Snapshot
    seconds: float

    def rate(self, amount: float) -> float:
        """Return an amount a second; NaN if that cannot be told."""
        return amount / self.seconds if self.seconds > 0 else nan


def changes_between(before: Snapshot | None, now: Snapshot) -> Changes:
    """Return what was recorded. A total that went back was reset: what it has now was recorded since."""
    if before is None:
        return Changes(now, now, nan)
    later = {family.name: family for family in now.families}
    comparable = tuple([_comparable(family, later.get(family.name)) for family in before.families])
    return Changes(now, delta(Snapshot(comparable, before.time), now), now.time - before.time)


def _comparable(before: FamilySnapshot, now: FamilySnapshot | None) -> FamilySnapshot:
    """Return a family as it was; where it has become another one, as it is now: what was recorded to it cannot be told."""
    if now is None or (before.kind == now.kind and type(before.data) is type(now.data) and _has_bounds_of(before, now)):
        return before
    return now


def _has_bounds_of(before: FamilySnapshot, now: FamilySnapshot) -> bool:
    return not isinstance(now.data, HistogramData) or before.bounds == now.bounds
