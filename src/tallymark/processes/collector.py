"""`LivingProcesses`: the metrics of all live processes that share a registry."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from tallymark.metric.collector import family
from tallymark.metric.rejections import failure_text
from tallymark.metric.shared.contents import CROWD
from tallymark.processes.cpu import CpuTotal, Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias

    from tallymark.metric.collector import Kind
    from tallymark.metric.rejections import Rejections
    from tallymark.metric.shared.families import SharedFamilies
    from tallymark.metric.snapshot import FamilySnapshot
    from tallymark.processes.proc import Pid, Proc, Stat

    ReadOne: TypeAlias = Callable[[Proc, Pid, Stat], float]

__all__ = ["LivingMetric", "LivingProcesses"]

_NOT_TOLD = (FileNotFoundError, ProcessLookupError, PermissionError)
"""What reading of a process raises that has ended, or is another user's."""


class LivingMetric(Protocol):
    """A metric of live processes: how it is read of one, and how the values of all are combined."""

    @property
    def kind(self) -> Kind: ...
    @property
    def name(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def read_living(self) -> ReadOne: ...
    @property
    def combine(self) -> Callable[[list[float]], float]: ...


class LivingProcesses:
    """A collector that reads each process once, and then makes all metrics from that."""

    name = "process"

    def __init__(self, families: SharedFamilies, rejections: Rejections, metrics: Iterable[LivingMetric], proc: Proc) -> None:
        self._shared = families.memory.shared
        self._rejections = rejections
        self._metrics = list(metrics)
        self._cpu_total = CpuTotal(families)
        self._proc = proc

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LivingProcesses)

    def __hash__(self) -> int:
        return hash(LivingProcesses)

    def collect(self) -> Iterator[FamilySnapshot]:
        """Yield the metrics as they are now. One that cannot be read is left out, and counted."""
        namespace = self._proc.namespace()
        places = _places(self._shared.processes(), namespace)
        myself = Process(os.getpid(), self._proc.stat().start_ticks, namespace)
        ours = {one: place for one, place in places.items() if one.namespace == namespace}
        ours.setdefault(myself, CROWD)
        bases = self._cpu_total.bases(ours)
        stats = {one: stat for one in ours if (stat := self._stat(one, "self" if one == myself else one.pid)) is not None}
        total = self._cpu_total.tell({one: stat.cpu_seconds for one, stat in stats.items()}, bases, myself)
        self._forget_ended(bases.keys() - places.keys(), namespace)
        living = [("self" if one == myself else one.pid, stat) for one, stat in stats.items()]
        for metric in self._metrics:
            value = total if metric.kind == "counter" else self._combined(metric, living)
            if value is not None:
                yield family(metric.kind, metric.name, [({}, value)], description=metric.description, unit=metric.unit)

    def _stat(self, process: Process, pid: Pid) -> Stat | None:
        """Return what is known of a process; None if it ended, whoever has its pid now."""
        try:
            stat = self._proc.stat(pid)
        except _NOT_TOLD:
            return None
        return stat if stat.start_ticks == process.started else None

    def _combined(self, metric: LivingMetric, living: list[tuple[Pid, Stat]]) -> float | None:
        """Return what the values of processes make up; None where none can be told."""
        try:
            values = [value for pid, stat in living if (value := self._value(metric, pid, stat)) is not None]
        except Exception as error:  # no descriptors left, or a text of another form
            failure = failure_text(error)
            self._rejections.reject(metric.name, "collector", lambda: f"it cannot be read: {failure}")
            return None
        return metric.combine(values) if values else None

    def _value(self, metric: LivingMetric, pid: Pid, stat: Stat) -> float | None:
        try:
            return metric.read_living(self._proc, pid, stat)
        except _NOT_TOLD:
            return None

    def _forget_ended(self, absent: set[Process], namespace: int) -> None:
        """Forget those of which `/proc` has nothing: another may open the registry again, and is then known."""
        ended = {one for one in absent if one.namespace != namespace or self._stat(one, one.pid) is None}
        if ended:
            self._cpu_total.forget(ended)


def _places(listed: list[tuple[int, int, int, float, int]], ours: int) -> dict[Process, int]:
    """Return the place of each process: the first, if it has opened the file more than once."""
    places: dict[Process, int] = {}
    for place, pid, started, _, namespace in listed:
        # Where a namespace is not known, the start tells that the pid is not of ours.
        places.setdefault(Process(pid, started, namespace or ours), place)
    return places
