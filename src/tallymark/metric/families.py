"""`Families`: the metrics of a registry by their names."""

from __future__ import annotations

from tallymark.engine.lock import slow_path
from tallymark.engine.options import FamilyOptions
from tallymark.errors import MetricConflictError
from tallymark.frozen import replace
from tallymark.metric.validation import check_free, check_name, conflict_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
    from weakref import WeakValueDictionary

    from tallymark.engine import Family, TagSet
    from tallymark.engine.options import FamilyHooks, TagLimits
    from tallymark.metric.validation import MetricRequest

__all__ = ["Families"]


class Families:
    """Gets, creates, unregisters and readmits families. (`SharedFamilies` does so for many processes.)

    Attributes:
        hooks: what new families ask of their registry.
    """

    __slots__ = ("__weakref__", "_by_name", "_engine", "_limits", "_tags", "_unregistered", "hooks")

    hooks: FamilyHooks

    is_shared = False
    """True if other processes have the same families."""

    def __init__(self, engine: Any, limits: TagLimits, tags: TagSet) -> None:
        self._engine = engine
        self._limits = limits
        self._tags = tags
        self._by_name: dict[str, Family] = {}
        # A user still holds an instrument of these: a record or a new request registers the same objects again.
        self._unregistered: WeakValueDictionary[str, Family] | dict[str, Family] = {}

    def all(self) -> list[Family]:
        """Return the registered families, in the order of their creation."""
        return list(self._by_name.values())

    def find(self, name: str) -> Family | None:
        """Return the registered family with this name."""
        return self._by_name.get(name)

    def get(self, wanted: MetricRequest, hooks: FamilyHooks | None = None) -> Family:
        """Get or create the family that a request is for; with hooks of its own, if given.

        Raises:
            MetricConflictError: the name belongs to a family that differs.
            TagError: the limits do not allow the registry's own tags.
            ValueError: the name is not valid.
        """
        name = wanted.name
        with slow_path():
            family = self._by_name.get(name) or self._unregistered.get(name)
            conflict = self._conflict(family, wanted) if family else ""
            if (conflict or (family and not self.readmit(family))) and self.sync():  # the name may be free now, or another's
                return self.get(wanted, hooks)
            if family is None or (conflict and not family.registered):
                check_name(name)
                check_free(name)
                made = self._make(self._options(wanted), wanted.description, hooks or self.hooks)
                family = self._by_name.setdefault(name, made)  # a signal handler may have been first
                conflict = self._conflict(family, wanted)
                if not conflict:
                    self.readmit(family)  # in shared memory, the family may have existed before
            if conflict:
                raise MetricConflictError(conflict + self._where(family))
            family.description = family.description or wanted.description
            return family

    def _options(self, wanted: MetricRequest) -> FamilyOptions:
        limits = wanted.limits or self._limits
        if wanted.kind == "info" and limits.max_series == 1:
            limits = replace(limits, max_series=2)  # a new fact is there before the old one is removed
        tags = self._tags
        if tags and limits is not self._limits:
            tags = self._engine.TagSet(limits.truncated(wanted.name, tags))
        bounds = wanted.default_bounds if wanted.bounds is None else wanted.bounds
        return FamilyOptions(
            wanted.name, wanted.kind, wanted.unit, bounds, wanted.ttl, limits, tags, wanted.aggregate, wanted.tag_keys
        )

    def readmit(self, family: Family) -> bool:
        """Register a family again, if need be; return True if its name was free."""
        with slow_path():
            family.registered = True
            if self._by_name.setdefault(family.options.name, family) is family:
                return True
            family.registered = False
            return False

    def unregister(self, name: str) -> bool:
        """Unregister a family and remove all its series; return True if it was there."""
        with slow_path():
            family = self._by_name.get(name)
            if family is None:
                return False
            self._remember(name, family)
            self._take_out(name, family)
            return True

    def _remember(self, name: str, family: Family) -> None:
        if not self._unregistered:  # few registries unregister anything
            from weakref import WeakValueDictionary

            self._unregistered = WeakValueDictionary()
        self._unregistered[name] = family

    def _take_out(self, name: str, family: Family) -> None:
        try:
            # Atomic
            if self._by_name[name] is family:
                del self._by_name[name]
        except KeyError:  # a signal handler was first
            pass
        family.retire()

    def _make(self, options: FamilyOptions, description: str, hooks: FamilyHooks) -> Family:
        made: Family = self._engine.Family(options, hooks, description)
        return made

    def _conflict(self, family: Family, wanted: MetricRequest) -> str:
        """Return how a request differs from the family of its name; empty: not at all."""
        return conflict_with(family.options, wanted)

    def _where(self, family: Family) -> str:
        """Return the end of a message: where a family is defined, if not in this process."""
        return ""

    # Reading

    def refresh(self) -> None:
        """Get ready to be read as a whole."""

    # Other processes

    def keys(self) -> list[tuple[str, str, str]]:
        """Return name, kind and unit of all metrics, in the order of their creation, which is the same for all processes."""
        return [(family.options.name, family.options.kind, family.options.unit) for family in self.all()]

    def sync(self) -> bool:
        """Sync with what other processes did to the metrics: return True if they unregistered some, or made new ones."""
        return False

    def tags_of_others(self, name: str, tags: TagSet) -> list[TagSet]:
        """Return the tags of all series of a metric but the one with `tags`, where other processes may have made them."""
        return []
