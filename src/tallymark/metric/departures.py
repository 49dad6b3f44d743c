"""`Departures`: what the totals of series were when they were removed or expired, for who reports what was added since.

Who looks at a registry now and then would miss what was recorded to a series since the last look, if it is gone at the next.
A series expires only after a reading that has its last numbers: those are kept from one reading to the next. One that is
removed by hand is asked for its numbers before.
"""

from __future__ import annotations

from _thread import RLock
from collections import deque
from typing import TYPE_CHECKING, Any

from tallymark.engine.exponential_snapshot import ExponentialSnapshot
from tallymark.engine.kinds import WITH_BUCKETS
from tallymark.engine.lock import slow_path
from tallymark.frozen import replace
from tallymark.metric.data import ExponentialHistogramData, HistogramData, SumData, SummaryData
from tallymark.metric.portions import portions
from tallymark.metric.snapshot import FamilySnapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tallymark.engine import Instrument, TagSet
    from tallymark.metric.data import Data
    from tallymark.metric.families import Families
    from tallymark.metric.registry import Registry

__all__ = ["Departed", "Departures", "is_total", "noted_for", "numbered", "rows_columns", "rows_of", "stop_noting"]


class Departed:
    """What one who reports has not yet been told of series that ended.

    Args:
        most: series that are kept.

    Attributes:
        lost: how many were not.
    """

    def __init__(self, most: int) -> None:
        self.lost = 0
        self._most = most
        self._families: deque[FamilySnapshot] = deque()
        self._rows = 0

    def add(self, family: FamilySnapshot) -> None:
        """Keep the series of a family. May be called from anywhere."""
        with slow_path():
            if self._rows + len(family) > self._most:
                self.lost += len(family)
                return
            self._rows += len(family)
            self._families.append(family)

    def peek(self) -> tuple[FamilySnapshot, ...]:
        """Return what there is, in the order in which it ended."""
        return tuple(self._families)

    def forget(self, told: int) -> None:
        """Forget the first ones, that many."""
        with slow_path():
            for _ in range(told):
                self._rows -= len(self._families.popleft())


class Departures:
    """Notes the series of a registry that end, for all who asked.

    Args:
        families: of the registry.

    Attributes:
        reading: held while the registry is read, so that readings are noted in their order.
    """

    def __init__(self, families: Families) -> None:
        self.reading = RLock()
        self._families = families
        self._to: list[Departed] = []
        self._last: dict[str, FamilySnapshot] = {}
        # Series that were told of when they were removed, so that they are not when the next reading lacks them.
        self._told: set[tuple[str, TagSet, float]] = set()
        self._told_before: set[tuple[str, TagSet, float]] = set()

    def subscribe(self, departed: Departed) -> None:
        """Have somebody told from now on."""
        self._to.append(departed)

    def unsubscribe(self, departed: Departed) -> bool:
        """Tell somebody nothing more; return True if nobody is left."""
        if departed in self._to:
            self._to.remove(departed)
        return not self._to

    def _tell(self, family: FamilySnapshot) -> None:
        for one in list(self._to):
            one.add(family)

    # By hand

    def series_leaves(self, series: Instrument, created: float) -> None:
        """Tell what a series holds. Called before it is removed, wherever that is done."""
        data = _data_of(series, created)
        if data is not None:
            self._told.add((series.name, series.tags, created))
            self._tell(FamilySnapshot(series.name, series.kind, series.description, series.unit, data))

    def leave(self, family: FamilySnapshot) -> None:
        """Tell what all series of a family hold, which is about to be unregistered."""
        if is_total(family.data):
            self._told.update([(family.name, *series) for series in zip(family.data.tags, family.data.created, strict=True)])
            self._tell(family)

    # By a reading

    def note(self, families: Iterable[FamilySnapshot]) -> None:
        """Tell what the series held at the last reading that this one lacks."""
        told = self._told | self._told_before
        self._told_before, self._told = self._told, set()
        now = {family.name: family for family in families if is_total(family.data) and self._may_lose(family.name)}
        last, self._last = self._last, now
        for name, family in last.items():
            if name in now or self._families.find(name) is None:  # else it could not be read
                self._compare(family, now.get(name), told)
            else:
                now[name] = family

    def _may_lose(self, name: str) -> bool:
        """Return True for a metric whose series may end without a word to this process."""
        family = self._families.find(name)
        return family is not None and (self._families.is_shared or family.options.ttl is not None)

    def _compare(self, last: FamilySnapshot, now: FamilySnapshot | None, told: set[tuple[str, TagSet, float]]) -> None:
        if now is not None and last.data.tags == now.data.tags and last.data.created == now.data.created:
            return
        present = {} if now is None else numbered(now.data)
        gone = [row for one, row in numbered(last.data).items() if one not in present and (last.name, *one) not in told]
        if gone:
            self._tell(replace(last, data=rows_of(last.data, gone)))


def noted_for(registry: Registry, departed: Departed) -> None:
    """Note the series of a registry that end from now on, for one more who reports."""
    reader = registry._reader()
    if reader.departures is None:
        reader.departures = Departures(registry._families)
        registry._families.hooks.leaving.append(reader.departures.series_leaves)
    reader.departures.subscribe(departed)


def stop_noting(registry: Registry, departed: Departed) -> None:
    """Note nothing more for one who reports."""
    reader = registry._reader()
    if reader.departures is not None and reader.departures.unsubscribe(departed):
        reader.departures = None
        registry._families.hooks.leaving.clear()


def numbered(data: Data) -> dict[tuple[TagSet, float], int]:
    """Return the row of each series, by its tags and when it was created."""
    rows: dict[tuple[TagSet, float], int] = {}
    for part in portions(len(data.tags)):
        series = zip(data.tags[part], data.created[part], strict=True)
        rows.update(zip(series, range(part.start, part.stop), strict=False))
    return rows


def rows_columns(data: Data) -> list[str]:
    """Return the names of the columns that have a row for each series."""
    return [name for name in data.__match_args__ if name not in ("bounds", "monotonic")]


def rows_of(data: Data, rows: Sequence[int]) -> Any:
    """Return some of the rows of columns."""
    changes = {
        name: tuple([column[row] for row in rows]) if len(column := getattr(data, name)) else column
        for name in rows_columns(data)
    }
    return replace(data, **changes)


def is_total(data: Data) -> bool:
    """Return True for what only grows: a counter, or a distribution."""
    match data:
        case SumData(monotonic=monotonic):
            return monotonic
        case HistogramData() | ExponentialHistogramData() | SummaryData():
            return True
    return False


def _data_of(series: Any, created: float) -> Data | None:
    """Return the totals that an instrument holds; None if it holds none."""
    tags, times = (series.tags,), (created,)
    if series.kind == "counter":
        return SumData(tags, times, (series.value,), True)
    if series.kind not in WITH_BUCKETS:
        return None
    held = series.snapshot()
    if isinstance(held, ExponentialSnapshot):
        return ExponentialHistogramData(
            tags, times, (held.scale,), (held.zero_count,), (held.positives,), (held.negatives,), (held.sum,), (held.min,),
            (held.max,),
        )  # fmt: skip
    return HistogramData(tags, times, held.bounds, (held.bucket_counts,), (held.sum,), (held.min,), (held.max,))
