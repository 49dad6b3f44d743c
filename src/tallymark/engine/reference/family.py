"""`Family`: all series that share one metric name and kind."""

from __future__ import annotations

from weakref import WeakValueDictionary

from tallymark.engine.kinds import INSTRUMENTS, WITH_EXEMPLARS
from tallymark.engine.lock import slow_path
from tallymark.engine.policy import NO_TAGS, Policy
from tallymark.engine.reference.counter import Counter
from tallymark.engine.reference.gauge import Gauge
from tallymark.engine.reference.histogram import Histogram
from tallymark.engine.reference.tagset import TagSet
from tallymark.engine.reference.timer import Timer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from tallymark.engine.columns import Columns
    from tallymark.engine.options import FamilyHooks, FamilyOptions
    from tallymark.engine.reference.instrument import Instrument
    from tallymark.engine.reference.tagset import Pairs

    S = TypeVar("S", bound=Instrument)

__all__ = ["Family"]

_CLASSES: dict[str, type[Instrument]] = {cls.__name__: cls for cls in (Counter, Gauge, Histogram, Timer)}


class Family:
    """The table of a metric's live series, and the rules for which series may enter it.

    Attributes:
        options: the family's shape and rules.
        policy: checks the rules, and reports what breaks them.
        description: what the metric counts or measures.
        registered: True if a registry lists the family; if not, the next record registers it again.
    """

    __slots__ = (
        "__weakref__", "_asks", "_dormant", "_has_lived", "_hooks", "_live", "_marks", "_overflow_tags", "_root", "_taken",
        "description", "options", "policy", "registered",
    )  # fmt: skip

    def __init__(self, options: FamilyOptions, hooks: FamilyHooks, description: str) -> None:
        self.options = options
        self.policy = Policy(options, hooks)
        self.description = description
        self.registered = True
        self._hooks = hooks
        self._asks = hooks.exemplars is not None and options.kind in WITH_EXEMPLARS  # for exemplars
        self._live: dict[Pairs, Instrument] = {}
        self._has_lived = False  # True once there was a live series
        self._taken = 0  # how many live series count towards the limit
        # Dormant series that a user still holds: each must keep its one object.
        self._dormant: WeakValueDictionary[Pairs, Instrument] = WeakValueDictionary()
        self._marks: dict[Pairs, tuple[object, float]] = {}  # with a ttl: a series' last mark, and since when it holds
        self._overflow_tags = TagSet(options.tags, overflow="true")
        self._root: Instrument | None = None
        self._root = self.root

    @property
    def root(self) -> Instrument:
        """The series without tags of its own. An unregistered family does not keep it, for it keeps the family."""
        root = self._root
        if root is None:
            root = self._series(self.options.tags)
            root._created = root._created or self._hooks.now()
            self._root = root if self.registered else None
        return root

    # Finding a series

    def find(self, base: S, tags: dict[str, object]) -> S:
        """Return the series with the tags of `base` and `tags`. A new one is dormant. The overflow series takes no tags."""
        if base._tags is self._overflow_tags and base._tags is not self.options.tags:
            return base
        given: dict[str, Any] = {**base._tags._items, **tags}
        merged = {key: value if type(value) is str else self.policy.text(key, value) for key, value in given.items()}
        series: Any = self._live.get(tuple(sorted(merged.items())))
        if series is None:
            series = self._series(TagSet._of(tuple(self.policy.canonical(merged).items())))
        found: S = series
        return found

    def find_given(self, base: S, tags: dict[str, object]) -> S:
        """Do as `find`, for the keywords of a record call, some of which are not tags."""
        if not NO_TAGS.isdisjoint(tags):
            tags, _ = self.policy.record_tags(tags)  # of a gauge, which takes no exemplar; else that is no keyword here
        return self.find(base, tags) if tags else base

    def named(self, series: S) -> S:
        """Wake a series that a user names, and return the live one; return `series` itself where it may not live."""
        return series if series._live else self.wake(series) or series

    def _series(self, tags: TagSet) -> Instrument:
        """Return the series with these tags. (Of two that a signal handler causes to be made, `wake` lets one live.)"""
        with slow_path():
            series = self._live.get(tags._pairs) or self._dormant.get(tags._pairs)
            if series is None:
                cls: Any = _CLASSES[INSTRUMENTS[self.options.kind]]
                series = self._dormant[tags._pairs] = cls._make(self, tags)
            return series

    # Entering and leaving the table. The lock keeps other threads out, but not a signal handler or a finaliser of this one:
    # each step leaves a state that theirs can start from, and assumes nothing that was true before a call.

    def wake(self, series: S) -> S | None:
        """Return the live series that a record to `series` belongs to: itself, or the overflow series where the family is full.

        Return None where the family was unregistered and another metric has its name: the record is rejected.
        """
        while True:
            with slow_path():
                if not self.registered and not self._hooks.readmit(self):
                    break
                live = self._enter(series)
                if live is not None and self.registered:
                    return live
            if live is None:
                self.policy.crowded(self)
                overflow: Any = self._series(self._overflow_tags)
                woken: S | None = self.wake(overflow)
                return woken
        self.policy.name_taken(self)
        return None

    def _enter(self, series: S) -> S | None:
        """Put a series into the table, and return the one that is there; None where the family is full."""
        if series._live:
            return series
        pairs = series._tags._pairs
        created = self._hooks.now()
        if self.options.ttl is not None:
            self._marks[pairs] = series._mark(), self._hooks.uptime()
        counts = series._tags is not self.options.tags and series._tags is not self._overflow_tags
        limit = self.options.limits.max_series
        # Atomic
        if counts:
            if self._taken >= limit:
                return None
            self._taken += 1
        present: Any = self._live.setdefault(pairs, series)
        # Atomic
        if present is series and not series._live:
            series._created = created
            series._exemplars = {}
            series._asked = {}
            series._live = True
            self._has_lived = True
        elif counts:
            self._taken -= 1
        self._dormant.pop(pairs, None)
        entered: S = present
        return entered

    def _tell_leaving(self, series: Instrument) -> None:
        """Tell those who want to know what a series holds before it is removed."""
        if self._hooks.leaving and series._live:
            self._hooks.leave(series, series._created)

    def drop(self, series: Instrument, mark: object = None) -> bool:
        """Make a series dormant; given a mark, only if it was not recorded to since then. Return True if it is now dormant."""
        pairs = series._tags._pairs
        counts = series._tags is not self.options.tags and series._tags is not self._overflow_tags
        with slow_path():
            self._dormant[pairs] = series
            if not series._clear(mark):
                if series._live:
                    self._dormant.pop(pairs, None)
                return False
            # Atomic
            if counts:
                self._taken -= 1
            if not series._live:  # else it was woken meanwhile; nothing can wake it between this test and the call
                self._live.pop(pairs, None)
                self._marks.pop(pairs, None)
            return True

    def retire(self) -> None:
        """Unregister the family and make all its series dormant: the next record to one asks the registry to readmit it."""
        with slow_path():
            self.registered = False
            for series in list(self._live.values()):
                self.drop(series)
            self._root = None

    # Reading

    def expire(self) -> int:
        """Drop the series that did not change for `ttl` seconds; return how many. One that was just recorded to stays."""
        ttl = self.options.ttl
        if ttl is None:
            return 0
        now = self._hooks.uptime()
        dropped = 0
        with slow_path():
            for pairs, series in list(self._live.items()):
                mark, since = self._marks.get(pairs, (None, now))
                present = series._mark()
                if present != mark or series._in_use:
                    self._marks[pairs] = present, now
                elif now - since >= ttl:
                    dropped += self.drop(series, mark)
        return dropped

    def _touch(self, series: Instrument) -> None:
        """Have a series be taken for changed when `expire` looks at it next."""
        with slow_path():
            if series._tags._pairs in self._marks:
                self._marks[series._tags._pairs] = None, 0.0

    def series(self, base: S) -> list[S]:
        """Return the live series that have all tags of `base`, in the order in which they became live."""
        wanted = base._tags._items.items()  # the dicts' own views: those of a Mapping cost thirty times as much
        with slow_path():
            live: Any = [series for series in list(self._live.values()) if wanted <= series._tags._items.items()]
        series: list[S] = live
        return series

    def read(self) -> Columns:
        """Return the live series as columns; if there never was one, the root alone, with empty cells."""
        self.expire()
        with slow_path():
            rows = list(self._live.values()) if self._has_lived else [self.root]
            return _CLASSES[INSTRUMENTS[self.options.kind]]._columns(rows)

    @property
    def empty(self) -> bool:
        """True if there is no live series."""
        return not self._live
