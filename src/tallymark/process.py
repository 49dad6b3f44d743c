"""What a process and its interpreter say of themselves, under the names that Prometheus users know."""

from __future__ import annotations

import gc
import math
import os
import platform
import time
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from tallymark.engine.options import TagLimits
from tallymark.metric import context
from tallymark.metric.callback import Callback
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type

__all__ = ["process_metrics"]

# A service's own limits are for its own tags: `python_info` needs five, and "version" is nobody's cardinality.
_LIMITS = TagLimits(max_tags=100)


def process_metrics(registry: Registry | None = None) -> None:
    """Have `registry` (by default the current one) tell of this process whenever it is read. May be called again.

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

    Where processes share the registry, each tells of itself when it is the one that is read. Then counters, memory, descriptors
    and threads are the sums of what was told last (of processes that ended, counters alone stay), and the start time is that of
    the process that began last.

    A metric that this platform cannot tell is not registered: without `/proc`, those are memory, start time, open descriptors
    and threads. A value that cannot be read later is left out of that snapshot, and counted in `tallymark_rejected`. A forked
    child that reads the registry is told of itself.

    Raises:
        TypeError: `registry` is not a `Registry`.
        MetricConflictError: one of the names belongs to another kind or unit.
    """
    target = context.registry() if registry is None else registry
    check_type("registry", target, Registry)
    for name, unit, aggregate, description, read in _metrics():
        if not _tells(read):
            continue
        if name.endswith("_total"):
            target.counter(name, unit=unit, description=description, limits=_LIMITS, callback=read)
        else:
            target.gauge(name, unit=unit, description=description, limits=_LIMITS, callback=read, aggregate=aggregate)


def _metrics() -> Iterator[tuple[str, str, str, str, Callback]]:
    """Yield name, unit, how processes combine, description, and what tells the value."""
    cpu = "CPU time that the process has used, user and system."
    yield "process_cpu_seconds_total", "seconds", "", cpu, time.process_time
    yield "process_resident_memory_bytes", "bytes", "sum", "Memory of the process that is in RAM.", _resident_bytes
    yield "process_virtual_memory_bytes", "bytes", "sum", "Address space that the process has mapped.", _virtual_bytes
    # The kernel derives its boot time from two clocks, so that it may differ by a second from one reading to the next. Read
    # once, it gives a start time that stays put.
    start_time = partial(_start_time, _boot_time())
    yield "process_start_time_seconds", "seconds", "max", "When the process began, in seconds since the epoch.", start_time
    yield "process_open_fds", "", "sum", "File descriptors that the process has open.", _open_fds
    yield "process_max_fds", "", "sum", "File descriptors that the process may have open.", _max_fds
    yield "process_threads", "", "sum", "Threads of the process.", _threads
    collected, uncollectable = partial(_gc_statistic, "collected"), partial(_gc_statistic, "uncollectable")
    yield "python_gc_objects_collected_total", "", "", "Objects that the garbage collector freed.", collected
    yield "python_gc_objects_uncollectable_total", "", "", "Garbage that it found but could not free.", uncollectable
    yield "python_gc_collections_total", "", "", "Runs of the garbage collector.", partial(_gc_statistic, "collections")
    yield "python_info", "", "", "The Python that runs the process, in its tags; always 1.", _python_info


def _tells(read: Callback) -> bool:
    try:
        read()
    except Exception:  # no /proc, no such function, or a text of another form: each platform has its own way to not know
        return False
    return True


# /proc


class Stat(NamedTuple):
    """What is of use in `/proc/self/stat`. Ticks are counted from the machine's boot, `SC_CLK_TCK` of them a second."""

    threads: int
    start_ticks: int
    virtual_bytes: int
    resident_pages: int


def parse_stat(text: bytes) -> Stat:
    """Read a `/proc/[pid]/stat`. The program's name comes second, in parentheses, and may itself hold any byte but NUL."""
    fields = text[text.rindex(b")") + 1 :].split()  # from the third field on
    return Stat(int(fields[17]), int(fields[19]), int(fields[20]), int(fields[21]))


def parse_boot_time(text: bytes) -> float:
    """Read the machine's boot time, in seconds since the epoch, from a `/proc/stat`; NaN where it is not told."""
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
    return len(os.listdir("/proc/self/fd")) - 1  # but the one that the listing itself has open


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
