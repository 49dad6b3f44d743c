"""`Base`: what a backend of deltas was told already: where its next report begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallymark.metric.snapshot import Snapshot

if TYPE_CHECKING:
    from tallymark.metric.registry import Registry

__all__ = ["Base", "ForkedBase"]


class Base:
    """The snapshot up to which all was told, in the memory of this process.

    Attributes:
        snapshot: None: nothing was told yet.
        one_at_a_time: True if a report may only be made when the one before has arrived.
    """

    one_at_a_time = False

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.snapshot = snapshot

    def before(self, snapshot: Snapshot) -> Snapshot | None:
        """Return what a report of `snapshot` begins at; None: at nothing."""
        return self.snapshot

    def taken(self, until: Snapshot) -> None:
        """A report of all until this snapshot was made, and is about to be sent."""
        self.snapshot = until

    def settled(self, until: Snapshot) -> None:
        """That report has arrived, or was given up."""


class ForkedBase(Base):
    """Begins at the fork: what the parent recorded is the parent's to report.

    What collectors tell is not known before they are asked for the first time: that is where their metrics begin.
    """

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry._reader().held())
        self._registry = registry
        self._is_new = True

    def before(self, snapshot: Snapshot) -> Snapshot | None:
        """Return what a report of `snapshot` begins at."""
        if not self._is_new or self.snapshot is None:
            return self.snapshot
        told = [family for family in snapshot.families if self._registry._families.find(family.name) is None]
        return Snapshot((*self.snapshot.families, *told), self.snapshot.time)

    def taken(self, until: Snapshot) -> None:
        """A report of all until this snapshot was made, and is about to be sent."""
        self._is_new = False
        super().taken(until)
