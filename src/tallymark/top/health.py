"""What a service tells of itself: its processes, and the data that was rejected."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

from tallymark.frozen import Frozen
from tallymark.metric.data import GaugeData, SumData

if TYPE_CHECKING:
    from tallymark.engine import TagSet
    from tallymark.metric.snapshot import Snapshot
    from tallymark.top.changes import Changes

__all__ = ["Process", "Rejected", "read_processes", "read_rejected"]

_REJECTED = "tallymark_rejected_total"


class Rejected(Frozen):
    """Records that were rejected or redirected, so far and a second."""

    __slots__ = ("count", "metric", "rate", "reason")

    metric: str
    reason: str
    count: float
    rate: float


class Process(Frozen):
    """A process, or all that share a registry: the `process_` metrics that clients of Prometheus have in common.

    Attributes:
        tags: of its metrics; most often none.
        cpu: seconds of processor time a second.
        memory: resident, in bytes.
        descriptors: that are open.
        threads: it has.
        uptime: seconds since its start.

    Each is NaN where it is not told.
    """

    __slots__ = ("cpu", "descriptors", "memory", "tags", "threads", "uptime")

    tags: TagSet
    cpu: float
    memory: float
    descriptors: float
    threads: float
    uptime: float


def read_rejected(changes: Changes) -> list[Rejected]:
    """Return what was rejected, most first."""
    now, recorded = [_column(one, _REJECTED) for one in (changes.now, changes.recorded)]
    found = [
        Rejected(tags.get("metric", ""), tags.get("reason", ""), count, changes.rate(recorded.get(tags, 0.0)))
        for tags, count in now.items()
        if count
    ]
    return sorted(found, key=lambda one: -one.count)


def read_processes(changes: Changes) -> list[Process]:
    """Return the processes of which anything is told."""
    now = changes.now
    busy = {tags: changes.rate(seconds) for tags, seconds in _column(changes.recorded, "process_cpu_seconds_total").items()}
    memory, started = _column(now, "process_resident_memory_bytes"), _column(now, "process_start_time_seconds")
    descriptors, threads = _column(now, "process_open_fds"), _column(now, "process_threads")
    return [
        Process(
            tags=tags,
            cpu=busy.get(tags, nan),
            memory=memory.get(tags, nan),
            descriptors=descriptors.get(tags, nan),
            threads=threads.get(tags, nan),
            uptime=max(0.0, now.time - started[tags]) if tags in started else nan,
        )
        for tags in {**busy, **memory}
    ]


def _column(snapshot: Snapshot, name: str) -> dict[TagSet, float]:
    """Return the numbers of a metric, by the name that its endpoint shows."""
    for one in snapshot.families:
        if (one.exposition_name or one.name) == name and isinstance(one.data, SumData | GaugeData):
            return dict(zip(one.data.tags, one.data.values, strict=True))
    return {}
