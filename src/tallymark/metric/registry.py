"""`Registry`: the metrics of one service, and where bad data is accounted for."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, cast
from weakref import ref

from tallymark.engine import Counter, Family, Gauge, Histogram, Instrument, OperationRecorder, TagSet, Timer, load_engine
from tallymark.engine.columns import Columns
from tallymark.engine.options import FamilyHooks, TagLimits
from tallymark.metric.buckets import DURATION_BUCKETS, check_bounds, default_bounds
from tallymark.metric.callback import Callback, Observed
from tallymark.metric.families import Families
from tallymark.metric.rejections import REJECTED, REJECTED_LIMITS, Rejections
from tallymark.metric.snapshot import FamilySnapshot, Snapshot
from tallymark.metric.state import State
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from tallymark.metric.shared.memory import Sharing

__all__ = ["Registry", "Reporter"]

_logger = logging.getLogger("tallymark")


class Reporter(Protocol):
    """Anything that a registry closes when it is closed."""

    def close(self) -> None: ...


class Registry:
    """The metrics of one service. Its methods get or create instruments: the same name gives the same object.

    A programming error raises at once. Bad data never does: a negative or non-finite increment, a non-finite observation, a tag
    value that is too long, a series beyond `TagLimits.max_series` is refused or redirected, counted in
    `tallymark_rejected{metric,reason}`, and logged once per metric and reason (logger `tallymark`).

    Args:
        tags: tags that all series of this registry have. A value that is too long is cut.
        limits: what families are held to that name no limits of their own.
        strict: raise for bad data too: `ValueError`, or `TagError` where it is about tags. For development and tests.
        engine: `"native"` or `"reference"`; by default the engine that `tallymark.engine_name` tells.
        shared: keep all of it in memory that processes share, so that any of them reads the totals of all: `True` for memory
            that is inherited over a fork, or the path of a file for processes that open it each. Linux, native engine.
        shared_limit: bytes that this memory may grow to, if this process is the one to make it. Beyond, records go to the
            overflow series, and are counted in `tallymark_rejected`.

    Raises:
        SharedFileError: the file cannot be shared: it is damaged, foreign, of another version, or out of reach.
        ValueError: this engine or platform cannot share memory.
    """

    def __init__(
        self,
        *,
        tags: Mapping[str, object] | None = None,
        limits: TagLimits | None = None,
        strict: bool = False,
        engine: str | None = None,
        shared: bool | str | os.PathLike[str] = False,
        shared_limit: int = 64 * 2**20,
    ) -> None:
        self._engine = load_engine(engine)
        self._sharing = _share(self._engine, shared, shared_limit)
        limits = TagLimits() if limits is None else limits
        check_type("limits", limits, TagLimits)
        self._tags = self._engine.TagSet(limits.truncated("(any)", self._engine.TagSet(tags)))
        self._families = Families(self._engine, limits, self._tags, self._sharing)
        self._infos: dict[str, Gauge] = {}
        self._observed: dict[tuple[str, TagSet], Observed] = {}
        self._reporters: list[Reporter] = []
        self._census_tags: dict[str, TagSet] = {}
        self._families.hooks = FamilyHooks(
            reject=lambda metric, reason, detail: None,  # for the counter of refusals itself
            readmit=_readmit_to(self._families),
            now=time.time,
            uptime=time.monotonic,
        )
        counter = self.counter(REJECTED, description="Records refused or redirected.", limits=REJECTED_LIMITS)
        self._reject = Rejections(counter, strict).reject
        self._families.hooks = replace(self._families.hooks, reject=self._reject)

    # Instruments

    def counter(
        self,
        name: str,
        *,
        description: str = "",
        unit: str = "",
        tags: Mapping[str, object] | None = None,
        ttl: float | None = None,
        limits: TagLimits | None = None,
        callback: Callback | None = None,
    ) -> Counter:
        """Get or create a counter.

        Args:
            name: starts with a letter, `_` or `:`, goes on with letters, digits and `_ . : / -`; up to 255 characters.
            description: what it counts. The first that is not empty stays.
            unit: of what it counts, `"bytes"` say; exporters append it to the name.
            tags: returns the series with these tags, instead of the one without.
            ttl: seconds after which a series that did not change is removed (see `expire`).
            limits: on the tags and series of this metric, instead of the registry's. Like `ttl`, what its first request says.
            callback: called whenever the registry is read. Returns the total, or pairs of tags and total, one for each series.
                Where processes share the registry, it is called in the one that is read, returns the total of that one, and
                the counter is the sum of what all have told.

        Raises:
            MetricConflictError: the name belongs to another kind or unit. A unit that is left out is no demand.
            ValueError: the name is not valid, or `ttl` is not positive.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        family = self._families.get("counter", name, description, unit, ttl=ttl, limits=limits)
        return cast(Counter, self._observe(family, tags, callback))

    def gauge(
        self,
        name: str,
        *,
        description: str = "",
        unit: str = "",
        tags: Mapping[str, object] | None = None,
        ttl: float | None = None,
        limits: TagLimits | None = None,
        callback: Callback | None = None,
        aggregate: str = "",
    ) -> Gauge:
        """Get or create a gauge. Arguments and errors as for `counter`, and these; a callback returns the present value.

        Where processes share the registry, a callback is called in the one that is read, and tells its share.

        Args:
            aggregate: how the processes that share a registry combine: `"last"` (the default), where all move one value; or
                `"sum"`, `"max"` or `"min"`, where each has its own, which `value` tells, and a snapshot has all combined. What
                a process that died had told leaves a sum; it stays in a maximum or minimum.

        Raises:
            ValueError: also where `aggregate` is none of these.
        """
        if aggregate not in ("", "last", "sum", "max", "min"):
            raise ValueError(f"gauge {name!r}: aggregate must be 'last', 'sum', 'max' or 'min', not {aggregate!r}")
        family = self._families.get("gauge", name, description, unit, ttl=ttl, limits=limits, aggregate=aggregate)
        return cast(Gauge, self._observe(family, tags, callback))

    def histogram(
        self,
        name: str,
        *,
        description: str = "",
        unit: str = "",
        tags: Mapping[str, object] | None = None,
        ttl: float | None = None,
        limits: TagLimits | None = None,
        buckets: Iterable[float] | None = None,
    ) -> Histogram:
        """Get or create a histogram. Arguments and errors as for `counter`, and these.

        Args:
            buckets: upper bounds, inclusive, ascending. By default `DURATION_BUCKETS` for the unit `"seconds"`, `SIZE_BUCKETS`
                for `"bytes"`, `VALUE_BUCKETS` for others.

        Raises:
            MetricConflictError: also where the metric has other bounds. Bounds that are left out are no demand.
            ValueError: also where the bounds are not valid.
        """
        bounds = None if buckets is None else check_bounds(f"histogram {name!r}", buckets)
        family = self._families.get("histogram", name, description, unit, bounds, default_bounds(unit), ttl=ttl, limits=limits)
        return cast(Histogram, _with(family, tags))

    def timer(
        self,
        name: str,
        *,
        description: str = "",
        tags: Mapping[str, object] | None = None,
        ttl: float | None = None,
        limits: TagLimits | None = None,
        buckets: Iterable[float] | None = None,
    ) -> Timer:
        """Get or create a timer: a histogram of seconds, with `DURATION_BUCKETS` by default. Otherwise as `histogram`."""
        bounds = None if buckets is None else check_bounds(f"timer {name!r}", buckets)
        family = self._families.get("timer", name, description, "seconds", bounds, DURATION_BUCKETS, ttl=ttl, limits=limits)
        return cast(Timer, _with(family, tags))

    def info(self, name: str, mapping: Mapping[str, object] | None = None, /, **tags: object) -> Gauge:
        """Tell facts that seldom change, as the tags of a gauge `name_info` with the value 1. Another call replaces them.

        Raises:
            MetricConflictError: the name belongs to another kind.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        gauge = self.gauge(name if name.endswith("_info") else f"{name}_info")
        series = gauge.with_tags(mapping, **tags)
        series.set(1.0)
        before = self._infos.get(gauge.name)
        self._infos[gauge.name] = series
        if before is not None and before is not series:
            before.remove()
        for other in self._families.of_others(gauge.name, series.tags):
            gauge.with_tags(other).remove()
        return series

    def state(
        self, name: str, states: Iterable[str], *, description: str = "", tags: Mapping[str, object] | None = None
    ) -> State:
        """Get or create a state: which one of `states` something is in. Each is a series of the gauge `name`, tagged `state`.

        Raises:
            MetricConflictError: the name belongs to another kind.
            TypeError: `states` is not a collection of texts.
            ValueError: `states` is empty, or names one twice.
        """
        names = [] if isinstance(states, str) else list(states)
        if not all(isinstance(state, str) for state in names) or isinstance(states, str):
            raise TypeError(f"state {name!r}: states must be a collection of str")
        if not names or len(set(names)) < len(names):
            raise ValueError(f"state {name!r}: states must be one or more, each named once, not {names!r}")
        return State(self.gauge(name, description=description), names, tags)

    def _observe(self, family: Family, tags: Mapping[str, object] | None, callback: Callback | None) -> Instrument:
        instrument = _with(family, tags)
        if callback is not None:
            if not callable(callback):
                raise TypeError(f"metric {family.options.name!r}: callback must be callable, not {type(callback).__name__}")
            observed = Observed(cast("Counter | Gauge", instrument), callback, shared=self._sharing is not None)
            self._observed[family.options.name, instrument.tags] = observed
        return instrument

    def _operation_recorder(
        self, counter: Counter, keys: tuple[str, ...], *, timer: Timer | None = None, defaults: tuple[str, ...] = ()
    ) -> OperationRecorder:
        """Return one call that counts, and times, under tags given by place; see `OperationRecorder`.

        Args:
            counter: what is counted. Like `timer`, an instrument of this registry.
            keys: the tags that are given by place.
            timer: what the duration, the last argument by place, is recorded to.
            defaults: values of the last keys, where they are left out.
        """
        return cast(OperationRecorder, self._engine.OperationRecorder(counter, keys, timer, defaults))

    # Lifecycle

    def unregister(self, name: str) -> bool:
        """Take a metric and all its series out of the registry; say whether it was there.

        Nothing is lost by those who still hold an instrument: the next record to it brings it back, starting afresh.
        """
        for key in [key for key in list(self._observed) if key[0] == name]:
            del self._observed[key]
        return self._families.unregister(name)

    def expire(self) -> int:
        """Remove the series that did not change for the `ttl` of their metric; return how many. `snapshot` does so too.

        What changed is seen when the registry is read, so that it costs a record nothing: a series goes when two readings, at
        least `ttl` apart, find it the same. It never goes before its last change was read once.
        """
        self._families.sync()
        return sum([self._families.expire(family) for family in self._families.all()])

    def attach(self, reporter: Reporter) -> None:
        """Have `reporter` closed when the registry is closed."""
        self._reporters.append(reporter)

    def detach(self, reporter: Reporter) -> None:
        """Forget a reporter that was attached."""
        if reporter in self._reporters:
            self._reporters.remove(reporter)

    def close(self) -> None:
        """Close the reporters and forget the callbacks. Instruments stay harmless to use. May be called again."""
        self._observed.clear()
        while self._reporters:
            try:
                self._reporters.pop().close()
            except Exception:
                _logger.exception("a reporter failed to close")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    # Reading

    def snapshot(self) -> Snapshot:
        """Return what the registry holds now, frozen. Removes expired series and asks callbacks first.

        A series is there if it was recorded to, or named through `tags=` or `with_tags()`; a metric without any shows its
        untagged series. `tallymark_series{metric}` tells how many series each metric has.
        """
        if self._sharing is not None:
            self._sharing.check()
            self._sharing.shared.bury()
            self._families.sync()
        failed = self._ask_callbacks()
        silent = {REJECTED, *[name for name, _ in list(self._observed)]}  # what they do not tell of is not there
        families = [
            self._read(family)
            for family in self._families.all()
            if family.options.name not in failed and not (family.options.name in silent and family.empty)
        ]
        if families:
            families.append(self._census(families))
        return Snapshot(tuple(families), time.time())

    def _read(self, family: Family) -> FamilySnapshot:
        options, columns = family.options, self._families.read(family)
        return FamilySnapshot(options.name, options.kind, family.description, options.unit, options.bounds, columns)

    def _ask_callbacks(self) -> set[str]:
        """Refresh the observed instruments; return the names of the metrics whose callback failed."""
        failed = set()
        for (name, _), observed in list(self._observed.items()):
            try:
                observed.refresh()
            except (Exception, SystemExit) as error:
                failed.add(name)
                self._reject(name, "callback", partial("its callback failed: {!r}".format, error))
        return failed

    def _census(self, families: list[FamilySnapshot]) -> FamilySnapshot:
        now = time.time()
        # Kept from one snapshot to the next, so that exporters find the text that they keep with them.
        self._census_tags = {family.name: self._engine.TagSet(self._tags, metric=family.name) for family in families}
        sizes = [float(len(family)) for family in families]
        columns = Columns(tuple(self._census_tags.values()), (now,) * len(sizes), tuple(sizes))
        return FamilySnapshot("tallymark_series", "gauge", "Live series, by metric.", "", (), columns)


def _readmit_to(families: Families) -> Callable[[Family], bool]:
    # An instrument must not keep its registry alive: the garbage collector does not see into the engines' objects.
    weakly = ref(families)

    def readmit(family: Family) -> bool:
        owner = weakly()
        if owner is not None:
            return owner.readmit(family)
        family.registered = True  # nobody will read it, but a handle that outlives its registry works as ever
        return True

    return readmit


def _with(family: Family, tags: Mapping[str, object] | None) -> Instrument:
    return family.root.with_tags(tags)


def _share(engine: Any, shared: bool | str | os.PathLike[str], limit: int) -> Sharing | None:
    if shared is False or shared is None:
        return None
    from tallymark.metric.shared.file import open_to_share  # most registries share nothing, and need not load these
    from tallymark.metric.shared.memory import Sharing

    return Sharing(*open_to_share(engine, shared, limit))
