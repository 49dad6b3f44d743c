"""Metrics of a process and its interpreter, under the names that Prometheus users know."""

from __future__ import annotations

import gc
import math
import os
import platform
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tallymark.engine.options import TagLimits
from tallymark.metric import context
from tallymark.metric.collector import family
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Literal

    from tallymark.metric.callback import Callback
    from tallymark.metric.instruments import Aggregate
    from tallymark.metric.snapshot import FamilySnapshot

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

    Where processes share the registry, each reports itself when it is the one that is read. Then counters, memory, descriptors
    and threads are the sums of the last reports (of processes that ended, counters alone stay), and the start time is that of
    the process that began last.

    A metric that this platform does not offer is not registered: without `/proc`, those are memory, start time, open
    descriptors and threads. A value that cannot be read later is omitted from that snapshot, and counted in
    `tallymark_rejected`. A forked child that reads the registry reports itself.

    Raises:
        TypeError: `registry` is not a `Registry`.
        MetricConflictError: one of the names belongs to another kind or unit.
    """
    target = context.registry() if registry is None else registry
    check_type("registry", target, Registry)
    known = [metric for metric in _metrics() if metric.is_known()]
    if target._families.is_shared:
        for metric in known:
            metric.share(target)
        return
    for metric in known:
        target._check_not_taken(metric.name)
    for metric in known:
        target.register(metric)


class ProcessMetric(NamedTuple):
    """One metric of a process, and the function that reads it. As a collector it reports the process that it is read in."""

    kind: Literal["counter", "gauge", "info"]
    name: str
    unit: str
    aggregate: Aggregate | None
    description: str
    read: Callback

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
        """Have the processes that share a registry report it together."""
        if self.kind == "counter":
            registry.counter(self.name, unit=self.unit, description=self.description, limits=_LIMITS, callback=self.read)
        else:
            registry.gauge(
                self.name, unit=self.unit, description=self.description, limits=_LIMITS, callback=self.read,
                aggregate=self.aggregate,
            )  # fmt: skip

    def is_known(self) -> bool:
        """Return True if this platform offers it."""
        try:
            self.read()
        except Exception:  # no /proc, no such function, or a text of another form: platforms fail in different ways
            return False
        return True


def _metrics() -> Iterator[ProcessMetric]:
    cpu = "CPU time that the process has used, user and system."
    yield ProcessMetric("counter", "process_cpu_seconds_total", "seconds", None, cpu, time.process_time)
    memory = "Memory of the process that is in RAM."
    yield ProcessMetric("gauge", "process_resident_memory_bytes", "bytes", "sum", memory, _resident_bytes)
    space = "Address space that the process has mapped."
    yield ProcessMetric("gauge", "process_virtual_memory_bytes", "bytes", "sum", space, _virtual_bytes)
    # The kernel derives its boot time from two clocks, so that it may differ by a second from one reading to the next. Read
    # once, it gives a start time that never changes.
    began, start_time = "When the process began, in seconds since the epoch.", partial(_start_time, _boot_time())
    yield ProcessMetric("gauge", "process_start_time_seconds", "seconds", "max", began, start_time)
    yield ProcessMetric("gauge", "process_open_fds", "", "sum", "File descriptors that the process has open.", _open_fds)
    yield ProcessMetric("gauge", "process_max_fds", "", "sum", "File descriptors that the process may have open.", _max_fds)
    yield ProcessMetric("gauge", "process_threads", "", "sum", "Threads of the process.", _threads)
    for name, statistic, description in (
        ("python_gc_objects_collected_total", "collected", "Objects that the garbage collector freed."),
        ("python_gc_objects_uncollectable_total", "uncollectable", "Garbage that it found but could not free."),
        ("python_gc_collections_total", "collections", "Runs of the garbage collector."),
    ):
        yield ProcessMetric("counter", name, "", None, description, partial(_gc_statistic, statistic))
    python = "The Python that runs the process, in its tags; always 1."
    yield ProcessMetric("info", "python_info", "", None, python, _python_info)


# /proc


class Stat(NamedTuple):
    """The fields of `/proc/self/stat` that are used. Ticks are counted from the machine's boot, `SC_CLK_TCK` per second."""

    threads: int
    start_ticks: int
    virtual_bytes: int
    resident_pages: int


def parse_stat(text: bytes) -> Stat:
    """Parse a `/proc/[pid]/stat`. The program's name comes second, in parentheses, and may itself hold any byte but NUL."""
    fields = text[text.rindex(b")") + 1 :].split()  # from the third field on
    return Stat(int(fields[17]), int(fields[19]), int(fields[20]), int(fields[21]))


def parse_boot_time(text: bytes) -> float:
    """Parse the machine's boot time, in seconds since the epoch, from a `/proc/stat`; NaN if it has none."""
    lines = (line.split() for line in text.splitlines())
    return next((float(line[1]) for line in lines if line[:1] == [b"btime"]), math.nan)


def _stat() -> Stat:
    # "self" is looked up by the kernel at each reading, so that a forked child reads of itself.
    with open("/proc/self/stat", "rb") as file:
        return parse_stat(file.read())


def _boot_time() -> float:
    try:
        with open("/proc/stat", "rb") as file:
            return parse_boot_time(file.read())
    except (OSError, ValueError, IndexError):
        return math.nan


def _resident_bytes() -> float:
    return _stat().resident_pages * os.sysconf("SC_PAGE_SIZE")


def _virtual_bytes() -> float:
    return _stat().virtual_bytes


def _start_time(boot_time: float) -> float:
    if math.isnan(boot_time):
        raise OSError("the boot time is not known")
    return boot_time + _stat().start_ticks / os.sysconf("SC_CLK_TCK")


def _threads() -> float:
    return _stat().threads


def _open_fds() -> float:
    return len(os.listdir("/proc/self/fd")) - 1  # less the one that the listing itself has open


def _max_fds() -> float:
    import resource  # not on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if soft == resource.RLIM_INFINITY else soft


# The interpreter


def _gc_statistic(name: str) -> list[tuple[dict[str, object], float]]:
    return [({"generation": generation}, stats[name]) for generation, stats in enumerate(gc.get_stats())]


def _python_info() -> list[tuple[dict[str, object], float]]:
    major, minor, patchlevel = platform.python_version_tuple()
    version, implementation = platform.python_version(), platform.python_implementation()
    tags = {"implementation": implementation, "major": major, "minor": minor, "patchlevel": patchlevel, "version": version}
    return [(dict[str, object](tags), 1)]
