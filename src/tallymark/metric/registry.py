"""`Registry`: the metrics of one service, which counts the bad data that it rejects."""

from __future__ import annotations

import time
from _weakref import ref

from tallymark.engine import load_engine
from tallymark.engine.lock import slow_path
from tallymark.engine.options import FamilyHooks, TagLimits
from tallymark.errors import MetricConflictError
from tallymark.log import logger
from tallymark.metric.families import Families
from tallymark.metric.instruments import Instruments
from tallymark.metric.names import ExpositionNames
from tallymark.metric.rejections import REJECTED, Rejections
from tallymark.metric.validation import MetricRequest, check_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Any, Literal, Protocol, Self, TypeAlias

    from tallymark.engine import Counter, Family, Instrument, OperationRecorder, TagSet, Timer
    from tallymark.engine.options import ExemplarSource
    from tallymark.metric.callback import Callback
    from tallymark.metric.collector import Collector
    from tallymark.metric.exemplars import Exemplars
    from tallymark.metric.reader import Reader
    from tallymark.metric.snapshot import Snapshot

    EngineName: TypeAlias = Literal["native", "reference"]

    class Reporter(Protocol):
        """Anything that a registry closes when it is closed."""

        def close(self) -> object: ...


__all__ = ["Registry"]

_DEFAULT_LIMITS = TagLimits()


class Registry(Instruments):
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
        shared_limit: bytes that this memory may grow to, if this process creates it. Beyond, records go to the overflow
            series, and are counted in `tallymark_rejected`.
        fresh: begin the file anew, with counters at 0, if no living process uses it; else join those that do. Without it, what
            is in the file stays, over restarts too. It needs a path.
        self_metrics: report in each snapshot how many series each metric has, in `tallymark_series{metric}`.
        exponential: histograms and timers for which no `buckets` are named get exponential ones.
        exemplars: called for a record to a counter, histogram or timer, at most once a second for each bucket of a series;
            returns what identifies the record, such as `{"trace_id": "4f79"}`, or None. `tm.current_span_exemplar`
            returns the current span of OpenTelemetry.

    Raises:
        SharedFileError: the file cannot be shared: it is damaged, not Tallymark's, of another release, or not accessible.
        ValueError: this engine or platform cannot share memory, or there is none to begin anew.
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
        fresh: bool = False,
        self_metrics: bool = True,
        exponential: bool = False,
        exemplars: ExemplarSource | None = None,
    ) -> None:
        self._engine = load_engine(engine)
        limits = _DEFAULT_LIMITS if limits is None else limits
        check_type("limits", limits, TagLimits)
        self._tags: TagSet = self._engine.TagSet(limits.truncated("(any)", self._engine.TagSet(tags)) if tags else None)
        self._families = _families(self._engine, limits, self._tags, shared, shared_limit, fresh)
        self._self_metrics = self_metrics
        self._exponential = bool(exponential)
        self._names = ExpositionNames(order=self._families.keys if self._families.is_shared else None, logs=True)
        self._reporters: list[Reporter] = []
        self._made_reader: Reader | None = None
        hooks = FamilyHooks(_reject_nothing, _readmit_to(self._families), time.time, time.monotonic)
        self._rejections = Rejections(self._families, hooks, strict)
        reject, settle = self._rejections.reject, self._rejections.settle
        self._exemplars = None if exemplars is None else _exemplars(exemplars)
        ask = None if self._exemplars is None else _ask_weakly(self._exemplars)
        self._families.hooks = FamilyHooks(reject, hooks.readmit, hooks.now, hooks.uptime, settle, ask)
        if self._families.is_shared:  # later there may be no space for it
            self._rejections.make_counter()

    def _family(self, wanted: MetricRequest) -> Family:
        if wanted.name == REJECTED:
            self._rejections.make_counter()  # it has limits of its own, whatever the first request asks for
        is_new = self._families.find(wanted.name) is None
        family = self._families.get(wanted)
        if is_new:
            options = family.options
            clash = self._names.claim(options.name, options.kind, options.unit)
            if clash:
                logger().warning("%s", clash)
        return family

    def _operation_recorder(
        self, counter: Counter, keys: tuple[str, ...], *, timer: Timer | None = None, defaults: tuple[str, ...] = ()
    ) -> OperationRecorder:
        """Return one call that counts, and times, with tags as positional arguments; see `OperationRecorder`.

        Args:
            counter: what each call adds one to. Like `timer`, an instrument of this registry.
            keys: the tags that are positional arguments.
            timer: what the duration, the last positional argument, is recorded to.
            defaults: values of the last keys, used where they are omitted.
        """
        recorder: OperationRecorder = self._engine.OperationRecorder(counter, keys, timer, defaults)
        return recorder

    def _add_callback(self, instrument: Any, callback: Callback) -> None:
        self._reader().add_callback(instrument, callback)

    def _tags_of_others(self, name: str, tags: TagSet) -> list[TagSet]:
        return self._families.tags_of_others(name, tags)

    # Collectors

    def register(self, collector: Collector) -> None:
        """Have the registry ask `collector` for families whenever it is read. It replaces a collector that is equal to it.

        Its method `collect()` returns an iterable of families, which `tm.family` makes. If it raises, or returns anything else,
        its families are missing from that snapshot; a family whose name is taken is omitted. Both are counted in
        `tallymark_rejected`, and so is a collector that takes longer than a second: scrapes wait for it.

        Raises:
            TypeError: it has no such method.
        """
        self._reader().collectors.add(collector)

    def unregister(self, what: str | Instrument | Collector) -> bool:
        """Remove a metric and all its series from the registry, or a collector; return True if it was there.

        An instrument that is still held keeps working: the next record to it registers its metric again, with new series.

        Args:
            what: the metric's name, an instrument of it, or a collector.
        """
        if isinstance(what, str):
            return self._unregister(what)
        if isinstance(what, self._engine.Instrument):
            found = self._families.find(what.name)
            return found is not None and found is what._family and self._unregister(what.name)
        return self._reader().collectors.remove(what)

    def _unregister(self, name: str) -> bool:
        self._reader().forget(name)
        return self._families.unregister(name)

    def _check_not_taken(self, name: str) -> None:
        """Raise `MetricConflictError` if an instrument has a name that a collector is to get."""
        present = self._families.find(name)
        if present is not None:
            raise MetricConflictError(f"metric {name!r} exists already with kind {present.options.kind!r}")

    # Lifecycle

    def expire(self) -> int:
        """Remove the series that did not change for the `ttl` of their metric; return how many. `snapshot` does so too.

        Changes are noticed when the registry is read, so that records pay nothing: a series is removed when two readings, at
        least `ttl` apart, find it the same. It is never removed before its last change was read once.
        """
        self._families.sync()
        expired = sum([family.expire() for family in self._families.all()])
        self._reader().note()
        return expired

    def attach(self, reporter: Reporter) -> None:
        """Close `reporter` when the registry is closed."""
        self._reporters.append(reporter)

    def detach(self, reporter: Reporter) -> None:
        """Forget a reporter that was attached."""
        try:  # noqa: SIM105 - contextlib would have to be imported
            self._reporters.remove(reporter)
        except ValueError:  # it was not attached, or another thread was first
            pass

    def close(self) -> None:
        """Close the reporters and forget callbacks and collectors. Instruments still work. May be called again."""
        while self._reporters:
            try:
                reporter = self._reporters.pop()
            except IndexError:  # another thread was first
                break
            try:
                reporter.close()
            except Exception:
                logger().exception("a reporter failed to close")
        if self._made_reader is not None:
            self._made_reader.clear()  # after the last reports

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    # Reading

    def snapshot(self) -> Snapshot:
        """Return what the registry holds now, frozen. Removes expired series, and asks callbacks and collectors first.

        It has the series that were recorded to, or named through `tags=` or `with_tags()`; a metric that never had one shows
        its untagged series. A callback or collector that takes a snapshot itself sees what instruments hold; nothing is asked.
        """
        return self._reader().snapshot()

    def _reader(self) -> Reader:
        """Return the reader of this registry, made on first use: a service need not import it to record."""
        if self._made_reader is None:
            from tallymark.metric.reader import Reader

            made = Reader(
                self._engine, self._families, self._rejections, self._names, self._tags, self_metrics=self._self_metrics
            )
            with slow_path():
                self._made_reader = self._made_reader or made  # another thread or a signal handler may have been first
        return self._made_reader

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
        family.registered = True  # nobody will read it, but an instrument that outlives its registry still works
        return True

    return readmit


def _exemplars(source: ExemplarSource) -> Exemplars:
    from tallymark.metric.exemplars import Exemplars  # most services have none

    return Exemplars(source)


def _ask_weakly(exemplars: Exemplars) -> ExemplarSource:
    # As above: what the source holds, the registry itself maybe, must not be kept alive by instruments.
    weakly = ref(exemplars)

    def ask() -> Mapping[str, object] | None:
        asked = weakly()
        return None if asked is None else asked.source()

    return ask


def _families(engine: Any, limits: TagLimits, tags: TagSet, shared: Any, shared_limit: int, fresh: bool) -> Families:
    if shared is False or shared is None:
        if fresh:
            raise ValueError("Registry(fresh=True) begins a file anew: give it too, as in Registry(shared=path, fresh=True)")
        return Families(engine, limits, tags)
    from tallymark.metric.shared.families import SharedFamilies  # most registries share nothing, and need not import these
    from tallymark.metric.shared.file import open_to_share
    from tallymark.metric.shared.memory import SharedMemory

    return SharedFamilies(engine, limits, tags, SharedMemory(*open_to_share(engine, shared, shared_limit, fresh)))
