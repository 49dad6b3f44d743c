"""`Reader`: reads a registry as a whole, after asking its callbacks and collectors."""

from __future__ import annotations

from _thread import get_ident

from tallymark.engine import frozen
from tallymark.frozen import replace
from tallymark.metric.callback import CallbackInstrument
from tallymark.metric.collectors import Collectors
from tallymark.metric.data import GaugeData, data_of
from tallymark.metric.rejections import REJECTED, failure_text
from tallymark.metric.snapshot import FamilySnapshot, Snapshot
from tallymark.metric.validation import CENSUS, PROCESS_CPU

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tallymark.engine import Counter, Family, Gauge, TagSet
    from tallymark.metric.callback import Callback
    from tallymark.metric.departures import Departures
    from tallymark.metric.families import Families
    from tallymark.metric.names import ExpositionNames
    from tallymark.metric.rejections import Rejections

__all__ = ["Reader"]

_SAYS_NOTHING_UNTAGGED = ("info", "stateset")


class Reader:
    """Takes the snapshots of one registry.

    Attributes:
        collectors: the collectors that are asked for further families.
        departures: keeps what series that end had counted; None while nobody needs that.
    """

    def __init__(
        self,
        engine: Any,
        families: Families,
        rejections: Rejections,
        names: ExpositionNames,
        tags: TagSet,
        *,
        self_metrics: bool,
    ) -> None:
        self.collectors = Collectors(rejections, tags)
        self._engine = engine
        self._families = families
        self._rejections = rejections
        self._names = names
        self._tags = tags
        self._self_metrics = self_metrics
        self._callbacks: dict[tuple[str, TagSet], CallbackInstrument] = {}
        self.departures: Departures | None = None
        self._threads: set[int] = set()  # that are taking a snapshot
        self._census_tags: dict[str, TagSet] = {}

    def add_callback(self, instrument: Counter | Gauge, callback: Callback) -> None:
        """Have a callback return the value of an instrument; it replaces an earlier one."""
        key = instrument.name, instrument.tags
        earlier = self._callbacks.get(key)
        if earlier is None or not earlier.is_of(instrument, callback):  # else what it told would be told again
            self._callbacks[key] = CallbackInstrument(instrument, callback, shared=self._families.is_shared, replaces=earlier)

    def forget(self, name: str) -> None:
        """Forget the callbacks of a metric, and tell who needs it what its series hold, before it is unregistered."""
        for key in [key for key in list(self._callbacks) if key[0] == name]:
            self._callbacks.pop(key, None)
        family = self._families.find(name)
        if self.departures is not None and family is not None:
            read = self._read(family, set())
            if read is not None:
                self.departures.leave(read)

    def clear(self) -> None:
        """Forget all callbacks and collectors."""
        self._callbacks.clear()
        self.collectors.clear()

    def is_reading(self) -> bool:
        """Return True within a callback or collector that this thread asks."""
        return get_ident() in self._threads

    def snapshot(self) -> Snapshot:
        """Return what the registry holds now. Within a callback or collector, ask none of them: else it would never end."""
        self._families.refresh()
        thread = get_ident()
        if thread in self._threads:
            return self._snapshot(set(), asks=False)
        self._threads.add(thread)
        try:
            return self._snapshot(self._ask_callbacks(), asks=True)
        finally:
            self._threads.discard(thread)

    def follow_fork(self) -> None:
        """In a forked child: forget who was reading in the parent. A new thread may get the identifier of one of those."""
        self._threads.clear()

    def held(self) -> Snapshot:
        """Return what instruments hold now. Nothing is asked."""
        return self._snapshot(set(), asks=False)

    def _snapshot(self, failed: set[str], *, asks: bool) -> Snapshot:
        families = self._read_all(failed)
        if asks:
            taken = [family.options.name for family in self._families.all()]  # also those that this snapshot leaves out
            families += self.collectors.families([*taken, CENSUS] if self._self_metrics else taken)
        if families and self._self_metrics:
            families.append(self._census(families))
        return Snapshot(tuple(self._named(families)), self._families.hooks.now())

    def _read_all(self, failed: set[str]) -> list[FamilySnapshot]:
        """Return what the instruments of all metrics hold, but of those whose callback failed."""
        departures = self.departures
        if departures is None:
            return self._read_families(failed)
        with departures.reading:
            families = self._read_families(failed)
            departures.note(families)
            return families

    def _read_families(self, failed: set[str]) -> list[FamilySnapshot]:
        called = {name for name, _ in list(self._callbacks)}
        hidden = {*failed, PROCESS_CPU}
        read = [self._read(family, called) for family in self._families.all() if family.options.name not in hidden]
        return [family for family in read if family is not None]

    def note(self) -> None:
        """Read what instruments hold, if somebody needs to know what series that end had counted."""
        if self.departures is not None:
            self._snapshot(set(), asks=False)

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
                failure = f"its callback failed: {failure_text(error)}"
                self._rejections.reject(name, "callback", lambda failure=failure: failure)  # type: ignore[misc]
        return failed

    def _read(self, family: Family, called: set[str]) -> FamilySnapshot | None:
        """Return a metric as it is now; None if it has no series that says anything."""
        options = family.options
        name, kind, unit = options.name, options.kind, options.unit
        columns = family.read()  # which first ends what expired
        # Where it has no other, an untagged series may say nothing: a 0 of a callback, say, is a lie.
        if (name in called or kind in _SAYS_NOTHING_UNTAGGED or name == REJECTED) and family.empty:
            return None
        exposed = self._names.given.get((name, kind, unit), "")
        return frozen(FamilySnapshot, name, kind, family.description, unit, data_of(options, columns), exposed)

    def _census(self, families: list[FamilySnapshot]) -> FamilySnapshot:
        now = self._families.hooks.now()
        # Kept from one snapshot to the next, so that exporters find the text that they keep with them.
        known = self._census_tags
        tags = {
            family.name: known.get(family.name) or self._engine.TagSet(self._tags, metric=family.name) for family in families
        }
        self._census_tags = tags
        sizes = [float(len(family.data.tags)) for family in families]
        data = GaugeData(tuple(tags.values()), (now,) * len(sizes), tuple(sizes))
        return FamilySnapshot(CENSUS, "gauge", "Live series, by metric.", "", data)

    def _named(self, families: list[FamilySnapshot]) -> list[FamilySnapshot]:
        """Return families with the names that they have in Prometheus' formats. Those of instruments lack them once only."""
        keys = [(family.name, family.kind, family.unit) for family in families if not family.exposition_name]
        if not keys:
            return families
        self._names.give(keys)
        given = self._names.given
        return [
            family if family.exposition_name else replace(family, exposition_name=given[family.name, family.kind, family.unit])
            for family in families
        ]
