"""Which lines of a function keep what they allocate."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tallymark.bench.stacks import Site

__all__ = ["retained_sites", "undisturbed"]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Suspend the collector, and coverage and debuggers: what they allocate for each line is not the function's."""
    enabled, tracing, profiling = gc.isenabled(), sys.gettrace(), sys.getprofile()
    gc.disable()
    sys.settrace(None)
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.setprofile(profiling)
        sys.settrace(tracing)
        if enabled:
            gc.enable()


def retained_sites(fn: Callable[[], object], times: int = 100) -> list[tuple[Site, float, float]]:
    """Return the lines whose allocations are not freed, per call, as tracemalloc sees them. It is slow, so it runs apart."""
    started = not tracemalloc.is_tracing()
    if started:
        tracemalloc.start()
    try:
        fn()
        before = tracemalloc.take_snapshot()
        for _ in range(times):
            fn()
        gc.collect()
        after = tracemalloc.take_snapshot()
    finally:
        if started:
            tracemalloc.stop()
    ignored = {__file__, tracemalloc.__file__}
    grown = [
        ((each.traceback[0].filename, each.traceback[0].lineno), each.count_diff / times, each.size_diff / times)
        for each in after.compare_to(before, "lineno")
        if each.count_diff > 0 and each.traceback[0].filename not in ignored
    ]
    return sorted(grown, key=lambda item: (-item[1], -item[2], item[0]))
