"""`SharedMemory`: the memory that a registry shares with other processes, as this process sees it."""

from __future__ import annotations

import os
from weakref import WeakSet

from tallymark.log import logger
from tallymark.metric.shared.entry import AGGREGATES, SharedEntry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tallymark.engine import Family
    from tallymark.engine.options import FamilyOptions

__all__ = ["SharedMemory"]


class SharedMemory:
    """Finds, makes and reads families in shared memory. Each has an offset there, by which all processes know it.

    Attributes:
        shared: the engine's mapping of it.
        path: the file, or None for memory that is inherited.
    """

    def __init__(self, shared: Any, path: Path | None) -> None:
        self.shared = shared
        self.path = path
        self._entries: dict[int, SharedEntry | None] = {}
        self._logged = False
        _open.add(shared)

    def find_or_make(self, options: FamilyOptions, description: str) -> tuple[int, SharedEntry] | None:
        """Return a family's offset and entry; None if there is no space, or it is damaged."""
        wanted = SharedEntry.of(options, description)
        aggregate = AGGREGATES.index(wanted.aggregate)
        offset = self.shared.add_family(wanted.write(), wanted.words, aggregate, wanted.extra)
        found = self.entry(offset) if offset else None
        return None if found is None else (offset, found)

    def entry(self, offset: int) -> SharedEntry | None:
        """Return the entry of the family at an offset, which never changes; None if it is damaged."""
        if offset not in self._entries:
            self._entries[offset] = SharedEntry.read(self.shared.text(offset))
        return self._entries[offset]

    @staticmethod
    def offset(family: Any) -> int:
        """Return a family's offset in the memory; 0: there was no space for it yet."""
        return int(family._offset)

    @staticmethod
    def bind(family: Any, offset: int) -> bool:
        """Have a family use the memory at an offset; return True if the entry there fits it."""
        try:
            family._bind(offset)
        except ValueError:
            return False
        return True

    def register(self, family: Family) -> bool:
        """Register a family for all processes; return True if its name was free."""
        offset = self.offset(family)
        return not offset or bool(self.shared.register(offset))

    def unregister(self, family: Family) -> bool:
        """Unregister a family and remove all its series, for all processes; return True if that was possible."""
        offset = self.offset(family)
        return not offset or bool(self.shared.unregister(offset))

    def wait(self) -> None:
        """Wait, for a limited time, until the memory can be changed: before taking a lock for which other threads may wait."""
        self.shared.wait()

    def check(self) -> None:
        """Log, once, that the file was replaced or removed: this process then shares only with those that have the old one."""
        if self.path is None or self._logged:
            return
        try:
            now = os.stat(self.path)
            gone = (now.st_dev, now.st_ino) != self.shared.identity
        except OSError:
            gone = True
        if gone:
            self._logged = True
            logger().error(
                "%s was replaced or removed while in use: processes that start from now on do not share with this one."
                " Restart all processes. To begin anew, use Registry(fresh=True), or remove the file only when none runs.",
                self.path,
            )  # fmt: skip


_open: WeakSet[Any] = WeakSet()  # what this process has mapped


def _in_child() -> None:
    for shared in list(_open):
        shared.in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
