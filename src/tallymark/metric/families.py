"""`Families`: the metrics of a registry by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from weakref import WeakValueDictionary

from tallymark.engine import Family, TagSet
from tallymark.engine.lock import slow_path
from tallymark.engine.options import FamilyHooks, FamilyOptions, TagLimits
from tallymark.errors import MetricConflictError, TagError
from tallymark.metric.validation import check_name, check_ttl, check_type, conflict_with, text

if TYPE_CHECKING:
    from tallymark.engine.columns import Columns
    from tallymark.metric.shared.memory import SharedEntry, Sharing

__all__ = ["Families"]


class Families:
    """Gets or creates families, and takes them out and back again.

    Attributes:
        hooks: what new families ask of their registry.
    """

    __slots__ = ("__weakref__", "_by_name", "_engine", "_limits", "_placed", "_sharing", "_tags", "_unregistered", "hooks")

    hooks: FamilyHooks

    def __init__(self, engine: Any, limits: TagLimits, tags: TagSet, sharing: Sharing | None = None) -> None:
        self._engine = engine
        self._sharing = sharing
        self._limits = limits
        self._tags = tags
        self._by_name: dict[str, Family] = {}
        # Someone still holds an instrument of these: a record or a new request brings the same objects back.
        self._unregistered: WeakValueDictionary[str, Family] = WeakValueDictionary()
        self._placed: WeakValueDictionary[int, Family] = WeakValueDictionary()  # all that are in shared memory, by their places

    def all(self) -> list[Family]:
        """Return the registered families, in the order of their creation."""
        return list(self._by_name.values())

    def get(
        self,
        kind: str,
        name: str,
        description: str,
        unit: str = "",
        bounds: tuple[float, ...] | None = None,
        default: tuple[float, ...] = (),
        *,
        ttl: float | None = None,
        limits: TagLimits | None = None,
        aggregate: str = "",
    ) -> Family:
        """Return the family with this name, made if need be; `default` are the bounds of a new one where none are asked for.

        Raises:
            MetricConflictError: the name belongs to a family of another kind, unit or set of bounds.
            TagError: the limits do not allow the registry's own tags.
            TypeError: an argument is of the wrong type.
            ValueError: the name or ttl is not valid.
        """
        name, description, unit = text("name", name), text("description", description), text("unit", unit)
        if limits is not None:
            check_type("limits", limits, TagLimits)
        ttl = check_ttl(name, ttl)
        with slow_path():
            family = self._by_name.get(name) or self._unregistered.get(name)
            conflict = conflict_with(family.options, kind, unit, bounds, aggregate) if family else ""
            if (conflict or (family and not self.readmit(family))) and self.sync():  # the name may be free again, or another's
                return self.get(kind, name, description, unit, bounds, default, ttl=ttl, limits=limits, aggregate=aggregate)
            if family is None or (conflict and not family.registered):
                check_name(name)
                limits = limits or self._limits
                tags = self._engine.TagSet(limits.truncated(name, self._tags))
                shape = FamilyOptions(name, kind, unit, bounds or default, ttl, limits, tags, aggregate)
                made = self._make(shape, description)
                family = self._by_name.setdefault(name, made)  # a signal handler may have been first
                conflict = conflict_with(family.options, kind, unit, bounds, aggregate)
                if not conflict:
                    self.readmit(family)  # in shared memory, it may be one that was there before
            if conflict:
                raise MetricConflictError(conflict + self._where(family))
            family.description = family.description or description
            return family

    def readmit(self, family: Family) -> bool:
        """Register a family again, if need be; say whether its name was free."""
        with slow_path():
            if not family.registered:
                self.sync()  # another process may have taken out who has the name here
            if self._sharing is not None and not self._is_placed(family):
                return self._by_name.get(family.options.name) is family  # its records are refused while there is no room
            if self._sharing is not None and not self._sharing.register(family):
                return False
            family.registered = True
            if self._by_name.setdefault(family.options.name, family) is family:
                return True
            family.registered = False
            return False

    def unregister(self, name: str) -> bool:
        """Take a family out, with all its series; say whether it was there."""
        with slow_path():
            self.sync()
            family = self._by_name.get(name)
            if family is None:
                return False
            self._take_out(name, family)
            if self._sharing is not None and not self._sharing.unregister(family):
                self.hooks.reject(name, "unreachable", lambda: "it cannot be unregistered in shared memory")
            return True

    def _take_out(self, name: str, family: Family) -> None:
        if self._sharing is None or not self._sharing.place(family):
            self._unregistered[name] = family
        try:
            # Atomic
            if self._by_name[name] is family:
                del self._by_name[name]
        except KeyError:  # a signal handler was first
            pass
        family.retire()

    # Reading

    def read(self, family: Family) -> Columns:
        """Return the series of a family, for all processes, after removing what expired."""
        if self._sharing is not None:
            self._sharing.expire_shares(family, self.hooks.uptime())
            shares = self._sharing.read_shares(self._engine, family)
            if shares is not None:
                return shares
        return family.read()

    def expire(self, family: Family) -> int:
        """Remove the series of a family that expired; return how many."""
        removed = family.expire()
        return removed + (self._sharing.expire_shares(family, self.hooks.uptime()) if self._sharing is not None else 0)

    # Sharing

    def of_others(self, name: str, tags: TagSet) -> list[TagSet]:
        """Return the tags of the series of a shared metric, but for one of them."""
        family = self._by_name.get(name) if self._sharing is not None else None
        return [one for one in family.read().tags if one != tags] if family is not None else []

    def _make(self, options: FamilyOptions, description: str) -> Family:
        if self._sharing is None:
            return cast(Family, self._engine.Family(options, self.hooks, description))
        found = self._sharing.enter(options, description)
        family = self._at(found[0], found[1].options(options), found[1].description or description) if found else None
        # Without a place, it looks for one again when it is asked for, recorded to, or read.
        return family or cast(Family, self._engine.Family(options, self.hooks, description, self._sharing.shared))

    def _at(self, place: int, options: FamilyOptions, description: str) -> Family | None:
        """Return the one family of this registry that has a place in shared memory, or None where that is damaged."""
        assert self._sharing is not None  # noqa: S101
        family = self._placed.get(place)
        if family is None:
            family = cast(Family, self._engine.Family(options, self.hooks, description, self._sharing.shared))
            if not self._settle(family, place):
                return None
        return family

    def _settle(self, family: Family, place: int) -> bool:
        """Give a family a place that no other of this registry has; say whether that could be."""
        assert self._sharing is not None  # noqa: S101
        if place in self._placed or not self._sharing.settle(family, place):
            return False
        self._placed[place] = family
        return True

    def _is_placed(self, family: Family) -> bool:
        """Say whether a family has a place in shared memory, looking for one if need be."""
        assert self._sharing is not None  # noqa: S101
        if self._sharing.place(family):
            return True
        found = self._sharing.enter(family.options, family.description)
        return found is not None and self._agrees(family, found[1]) and self._settle(family, found[0])

    @staticmethod
    def _agrees(family: Family, entry: SharedEntry) -> bool:
        bounds = entry.bounds or None
        return not conflict_with(family.options, entry.kind, entry.unit, bounds, entry.aggregate)

    def sync(self) -> bool:
        """Learn what other processes did to the metrics: took some out, made new ones. Say whether there was such."""
        if self._sharing is None:
            return False
        with slow_path():
            registered = dict(self._sharing.shared.families())
            gone = [one for one in list(self._by_name.items()) if not registered.get(self._sharing.place(one[1]), True)]
            for name, family in gone:
                self._take_out(name, family)
            made = [place for place, is_registered in registered.items() if is_registered and self._adopt(place)]
            return bool(gone or made)

    def _adopt(self, place: int) -> bool:
        """Take a family in that other processes know; say whether it was new to this one."""
        assert self._sharing is not None  # noqa: S101
        entry = self._sharing.entry(place)
        if entry is None:
            return False
        known = self._by_name.get(entry.name)
        if known is not None:
            return not self._sharing.place(known) and self._agrees(known, entry) and self._settle(known, place)
        try:
            tags = self._engine.TagSet(entry.limits.truncated(entry.name, self._tags))
        except TagError:  # its limits do not allow our registry's tags; what others record is read all the same
            tags = self._engine.TagSet()
        like = FamilyOptions(entry.name, entry.kind, "", (), None, self._limits, tags)
        family = self._at(place, entry.options(like), entry.description)
        if family is None:
            return False
        family.registered = True
        self._by_name[entry.name] = family
        return True

    def _where(self, family: Family) -> str:
        if self._sharing is None or self._sharing.path is None or not self._sharing.place(family):
            return ""
        return f"; {self._sharing.path} says so, which outlives processes: remove it when none runs to begin anew"
