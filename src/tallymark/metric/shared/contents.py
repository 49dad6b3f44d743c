"""`Contents`: what is in a file that processes share, read once into plain data. Reading changes nothing in the file."""

from __future__ import annotations

import time
from math import nan

from tallymark.engine import load_engine
from tallymark.engine.histogram_snapshot import HistogramSnapshot
from tallymark.engine.kinds import WITH_BUCKETS
from tallymark.engine.text import text_tags
from tallymark.errors import SharedFileError
from tallymark.frozen import Frozen
from tallymark.metric.shared.aggregate import double_of
from tallymark.metric.shared.entry import SharedEntry
from tallymark.metric.shared.file import open_to_read
from tallymark.metric.shared.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Any, TypeAlias

    Slot: TypeAlias = tuple[bytes, int, float, tuple[int, ...]]  # as the engine reads it: text, owner, created, cells

__all__ = ["CROWD", "Contents", "FamilyContents", "LivingProcess", "SeriesContents", "Space", "read_contents"]

_ALL, _RETIRED = 0xFFFFFFFF, 0xFFFFFFFE  # owners (slot.h)
CROWD = 511  # the place of all processes that found none free: it never ends (shared.h)


class Space(Frozen):
    """Bytes that are used, that the file has, and that it may grow to; and how many requests for space failed."""

    __slots__ = ("failed", "limit", "size", "used")

    used: int
    size: int
    limit: int
    failed: int


class LivingProcess(Frozen):
    """A process that has the file open to record.

    Attributes:
        place: its number in the file.
        since: when it opened the file, in seconds since the epoch.
    """

    __slots__ = ("pid", "place", "since")

    place: int
    pid: int
    since: float


class SeriesContents(Frozen):
    """One series; or, of a gauge of which each process has its own value, the value of one process.

    Attributes:
        tags: None where they are damaged.
        process: the place of the process that has this value; None where there is no such process.
        ended: whether the processes that recorded the value have ended.
        created: in seconds since the epoch.
        value: None where it is damaged.
    """

    __slots__ = ("created", "ended", "process", "tags", "value")

    tags: dict[str, str] | None
    process: int | None
    ended: bool
    created: float
    value: float | HistogramSnapshot | None


class FamilyContents(Frozen):
    """One metric.

    Attributes:
        offset: where it is in the file.
        registered: False after `unregister`.
        has_lived: whether it ever had a series.
        entry: what the file tells of it; None where that is damaged.
        series: of the metric, in the order of their creation. None are read of a metric that is damaged.
    """

    __slots__ = ("entry", "has_lived", "offset", "registered", "series")

    offset: int
    registered: bool
    has_lived: bool
    entry: SharedEntry | None
    series: tuple[SeriesContents, ...]


class Contents(Frozen):
    """All that is in a file.

    Attributes:
        time: when it was read, in seconds since the epoch.
    """

    __slots__ = ("families", "path", "processes", "space", "time")

    path: str
    time: float
    space: Space
    processes: tuple[LivingProcess, ...]
    families: tuple[FamilyContents, ...]


def read_contents(path: str | os.PathLike[str]) -> Contents:
    """Read a file that registries share.

    Raises:
        SharedFileError: it is missing, foreign, damaged or of another version, or cannot be read here; it says which.
    """
    try:
        shared = open_to_read(load_engine("native"), path)
    except ImportError as error:
        raise SharedFileError(f"{printable(str(path))}: {error}") from None
    found = [(*told, shared.text(told[0]), shared.series(told[0])) for told in shared.families()]
    # After the series, so that no process whose values were read is taken for one that ended before.
    processes = tuple([LivingProcess(place, pid, since) for place, pid, _, since, _ in shared.processes()])
    living = {process.place for process in processes}
    families = tuple([_family(shared, living, *told) for told in found])
    usage = shared.usage()
    space = Space(**{name: usage[name] for name in Space.__match_args__})
    return Contents(str(path), time.time(), space, processes, families)


def _family(
    shared: Any, living: set[int], offset: int, registered: bool, has_lived: bool, text: bytes | None, slots: list[Slot]
) -> FamilyContents:
    entry = SharedEntry.read(text)
    series = () if entry is None else tuple([_series(shared, entry, slot, living) for slot in slots])
    return FamilyContents(offset, registered, has_lived, entry, series)


def _series(shared: Any, entry: SharedEntry, slot: Slot, living: set[int]) -> SeriesContents:
    text, owner, created, cells = slot
    process = None if owner in (_ALL, _RETIRED) else owner
    ended = owner == _RETIRED or (owner < CROWD and owner not in living)
    return SeriesContents(text_tags(text), process, ended, created, _value(shared, entry, cells))


def _value(shared: Any, entry: SharedEntry, cells: tuple[int, ...]) -> float | HistogramSnapshot | None:
    if len(cells) != entry.words:
        return None
    if entry.kind not in WITH_BUCKETS:
        return double_of(cells[0])
    if entry.is_exponential:
        from tallymark.metric.shared.exponential import exponential_snapshot

        return exponential_snapshot(cells, shared.negatives)
    n_buckets = len(entry.bounds) + 1
    total, least, most = map(double_of, cells[n_buckets:])
    if least > most:  # nothing was observed
        least = most = nan
    return HistogramSnapshot(entry.bounds, cells[:n_buckets], total, least, most)
