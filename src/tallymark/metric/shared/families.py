"""`SharedFamilies`: the metrics of a registry that processes share."""

from __future__ import annotations

from weakref import WeakValueDictionary

from tallymark.engine.lock import held, slow_path
from tallymark.engine.options import FamilyOptions
from tallymark.errors import TagError
from tallymark.metric import buckets  # noqa: F401  # before a fork: in a child, an import that another thread began never ends
from tallymark.metric.families import Families
from tallymark.metric.shared.requests import OwnRequests
from tallymark.metric.validation import conflict_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tallymark.engine import Family, TagSet
    from tallymark.engine.options import FamilyHooks, TagLimits
    from tallymark.metric.shared.entry import SharedEntry
    from tallymark.metric.shared.memory import SharedMemory
    from tallymark.metric.validation import MetricRequest

__all__ = ["SharedFamilies"]


class SharedFamilies(Families):
    """Families that other processes may make, unregister and readmit too, at any time.

    Attributes:
        memory: the memory that they share.
    """

    __slots__ = ("_by_offset", "_requests", "memory")

    is_shared = True

    def __init__(self, engine: Any, limits: TagLimits, tags: TagSet, memory: SharedMemory) -> None:
        super().__init__(engine, limits, tags)
        self.memory = memory
        self._by_offset: WeakValueDictionary[int, Family] = WeakValueDictionary()  # all that are in shared memory
        self._requests = OwnRequests(memory.path)

    def _wait(self) -> None:
        """Wait for the lock of the memory before ours, for which other threads wait, even those that use no shared memory."""
        if not held():
            self.memory.wait()

    def readmit(self, family: Family) -> bool:
        """Register a family again, for all processes, if need be; return True if its name was free."""
        if not (family.registered and self.memory.offset(family)):
            self._wait()
        with slow_path():
            if not family.registered:
                self.sync()  # another process may have unregistered the family that has the name here
            if not self._is_bound(family):
                return self._by_name.get(family.options.name) is family  # its records are rejected while there is no space
            return self.memory.register(family) and super().readmit(family)

    def unregister(self, name: str) -> bool:
        """Unregister a family and remove all its series, for all processes; return True if it was there."""
        self._wait()
        with slow_path():
            self.sync()
            family = self._by_name.get(name)
            if family is None:
                return False
            self._take_out(name, family)
            if not self.memory.unregister(family):
                self.hooks.reject(name, "unreachable", lambda: "it cannot be unregistered in shared memory")
            return True

    def _take_out(self, name: str, family: Family) -> None:
        if not self.memory.offset(family):  # else it is found again by its offset
            self._remember(name, family)
        super()._take_out(name, family)

    # Making

    def get(self, wanted: MetricRequest, hooks: FamilyHooks | None = None) -> Family:
        """Get or create the family that a request is for. Bounds that only other processes asked for win over those here.

        Raises:
            MetricConflictError: also where this process asked for other bounds before.
        """
        if wanted.name not in self._by_name:
            self._wait()
        with slow_path():
            family = super().get(wanted, hooks)
            self._requests.add(family, wanted)
        self._requests.warn()
        return family

    def _conflict(self, family: Family, wanted: MetricRequest) -> str:
        conflict = conflict_with(family.options, wanted, but_bounds=True) or self._requests.conflict(family, wanted)
        if conflict or wanted.bounds in (None, family.options.bounds) or self._requests.has(family):
            return conflict
        if family.registered:
            self.sync()  # another process may have unregistered it, and its name is free
        return "" if family.registered else conflict_with(family.options, wanted)

    def _make(self, options: FamilyOptions, description: str, hooks: FamilyHooks) -> Family:
        found = self.memory.find_or_make(options, description)
        family = self._at(found[0], found[1].options(options), found[1].description or description, hooks) if found else None
        # Without an offset, it looks for space again when it is requested, recorded to, or read.
        return family or self._unbound(options, description, hooks)

    def _unbound(self, options: FamilyOptions, description: str, hooks: FamilyHooks) -> Family:
        made: Family = self._engine.Family(options, hooks, description, self.memory.shared)
        return made

    def _at(self, offset: int, options: FamilyOptions, description: str, hooks: FamilyHooks) -> Family | None:
        """Return the one family of this registry at an offset, or None if that is damaged."""
        family = self._by_offset.get(offset)
        if family is None:
            family = self._unbound(options, description, hooks)
            if not self._bind(family, offset):
                return None
        return family

    def _bind(self, family: Family, offset: int) -> bool:
        """Give a family an offset that no other of this registry has; return True if that was possible."""
        if offset in self._by_offset or not self.memory.bind(family, offset):
            return False
        self._by_offset[offset] = family
        return True

    def _is_bound(self, family: Family) -> bool:
        """Return True if a family is in shared memory, after looking for space if need be."""
        if self.memory.offset(family):
            return True
        found = self.memory.find_or_make(family.options, family.description)
        return found is not None and _agrees(family, found[1]) and self._bind(family, found[0])

    def _where(self, family: Family) -> str:
        if self.memory.path is None or not self.memory.offset(family):
            return ""
        return (
            f" (defined in {self.memory.path}, which persists; delete it while nothing runs, or use fresh=True, to start fresh)"
        )

    # Other processes

    def sync(self) -> bool:
        """Sync with what other processes did to the metrics: return True if they unregistered some, or made new ones."""
        with slow_path():
            registered = {offset: is_registered for offset, is_registered, _ in self.memory.shared.families()}
            gone = [one for one in list(self._by_name.items()) if not registered.get(self.memory.offset(one[1]), True)]
            for name, family in gone:
                self._take_out(name, family)
            made = [offset for offset, is_registered in registered.items() if is_registered and self._adopt(offset)]
            return bool(gone or made)

    def _adopt(self, offset: int) -> bool:
        """Register a family that other processes made; return True if it was new to this one."""
        entry = self.memory.entry(offset)
        if entry is None:
            return False
        known = self._by_name.get(entry.name)
        if known is not None:
            return not self.memory.offset(known) and _agrees(known, entry) and self._bind(known, offset)
        try:
            tags = self._engine.TagSet(entry.limits.truncated(entry.name, self._tags))
        except TagError:  # its limits do not allow our registry's tags; read what others record all the same
            tags = self._engine.TagSet()
        like = FamilyOptions(entry.name, entry.kind, "", (), None, self._limits, tags)
        family = self._at(offset, entry.options(like), entry.description, self.hooks)
        if family is None:
            return False
        family.registered = True
        self._by_name[entry.name] = family
        return True

    def tags_of_others(self, name: str, tags: TagSet) -> list[TagSet]:
        """Return the tags of all series of a metric but the one with `tags`, where other processes may have made them."""
        family = self._by_name.get(name)
        return [one for one in family.read().tags if one != tags] if family is not None else []

    def keys(self) -> list[tuple[str, str, str]]:
        """Return name, kind and unit of all metrics that were ever in the file, in the order of their creation."""
        entries = [self.memory.entry(offset) for offset, *_ in self.memory.shared.families()]
        return [(entry.name, entry.kind, entry.unit) for entry in entries if entry is not None]

    # Reading

    def refresh(self) -> None:
        """Get ready to be read as a whole: sync with others' metrics, and free what dead processes held."""
        self.memory.check()
        if self.memory.shared.bury():
            self.hooks.settle()
        self.sync()


def _agrees(family: Family, entry: SharedEntry) -> bool:
    return not conflict_with(family.options, entry.request())
