"""`Families`: the metrics of a registry by their names."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

from tallymark.engine import Family, TagSet
from tallymark.engine.lock import slow_path
from tallymark.engine.options import FamilyHooks, FamilyOptions, TagLimits
from tallymark.errors import MetricConflictError
from tallymark.metric.shape import check_name, check_ttl, check_type, conflict_with, text

__all__ = ["Families"]


class Families:
    """Gets or creates families, and takes them out and back again.

    Attributes:
        hooks: what new families ask of their registry.
    """

    __slots__ = ("__weakref__", "_by_name", "_engine", "_limits", "_tags", "_unregistered", "hooks")

    hooks: FamilyHooks

    def __init__(self, engine: Any, limits: TagLimits, tags: TagSet) -> None:
        self._engine = engine
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
            conflict = conflict_with(family.options, kind, unit, bounds) if family else ""
            if family is None or (conflict and not family.registered):
                check_name(name)
                limits = limits or self._limits
                tags = self._engine.TagSet(limits.mended(name, self._tags))
                shape = FamilyOptions(name, kind, unit, bounds or default, ttl, limits, tags)
                made = self._engine.Family(shape, self.hooks, description)
                family = self._by_name.setdefault(name, made)  # a signal handler may have been first
                conflict = conflict_with(family.options, kind, unit, bounds)
            if conflict:
                raise MetricConflictError(conflict)
            self.readmit(family)
            family.description = family.description or description
            return family

    def readmit(self, family: Family) -> bool:
        """Register a family again; say whether its name was free."""
        with slow_path():
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
            return True
