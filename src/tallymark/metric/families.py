"""`Families`: the metrics of a registry by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from weakref import WeakValueDictionary

from tallymark.engine import Family, TagSet
from tallymark.engine.lock import slow_path
from tallymark.engine.options import FamilyHooks, FamilyOptions, TagLimits
from tallymark.errors import MetricConflictError
from tallymark.metric.shape import check_name, check_ttl, check_type, conflict_with, text

if TYPE_CHECKING:
    from tallymark.metric.sharing import Sharing

__all__ = ["Families"]


class Families:
    """Gets or creates families, and takes them out and back again.

    Attributes:
        hooks: what new families ask of their registry.
    """

    __slots__ = ("__weakref__", "_by_name", "_engine", "_limits", "_sharing", "_tags", "_unregistered", "hooks")

    hooks: FamilyHooks

    def __init__(self, engine: Any, limits: TagLimits, tags: TagSet, sharing: Sharing | None = None) -> None:
        self._engine = engine
        self._sharing = sharing
        self._limits = limits
        self._tags = tags
        self._by_name: dict[str, Family] = {}
        # Someone still holds an instrument of these: a record or a new request brings the same objects back.
        self._unregistered: WeakValueDictionary[str, Family] = WeakValueDictionary()

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
            if family is None or (conflict and not family.registered):
                check_name(name)
                limits = limits or self._limits
                tags = self._engine.TagSet(limits.mended(name, self._tags))
                shape = FamilyOptions(name, kind, unit, bounds or default, ttl, limits, tags, aggregate)
                made = self._make(shape, description)
                family = self._by_name.setdefault(name, made)  # a signal handler may have been first
                conflict = conflict_with(family.options, kind, unit, bounds, aggregate)
            if conflict:
                raise MetricConflictError(conflict)
            self.readmit(family)
            family.description = family.description or description
            return family

    def _make(self, options: FamilyOptions, description: str) -> Family:
        if self._sharing is None:
            return cast(Family, self._engine.Family(options, self.hooks, description))
        options, description, place = self._sharing.enter(options, description)
        family = self._map(options, description, place) if place else None
        if family is None:
            why = "what shared memory says of it is damaged" if place else "shared memory is full"
            self.hooks.reject(options.name, "not_shared", lambda: f"{why}, so only this process knows the metric")
            family = cast(Family, self._engine.Family(options, self.hooks, description))
        return family

    def _map(self, options: FamilyOptions, description: str, place: int) -> Family | None:
        """Return a family of shared memory, or None where that is damaged."""
        assert self._sharing is not None  # noqa: S101
        try:
            family = self._engine.Family(options, self.hooks, description, self._sharing.shared, place)
        except ValueError:
            return None
        self._sharing.places[options.name] = place
        return cast(Family, family)

    def adopt(self) -> None:
        """Learn what other processes did to the metrics that are shared: made new ones, took some out."""
        if self._sharing is None:
            return
        known = {}
        self._sharing.shared.bury()
        for place, entry, registered in self._sharing.entries():
            known[place] = registered
            if registered and entry.name not in self._by_name and entry.name not in self._unregistered:
                like = FamilyOptions(entry.name, "", "", (), None, self._limits, self._tags)
                made = self._map(self._sharing.options(entry, like), entry.description, place)
                if made is not None:
                    self._by_name.setdefault(entry.name, made)
        for name, place in list(self._sharing.places.items()):
            family = self._by_name.get(name)
            if family is not None and not known.get(place, True):
                with slow_path():
                    self._unregistered[name] = self._by_name.pop(name)
                    family.retire()

    def readmit(self, family: Family) -> bool:
        """Register a family again; say whether its name was free."""
        with slow_path():
            if not family.registered and self._sharing is not None:
                place = self._sharing.places.get(family.options.name)
                if place and not self._sharing.shared.set_registered(place, True):
                    return False
            family.registered = True
            if self._by_name.setdefault(family.options.name, family) is family:
                return True
            family.registered = False
            return False

    def unregister(self, name: str) -> bool:
        """Take a family out, with all its series; say whether it was there."""
        with slow_path():
            family = self._by_name.get(name)
            if family is None:
                return False
            self._unregistered[name] = family
            try:
                # Atomic
                if self._by_name[name] is family:
                    del self._by_name[name]
            except KeyError:  # a signal handler was first
                pass
            family.retire()
            if self._sharing is not None and name in self._sharing.places:
                self._sharing.shared.set_registered(self._sharing.places[name], False)
            return True
