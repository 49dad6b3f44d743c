"""`Registry`: the metrics of one service, and where bad data is accounted for."""

from __future__ import annotations

import time
from _thread import get_ident
from _weakref import ref

from tallymark.engine import load_engine
from tallymark.engine.options import FamilyHooks, TagLimits
from tallymark.engine.text import as_tags
from tallymark.errors import MetricConflictError
from tallymark.log import logger
from tallymark.metric.data import GaugeData, data_of
from tallymark.metric.families import Families
from tallymark.metric.names import ExpositionNames
from tallymark.metric.rejections import REJECTED, Rejections, failure_text
from tallymark.metric.snapshot import FamilySnapshot, Snapshot
from tallymark.metric.validation import MetricRequest, check_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Any, Literal, Protocol, Self, TypeAlias

    from tallymark.engine import Counter, Family, Gauge, Histogram, Instrument, OperationRecorder, TagSet, Timer
    from tallymark.metric.callback import Callback, CallbackInstrument
    from tallymark.metric.collector import Collector, Collectors
    from tallymark.metric.state import State

    Aggregate: TypeAlias = Literal["last", "sum", "max", "min"]
    EngineName: TypeAlias = Literal["native", "reference"]

    class Reporter(Protocol):
        """Anything that a registry closes when it is closed."""

        def close(self) -> None: ...


__all__ = ["Registry"]

_CENSUS = "tallymark_series"
_AGGREGATES = (None, "", "last", "sum", "max", "min")


class Registry:
    """The metrics of one service. Its methods get or create instruments: the same name gives the same object.

    A programming error raises at once. Bad data never does: a negative or non-finite increment, a non-finite observation, a tag
    value that is too long, a series beyond `TagLimits.max_series` is rejected or redirected, counted in
    `tallymark_rejected{metric,reason}`, and logged once per metric and reason (logger `tallymark`).

    Args:
        tags: tags that all series of this registry have. A value that is too long is truncated.
        limits: on the tags and series of metrics that have no limits of their own.
        strict: raise for bad data too: `ValueError`, or `TagError` where it is about tags. For development and tests.
        engine: `"native"` or `"reference"`; by default the engine that `tallymark.engine_name` names.
        shared: keep everything in memory that processes share, so that each of them reads the totals of all: `True` for memory
            that is inherited over a fork, or the path of a file that each process opens. Linux, native engine.
        shared_limit: bytes that this memory may grow to, if this process is the one to make it. Beyond, records go to the
            overflow series, and are counted in `tallymark_rejected`.
        self_metrics: have snapshots tell how many series each metric has, in `tallymark_series{metric}`.

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
        engine: EngineName | None = None,
        shared: bool | str | os.PathLike[str] = False,
        shared_limit: int = 64 * 2**20,
        self_metrics: bool = True,
    ) -> None:
        self._engine = load_engine(engine)
        limits = TagLimits() if limits is None else limits
        check_type("limits", limits, TagLimits)
        self._tags: TagSet = self._engine.TagSet(limits.truncated("(any)", self._engine.TagSet(tags)) if tags else None)
        self._families = _families(self._engine, limits, self._tags, shared, shared_limit)
        self._self_metrics = self_metrics
        self._names = ExpositionNames()
        self._infos: dict[str, Gauge] = {}
        self._callbacks: dict[tuple[str, TagSet], CallbackInstrument] = {}
        self._collectors: Collectors | None = None  # most registries have none
        self._reporters: list[Reporter] = []
        self._reading: set[int] = set()  # threads
        self._census_tags: dict[str, TagSet] = {}
        hooks = FamilyHooks(_reject_nothing, _readmit_to(self._families), time.time, time.monotonic)
        self._rejections = Rejections(self._families, hooks, strict)
        self._families.hooks = FamilyHooks(self._rejections.reject, hooks.readmit, hooks.now, hooks.uptime)
        if self._families.is_shared:  # later there may be no space for it
            self._rejections.make_counter()

    # Instruments

    def counter(
        self,
        name: str,
        *,
        description: str = "",
        unit: str = "",
        tags: Mapping[str, object] | None = None,
        tag_keys: Iterable[str] | None = None,
        ttl: float | None = None,
        limits: TagLimits | None = None,
        callback: Callback | None = None,
    ) -> Counter:
        """Get or create a counter: a total that only goes up.

        Args:
            name: starts with a letter, `_` or `:`, goes on with letters, digits and `_ . : / -`; up to 255 characters.
            description: what it counts. The first that is not empty stays.
            unit: of what it counts, `"bytes"` say; exporters append it to the name.
            tags: returns the series with these tags, instead of the one without.
            tag_keys: declares the keys that series have, `("method", "status")` say: another one raises `TagError`, one may be
                left out, and `with_tags("GET", "200")` gives the values of all by place.
            ttl: seconds after which a series that did not change is removed (see `expire`).
            limits: on the tags and series of this metric, instead of the registry's. Like `ttl`, what its first request says.
            callback: called whenever the registry is read. Returns the total, or pairs of tags and total, one for each series.
                Where processes share the registry, it is called in the process that is read, returns the total of that one,
                and the counter is the sum of what all have returned.

        Raises:
            MetricConflictError: the name belongs to another kind, unit or set of keys. Omitted options match anything.
            ValueError: the name is not valid, or `ttl` is not positive.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
            TypeError: an argument is of the wrong type.
        """
        wanted = MetricRequest("counter", name, description, unit, ttl=ttl, limits=limits, tag_keys=tag_keys)
        found: Any = self._instrument(wanted, tags, callback)
        counter: Counter = found
        return counter

    def gauge(
        self,
        name: str,
        *,
        description: str = "",
        unit: str = "",
        tags: Mapping[str, object] | None = None,
        tag_keys: Iterable[str] | None = None,
        ttl: float | None = None,
        limits: TagLimits | None = None,
        callback: Callback | None = None,
        aggregate: Aggregate | None = None,
    ) -> Gauge:
        """Get or create a gauge: a value that goes up and down. Arguments and errors as for `counter`, and these.

        A callback returns the present value; where processes share the registry, it is called in the process that is read, and
        returns the value of that one.

        Args:
            aggregate: how the processes that share a registry combine: `"last"` (the default), where all move one value; or
                `"sum"`, `"max"` or `"min"`, where each has its own, which `value` shows, and a snapshot combines all. The value
                of a process that died leaves a sum; it stays in a maximum or minimum.

        Raises:
            ValueError: also where `aggregate` is none of these.
        """
        if aggregate not in _AGGREGATES:
            raise ValueError(f"gauge {name!r}: aggregate must be 'last', 'sum', 'max' or 'min', not {aggregate!r}")
        wanted = MetricRequest("gauge", name, description, unit, ttl=ttl, limits=limits, aggregate=aggregate, tag_keys=tag_keys)
        found: Any = self._instrument(wanted, tags, callback)
        gauge: Gauge = found
        return gauge

    def histogram(
        self,
        name: str,
        *,
        description: str = "",
        unit: str = "",
        tags: Mapping[str, object] | None = None,
        tag_keys: Iterable[str] | None = None,
        ttl: float | None = None,
        limits: TagLimits | None = None,
        buckets: Iterable[float] | None = None,
    ) -> Histogram:
        """Get or create a histogram: how values are distributed. Arguments and errors as for `counter`, and these.

        Args:
            buckets: upper bounds, inclusive, ascending. By default `DURATION_BUCKETS` for the unit `"seconds"`, `SIZE_BUCKETS`
                for `"bytes"`, `VALUE_BUCKETS` for others.

        Raises:
            MetricConflictError: also where the metric has other bounds.
            ValueError: also where the bounds are not valid.
        """
        found: Any = self._with_buckets("histogram", name, description, unit, tags, tag_keys, ttl, limits, buckets)
        histogram: Histogram = found
        return histogram

    def timer(
        self,
        name: str,
        *,
        description: str = "",
        tags: Mapping[str, object] | None = None,
        tag_keys: Iterable[str] | None = None,
        ttl: float | None = None,
        limits: TagLimits | None = None,
        buckets: Iterable[float] | None = None,
    ) -> Timer:
        """Get or create a timer: a histogram of seconds, with `DURATION_BUCKETS` by default. Otherwise as `histogram`."""
        found: Any = self._with_buckets("timer", name, description, "seconds", tags, tag_keys, ttl, limits, buckets)
        timer: Timer = found
        return timer

    def info(self, name: str, mapping: Mapping[str, object] | None = None, /, **tags: object) -> Gauge:
        """Tell facts that seldom change, as the tags of a gauge `name_info` with the value 1. Another call replaces them.

        Raises:
            MetricConflictError: the name belongs to another kind.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        family = self._family(MetricRequest("info", name if name.endswith("_info") else f"{name}_info"))
        gauge: Any = family.root
        series: Gauge = gauge.with_tags(mapping, **tags)
        series.set(1.0)
        before = self._infos.get(gauge.name)
        self._infos[gauge.name] = series
        if before is not None and before is not series:
            before.remove()
        for other in self._families.tags_of_others(gauge.name, series.tags):
            gauge.with_tags(other).remove()
        return series

    def state(
        self, name: str, states: Iterable[str], *, description: str = "", tags: Mapping[str, object] | None = None
    ) -> State:
        """Get or create a state: which one of `states` something is in. Each is a series of the metric, tagged `state`.

        Raises:
            MetricConflictError: the name belongs to another kind.
            TypeError: `states` is not a collection of texts.
            ValueError: `states` is empty, or names one twice.
        """
        from tallymark.metric.state import State

        names = [] if isinstance(states, str) else list(states)
        if not all(isinstance(state, str) for state in names) or isinstance(states, str):
            raise TypeError(f"state {name!r}: states must be a collection of str")
        if not names or len(set(names)) < len(names):
            raise ValueError(f"state {name!r}: states must be one or more, each named once, not {names!r}")
        gauge: Any = self._family(MetricRequest("stateset", name, description)).root
        return State(gauge, names, tags)

    def _family(self, wanted: MetricRequest) -> Family:
        if wanted.name == REJECTED:
            self._rejections.make_counter()  # with limits of its own, whoever asks for it first
        is_new = self._families.find(wanted.name) is None
        family = self._families.get(wanted)
        if is_new:
            options = family.options
            clash = self._names.claim(options.name, options.kind, options.unit)
            if clash:
                logger().warning("%s", clash)
        return family

    def _instrument(
        self, wanted: MetricRequest, tags: Mapping[str, object] | None, callback: Callback | None = None
    ) -> Instrument:
        root = self._family(wanted).root
        instrument = root.with_tags(as_tags(tags, {})) if tags else root  # else one text is a value by place
        if callback is not None:
            from tallymark.metric.callback import CallbackInstrument

            if not callable(callback):
                raise TypeError(f"metric {wanted.name!r}: callback must be callable, not {type(callback).__name__}")
            observed: Any = instrument
            called = CallbackInstrument(observed, callback, shared=self._families.is_shared)
            self._callbacks[wanted.name, instrument.tags] = called
        return instrument

    def _with_buckets(
        self,
        kind: str,
        name: str,
        description: str,
        unit: str,
        tags: Mapping[str, object] | None,
        tag_keys: Iterable[str] | None,
        ttl: float | None,
        limits: TagLimits | None,
        buckets: Iterable[float] | None,
    ) -> Instrument:
        from tallymark.metric.buckets import check_bounds, default_bounds

        bounds = None if buckets is None else check_bounds(f"{kind} {name!r}", buckets)
        default = default_bounds(unit)
        return self._instrument(
            MetricRequest(kind, name, description, unit, bounds, default, ttl, limits, None, tag_keys), tags
        )

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
        recorder: OperationRecorder = self._engine.OperationRecorder(counter, keys, timer, defaults)
        return recorder

    # Collectors

    def register(self, collector: Collector) -> None:
        """Have the registry ask `collector` for families whenever it is read. It takes the place of one that is equal to it.

        Its method `collect()` returns an iterable of families, which `tm.family` makes. If it raises, or returns anything else,
        its families are missing from that snapshot; a family whose name is taken is left out. Both are counted in
        `tallymark_rejected`, and so is a collector that takes longer than a second: scrapes wait for it.

        Raises:
            TypeError: it has no such method.
        """
        if self._collectors is None:
            from tallymark.metric.collector import Collectors

            self._collectors = Collectors(self._rejections, self._tags)
        self._collectors.add(collector)

    def unregister(self, what: str | Instrument | Collector) -> bool:
        """Take a metric and all its series out of the registry, or a collector; return whether it was there.

        Nothing is lost by those who still hold an instrument: the next record to it brings it back, starting afresh.

        Args:
            what: the metric's name, an instrument of it, or a collector.
        """
        if isinstance(what, str):
            return self._unregister(what)
        if isinstance(what, self._engine.Instrument):
            found = self._families.find(what.name)
            return found is not None and found is what._family and self._unregister(what.name)
        return self._collectors is not None and self._collectors.remove(what)

    def _unregister(self, name: str) -> bool:
        for key in [key for key in list(self._callbacks) if key[0] == name]:
            del self._callbacks[key]
        return self._families.unregister(name)

    def _check_not_taken(self, name: str) -> None:
        """Raise `MetricConflictError` where an instrument has a name that a collector is to have."""
        present = self._families.find(name)
        if present is not None:
            raise MetricConflictError(f"metric {name!r} exists already with kind {present.options.kind!r}")

    # Lifecycle

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
        """Close the reporters and forget callbacks and collectors. Instruments stay harmless to use. May be called again."""
        self._callbacks.clear()
        if self._collectors is not None:
            self._collectors.clear()
        while self._reporters:
            try:
                self._reporters.pop().close()
            except Exception:
                logger().exception("a reporter failed to close")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    # Reading

    def snapshot(self) -> Snapshot:
        """Return what the registry holds now, frozen. Removes expired series, and asks callbacks and collectors first.

        A series is there if it was recorded to, or named through `tags=` or `with_tags()`; a metric without any shows its
        untagged series. A callback or collector that takes a snapshot itself sees what instruments hold, and asks nobody.
        """
        self._families.refresh()
        thread = get_ident()
        if thread in self._reading:
            return self._snapshot(set(), asks=False)
        self._reading.add(thread)
        try:
            return self._snapshot(self._ask_callbacks(), asks=True)
        finally:
            self._reading.discard(thread)

    def _snapshot(self, failed: set[str], *, asks: bool) -> Snapshot:
        silent = {REJECTED, *[name for name, _ in list(self._callbacks)]}  # a series that they do not name is not there
        families = [
            self._read(family)
            for family in self._families.all()
            if family.options.name not in failed and not (family.options.name in silent and family.empty)
        ]
        if asks and self._collectors is not None:
            taken = [family.name for family in families]
            families += self._collectors.families([*taken, _CENSUS] if self._self_metrics else taken)
        if families and self._self_metrics:
            families.append(self._census(families))
        return Snapshot(tuple(self._named(families)), time.time())

    def _read(self, family: Family) -> FamilySnapshot:
        options = family.options
        data = data_of(options, self._families.read(family))
        return FamilySnapshot(options.name, options.kind, family.description, options.unit, data)

    def _named(self, families: Iterable[FamilySnapshot]) -> list[FamilySnapshot]:
        keys = [(family.name, family.kind, family.unit) for family in families]
        self._names.give(keys)
        return [
            FamilySnapshot(family.name, family.kind, family.description, family.unit, family.data, self._names.of(*key))
            for family, key in zip(families, keys, strict=True)
        ]

    def _ask_callbacks(self) -> set[str]:
        """Refresh the instruments that have a callback; return the names of the metrics whose callback failed."""
        failed = set()
        for (name, _), called in list(self._callbacks.items()):
            try:
                called.refresh()
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a callback's sys.exit() or CancelledError is not the end of a scrape
                failed.add(name)
                failure = failure_text(error)
                self._rejections.reject(name, "callback", lambda failure=failure: f"its callback failed: {failure}")  # type: ignore[misc]
        return failed

    def _census(self, families: list[FamilySnapshot]) -> FamilySnapshot:
        now = time.time()
        # Kept from one snapshot to the next, so that exporters find the text that they keep with them.
        self._census_tags = {family.name: self._engine.TagSet(self._tags, metric=family.name) for family in families}
        sizes = [float(len(family)) for family in families]
        data = GaugeData(tuple(self._census_tags.values()), (now,) * len(sizes), tuple(sizes))
        return FamilySnapshot(_CENSUS, "gauge", "Live series, by metric.", "", data)

    def __repr__(self) -> str:
        families = self._families.all()
        series = sum([len(family.root.series()) for family in families])
        tags = f" tags={dict(self._tags)!r}" if self._tags else ""
        return f"<{type(self).__name__}: {len(families)} metrics, {series} series{tags}, {self._engine.name} engine>"

    def _repr_html_(self) -> str:
        return self.snapshot()._repr_html_()


def _reject_nothing(metric: str, reason: str, detail: Callable[[], str]) -> None:
    pass


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


def _families(engine: Any, limits: TagLimits, tags: TagSet, shared: Any, shared_limit: int) -> Families:
    if shared is False or shared is None:
        return Families(engine, limits, tags)
    from tallymark.metric.shared.families import SharedFamilies  # most registries share nothing, and need not load these
    from tallymark.metric.shared.file import open_to_share
    from tallymark.metric.shared.memory import SharedMemory

    return SharedFamilies(engine, limits, tags, SharedMemory(*open_to_share(engine, shared, shared_limit)))
