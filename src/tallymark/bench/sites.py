"""Which lines of a function allocate, and which keep what they allocate."""

from __future__ import annotations

import collections
import gc
import itertools
import linecache
import os
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from tallymark.bench.allocations import counting, counts_between, mark

__all__ = ["ENTERED", "LEFT", "Kept", "Site", "churn_sites", "retained_sites", "undisturbed"]

Site = tuple[str, int]

#: What looks at memory also uses some: this package, tracemalloc, and the Counter that types are counted with.
_OURS = (os.path.dirname(__file__) + os.sep, tracemalloc.__file__, collections.__file__)

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
            cost = self.costs.setdefault(site, [0, 0])
            cost[0] += max(0, spent.allocs - (made is not None))
            cost[1] += max(0, spent.bytes - (0 if made is None else sys.getsizeof(made)))


def churn_sites(fn: Callable[[], object]) -> list[tuple[Site, float, float]]:
    """Return the lines that allocate, the largest first; for each, the least of seven runs.

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
                cost[:] = 0, 0
    found = [(site, float(count), float(size)) for site, (count, size) in least.items() if count]
    return sorted(found, key=lambda item: (-item[1], -item[2], item[0]))


class Kept:
    """Looks at what some ops keep: the types of objects, and the lines that allocated. It is slow, so it runs apart.

    Attributes:
        sites: lines with blocks and bytes per op, as tracemalloc sees them.
        types: names of the types of what is kept, the most frequent first; without those that the collector does not know of,
            such as numbers and texts.
    """

    def __init__(self, times: int = 100) -> None:
        self._times = times
        self.sites: list[tuple[Site, float, float]] = []
        self.types: list[str] = []

    def batches(self) -> Iterator[Iterable[None]]:
        started = not tracemalloc.is_tracing()
        if started:
            tracemalloc.start()
        try:
            yield itertools.repeat(None, 1)
            gc.collect()
            before = tracemalloc.take_snapshot()
            kinds = _kinds()
            yield itertools.repeat(None, self._times)
            gc.collect()
            grown = _kinds() - kinds  # a snapshot is made of objects, too
            after = tracemalloc.take_snapshot()
        finally:
            if started:
                tracemalloc.stop()
        often = [(-count, kind) for kind, count in grown.items() if count >= self._times / 2]
        self.types = [kind for _, kind in sorted(often)]
        self.sites = self._grown(before, after)

    def _grown(self, before: tracemalloc.Snapshot, after: tracemalloc.Snapshot) -> list[tuple[Site, float, float]]:
        grown = [
            (
                (each.traceback[0].filename, each.traceback[0].lineno),
                each.count_diff / self._times,
                each.size_diff / self._times,
            )
            for each in after.compare_to(before, "lineno")
            if each.count_diff > 0 and not each.traceback[0].filename.startswith(_OURS)
        ]
        return sorted(grown, key=lambda item: (-item[1], -item[2], item[0]))

    def told(self) -> str:
        """Return what is kept and where it was made: "dict and list, made at bench_x.py:12 `seen.append({})`"."""
        kinds = " and ".join(self.types[:3])
        found = [(file, line, count) for (file, line), count, _ in self.sites if linecache.getline(file, line)]
        if not found or found[0][2] < 0.5:  # in C code, or too seldom to be sure
            return kinds
        file, line, _ = found[0]
        where = f"made at {os.path.basename(file)}:{line} `{linecache.getline(file, line).strip()}`"
        return f"{kinds}, {where}" if kinds else where


def _kinds() -> Counter[str]:
    return Counter(type(one).__qualname__ for one in gc.get_objects())


def retained_sites(fn: Callable[[], object], times: int = 100) -> list[tuple[Site, float, float]]:
    """Return the lines whose allocations are not freed, per call; see `Kept`."""
    kept = Kept(times)
    for iterations in kept.batches():
        for _ in iterations:
            fn()
    return kept.sites
