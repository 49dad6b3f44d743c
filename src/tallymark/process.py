"""Metrics of a process and its interpreter, under the names that Prometheus users know."""

from __future__ import annotations

import gc
import math
import os
import platform
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tallymark.engine.options import TagLimits
from tallymark.frozen import Frozen
from tallymark.metric import context
from tallymark.metric.collector import family
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type
from tallymark.processes.proc import Proc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Literal

    from tallymark.metric.callback import Callback
    from tallymark.metric.snapshot import FamilySnapshot
    from tallymark.processes.collector import ReadOne
    from tallymark.processes.proc import Pid, Stat

__all__ = ["process_metrics"]

# A service's own limits are for its own tags: `python_info` needs five, and makes one series.
_LIMITS = TagLimits(max_tags=100)


def process_metrics(registry: Registry | None = None) -> None:
    """Have `registry` (by default the current one) report this process whenever it is read. May be called again.

    | metric | meaning |
    | --- | --- |
    | `process_cpu_seconds_total` | CPU time used, user and system |
    | `process_resident_memory_bytes`, `process_virtual_memory_bytes` | memory in RAM; address space |
    | `process_start_time_seconds` | when the process began, in seconds since the epoch |
    | `process_open_fds`, `process_max_fds` | file descriptors in use; how many may be |
    | `process_threads` | threads, also those that Python did not start |
    | `python_gc_objects_collected_total`, `python_gc_objects_uncollectable_total` | garbage freed, and not, by `generation` |
    | `python_gc_collections_total` | runs of the garbage collector, by `generation` |
    | `python_info` | 1, tagged with `implementation`, `major`, `minor`, `patchlevel`, `version` |

    Where processes share the registry, the process that is read looks up all live ones in `/proc`, also those that are never
    read. It must have called this itself. Memory, open descriptors and threads are sums. CPU time is that of all processes,
    those that ended included, until they were last looked up. The start time is that of the process that began last, and
    `process_max_fds` is the least of the limits. Processes of another PID namespace are left out, and so are those that have no
    place of their own in the registry, but for the one that is read. A process whose descriptors may not be listed here,
    because another user runs it, is left out of `process_open_fds`. `python_gc_…` no other process can tell: each process adds
    what it did when it is read.

    A metric that this platform does not offer is not registered: without `/proc`, those are memory, start time, open
    descriptors and threads. A value that cannot be read later is omitted from that snapshot, and counted in
    `tallymark_rejected`. A forked child that reads a registry of its own reports itself.

    Raises:
        TypeError: `registry` is not a `Registry`.
        MetricConflictError: one of the names belongs to another kind or unit.
    """
    target = context.registry() if registry is None else registry
    check_type("registry", target, Registry)
    known = [metric for metric in _metrics() if metric.is_known()]
    shared = [metric for metric in known if metric.read_living is None and target._families.is_shared]
    for metric in known:
        if metric not in shared:
            target._check_not_taken(metric.name)
    for metric in shared:
        metric.share(target)
    if target._families.is_shared:
        _register_living(target, [metric for metric in known if metric not in shared])
        return
    for metric in known:
        target.register(metric)


class ProcessMetric(NamedTuple):
    """One metric of a process, and the function that reads it. As a collector it reports the process that it is read in.

    Attributes:
        read_living: reads it of any process; None where only the process itself can tell.
        combine: the values of several processes.
    """

    kind: Literal["counter", "gauge", "info"]
    name: str
    unit: str
    description: str
    read: Callback
    read_living: ReadOne | None = None
    combine: Callable[[list[float]], float] = sum

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProcessMetric) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def collect(self) -> list[FamilySnapshot]:
        """Return the metric as it is now."""
        found: Any = self.read()
        series = [({}, found)] if isinstance(found, int | float) else found
        return [family(self.kind, self.name, series, description=self.description, unit=self.unit)]

    def share(self, registry: Registry) -> None:
        """Have the processes that share a registry report it together, each of itself."""
        if self.kind == "counter":
            registry.counter(self.name, unit=self.unit, description=self.description, limits=_LIMITS, callback=self.read)
        else:
            registry.gauge(self.name, unit=self.unit, description=self.description, limits=_LIMITS, callback=self.read)

    def is_known(self) -> bool:
        """Return True if this platform offers it."""
        try:
            self.read()
        except Exception:  # no /proc, no such function, or a text of another form: platforms fail in different ways
            return False
        return True


def _register_living(registry: Any, metrics: list[Any]) -> None:
    """Have a registry that processes share report all of them."""
    from tallymark.processes.collector import LivingProcesses  # most registries are of one process

    if any(metric.name == "process_threads" for metric in metrics):  # else there is no /proc
        registry.register(LivingProcesses(registry._families, registry._rejections, metrics, _PROC))


def _metrics() -> Iterator[ProcessMetric]:
    cpu = "CPU time that the process has used, user and system."
    _, cpu_of = _from_stat(lambda stat: stat.cpu_seconds)
    yield ProcessMetric("counter", "process_cpu_seconds_total", "seconds", cpu, time.process_time, cpu_of)
    memory, resident = "Memory of the process that is in RAM.", _from_stat(lambda stat: stat.resident_bytes)
    yield ProcessMetric("gauge", "process_resident_memory_bytes", "bytes", memory, *resident)
    space, virtual = "Address space that the process has mapped.", _from_stat(lambda stat: stat.virtual_bytes)
    yield ProcessMetric("gauge", "process_virtual_memory_bytes", "bytes", space, *virtual)
    # The kernel derives its boot time from two clocks, so that it may differ by a second from one reading to the next. Read
    # once, it gives a start time that never changes.
    boot_time = _boot_time()
    began, start = "When the process began, in seconds since the epoch.", _from_stat(lambda stat: stat.start_time(boot_time))
    yield ProcessMetric("gauge", "process_start_time_seconds", "seconds", began, *start, max)
    fds, most = "File descriptors that the process has open.", "File descriptors that the process may have open."
    yield ProcessMetric("gauge", "process_open_fds", "", fds, _PROC.open_fds, _open_fds_of)
    yield ProcessMetric("gauge", "process_max_fds", "", most, _max_fds, _max_fds_of, min)
    threads = _from_stat(lambda stat: stat.threads)
    yield ProcessMetric("gauge", "process_threads", "", "Threads of the process.", *threads)
    for name, statistic, description in (
        ("python_gc_objects_collected_total", "collected", "Objects that the garbage collector freed."),
        ("python_gc_objects_uncollectable_total", "uncollectable", "Garbage that it found but could not free."),
        ("python_gc_collections_total", "collections", "Runs of the garbage collector."),
    ):
        yield ProcessMetric("counter", name, "", description, GcStatistic(statistic))
    python = "The Python that runs the process, in its tags; always 1."
    yield ProcessMetric("info", "python_info", "", python, _python_info)


# /proc

_PROC = Proc()


def _boot_time() -> float:
    return _PROC.boot_time()


def _from_stat(read: Callable[[Stat], float]) -> tuple[Callback, ReadOne]:
    """Return how to read a number of this process, and of any, from what `Proc.stat` returns."""
    return lambda: read(_PROC.stat()), lambda proc, pid, stat: read(stat)


def _open_fds_of(proc: Proc, pid: Pid, stat: Stat) -> float:
    return proc.open_fds(pid)


def _max_fds_of(proc: Proc, pid: Pid, stat: Stat) -> float:
    return proc.max_fds(pid)


def _max_fds() -> float:
    import resource  # not on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if soft == resource.RLIM_INFINITY else soft


# The interpreter


class GcStatistic(Frozen):
    """Reads a statistic of the garbage collector. That goes on in a forked child, so what was counted before is left out."""

    __slots__ = ("name",)

    starts_anew = True  # CallbackInstrument

    name: str

    def __call__(self) -> list[tuple[dict[str, object], float]]:
        """Return it, for each generation."""
        numbers = [stats[self.name] for stats in gc.get_stats()]
        before = [stats[self.name] for stats in _gc_before_fork] or [0] * len(numbers)
        return [({"generation": i}, now - was) for i, (now, was) in enumerate(zip(numbers, before, strict=True))]


_gc_before_fork: list[dict[str, Any]] = []


def _start_gc_anew() -> None:
    if hasattr(gc, "get_stats"):  # CPython's
        _gc_before_fork[:] = gc.get_stats()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_gc_anew)


def _python_info() -> list[tuple[dict[str, object], float]]:
    major, minor, patchlevel = platform.python_version_tuple()
    version, implementation = platform.python_version(), platform.python_implementation()
    tags = {"implementation": implementation, "major": major, "minor": minor, "patchlevel": patchlevel, "version": version}
    return [(dict[str, object](tags), 1)]
