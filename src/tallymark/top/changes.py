"""`Changes`: two snapshots, and what was recorded between them."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

from tallymark.frozen import Frozen, replace
from tallymark.metric.data import HistogramData
from tallymark.metric.delta import delta
from tallymark.metric.snapshot import Snapshot
from tallymark.top.comparison import coarsened, levelled

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
    earlier = {family.name: family for family in before.families}
    pairs = [_comparable(earlier.get(family.name), family) for family in now.families]
    then, later = [tuple([family for family in column if family]) for column in zip(*pairs, strict=True)] or ((), ())
    return Changes(now, delta(Snapshot(then, before.time), Snapshot(later, now.time)), now.time - before.time)


def _comparable(before: FamilySnapshot | None, now: FamilySnapshot) -> tuple[FamilySnapshot | None, FamilySnapshot]:
    """Return a family as it was and as it is, in the same buckets.

    Where it has become another one, as it is now and now: what was recorded to it cannot be told.
    """
    if before is None:
        return None, now
    match before.data, now.data:
        case HistogramData() as then, HistogramData() as later if before.kind == now.kind:
            bounds = tuple(sorted(set(then.bounds) & set(later.bounds)))
            if bounds or then.bounds == later.bounds:
                then, later = coarsened(then, bounds), coarsened(later, bounds)
                return replace(before, data=levelled(then, later)), replace(now, data=later)
        case then, later if before.kind == now.kind and type(then) is type(later):
            return before, now
    return now, now
