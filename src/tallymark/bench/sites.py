"""Which lines of a function keep what they allocate."""

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

from tallymark.bench.stacks import Site

__all__ = ["Kept", "retained_sites", "undisturbed"]

#: What looks at memory also uses some: this package, tracemalloc, and the Counter that types are counted with.
_OURS = (os.path.dirname(__file__) + os.sep, tracemalloc.__file__, collections.__file__)


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


class Kept:
    """Looks at what some ops keep: the types of objects, and the lines that allocated. It is slow, so it runs apart.

    Attributes:
        blocks: that an op keeps, whichever thread asked for them, or freed what was asked for.
        sites: lines with blocks and bytes per op, as tracemalloc sees them.
        types: names of the types of what is kept, the most frequent first; without those that the collector does not know of,
            such as numbers and texts.
    """

    def __init__(self, times: int = 100) -> None:
        self._times = times
        self.blocks = 0.0
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
        changed = self._changed(before, after)
        self.blocks = sum(count for _, count, _ in changed)
        self.sites = sorted((one for one in changed if one[1] > 0), key=lambda one: (-one[1], -one[2], one[0]))

    def _changed(self, before: tracemalloc.Snapshot, after: tracemalloc.Snapshot) -> list[tuple[Site, float, float]]:
        return [
            (
                (each.traceback[0].filename, each.traceback[0].lineno),
                each.count_diff / self._times,
                each.size_diff / self._times,
            )
            for each in after.compare_to(before, "lineno")
            if not each.traceback[0].filename.startswith(_OURS)
        ]

    def confirm(self, retained: float) -> float:
        """Return what an op keeps, if one thread kept so many blocks: none, if other threads freed them."""
        return retained if self.blocks > retained / 2 else 0.0

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
