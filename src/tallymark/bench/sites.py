"""Which lines of a function allocate, and which keep what they allocate."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from tallymark.bench.allocations import counting, counts_between, mark

__all__ = ["ENTERED", "LEFT", "Site", "churn_sites", "retained_sites", "undisturbed"]

Site = tuple[str, int]

#: Slots for marks: the end of one trace event, and the beginning of the next.
LEFT, ENTERED = 62, 63


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


class Lines:
    """A trace function that charges what is allocated between two of its events to the line that ran.

    It does not charge its own allocations, nor the frame object, which a call without tracing does not make.
    """

    def __init__(self) -> None:
        self.costs: dict[Site, list[int]] = {}
        self._stack: list[Site | None] = [None]

    def __call__(self, frame: FrameType, event: str, argument: object) -> Lines:
        mark(ENTERED)
        self._charge(frame if event == "call" else None)
        if event == "call":
            self._stack.append((frame.f_code.co_filename, frame.f_lineno))
        elif event == "line":
            self._stack[-1] = (frame.f_code.co_filename, frame.f_lineno)
        elif event == "return" and len(self._stack) > 1:
            self._stack.pop()
        mark(LEFT)
        return self

    def _charge(self, made: FrameType | None) -> None:
        site = self._stack[-1]
        if site is not None:
            spent = counts_between(LEFT, ENTERED)
            cost = self.costs.setdefault(site, [0, 0, 0])
            cost[0] += max(0, spent.allocs - (made is not None))
            cost[1] += max(0, spent.bytes - (0 if made is None else sys.getsizeof(made)))
            cost[2] += spent.reallocs


def churn_sites(fn: Callable[[], object], reallocs: bool = False) -> list[tuple[Site, float, float]]:
    """Return the lines that allocate (or reallocate) and how much, the largest first; for each, the least of seven runs.

    The first runs read too much: the trace keeps records, and takes them from free lists that would serve the function.
    """
    lines, least = Lines(), dict[Site, tuple[int, ...]]()
    with undisturbed(), counting():
        for _ in range(7):
            sys.settrace(lines)
            try:
                fn()
            finally:
                sys.settrace(None)
            for site, cost in lines.costs.items():
                least[site] = min(least.get(site, tuple(cost)), tuple(cost))
                cost[:] = 0, 0, 0
    which = 2 if reallocs else 0
    found = [(site, float(cost[which]), float(cost[1])) for site, cost in least.items() if cost[which]]
    return sorted(found, key=lambda item: (-item[1], -item[2], item[0]))


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
