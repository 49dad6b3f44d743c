"""What the `allocs` fixture does: measure a function in steady state, hold it to a limit, and say where it allocates."""

from __future__ import annotations

import functools
import gc
import inspect
import itertools
import linecache
import os
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from tallymark.bench.allocations import (
    CAN_TRACE_OBJECTS,
    allocations_per_op,
    available,
    count_loop,
    counting,
    counts_between,
    mark,
    objects_created,
)

__all__ = ["Allocs", "PerRun", "available", "called_with"]

Loop = Callable[[Iterable[None]], None]
Site = tuple[str, int]
Row = tuple[str, float, float | None]

#: Seconds that the shorter of the two readings takes at most, so that a slow function is not called a thousand times.
READING = 0.02
MOST, FEWEST = 1000, 3
SITES = 5  # lines named for each kind of cost
#: Slots of marks: from the end of one trace event to the beginning of the next.
LEFT, ENTERED = 62, 63


@dataclass(frozen=True)
class PerRun:
    """What one call of a function costs in steady state. Fractions are what happens once in a while: 0.14 is one call in seven.

    Attributes:
        allocs: requests at CPython's allocators, by the calling thread.
        bytes: bytes asked for by these and by reallocations.
        objects: objects created, by the name of their type; None before Python 3.13, which cannot tell.
        retained: blocks that were requested and are not given back, with garbage collected.
    """

    allocs: float
    bytes: float
    objects: dict[str, float] | None
    retained: float


class Allocs:
    """Measures what functions allocate. A function is called many times: some hundred, or thousands if it is fast."""

    def per_run(self, fn: Callable[[], object]) -> PerRun:
        """Return what one call of fn costs once it is warm.

        Raises TypeError for a coroutine function: what is async is not supported.
        """
        _reject_async(fn)
        loop = _looped(fn)
        with _undisturbed():
            n = _warm(loop)
            allocs, size = allocations_per_op(loop, n)
            objects = objects_created(loop, n) if CAN_TRACE_OBJECTS else None
            return PerRun(allocs, size, objects, _retained(loop, n))

    def check(
        self,
        fn: Callable[[], object],
        *,
        allocs: float | None = 0,
        bytes: float | None = None,
        objects: float | Mapping[str, float] | None = None,
        retained: float | None = 0,
    ) -> PerRun:
        """Fail the test if one call of fn costs more than the limits; return what it costs. A limit of None is not checked.

        Args:
            fn: a function without arguments, to be called many times.
            allocs: requests at CPython's allocators.
            bytes: bytes asked for by these and by reallocations.
            objects: objects created, in all or by the name of their type; types that are not named may be created then. Before
                Python 3.13 this cannot be counted: the test is skipped, once the other limits hold.
            retained: blocks requested and not given back.

        Raises AssertionError with what was measured, and the lines it comes from as far as they can be told.
        """
        __tracebackhide__ = True
        cost = self.per_run(fn)
        rows = [("allocs", cost.allocs, allocs), ("bytes", cost.bytes, bytes), ("retained", cost.retained, retained)]
        rows += _object_rows(cost.objects, objects)
        if any(limit is not None and measured > limit for _, measured, limit in rows):
            raise AssertionError(_message(fn, cost, rows))
        if objects is not None and cost.objects is None:
            import pytest

            pytest.skip("the limits of allocations hold; objects cannot be counted before Python 3.13")
        return cost


def called_with(function: Callable[..., object], values: Mapping[str, object]) -> Callable[[], object]:
    """Return a function that calls another with the values its parameters name. By position, as that allocates nothing."""
    given = [parameter for name, parameter in inspect.signature(function).parameters.items() if name in values]
    if any(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in given):
        raise TypeError("what is measured cannot have keyword-only arguments: passing these allocates in itself")
    return functools.partial(function, *[values[parameter.name] for parameter in given])


def _reject_async(fn: Callable[..., object]) -> None:
    if inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn):
        raise TypeError(
            "async functions are not supported: calling one only makes a coroutine, and what it awaits cannot be told from the"
            " event loop's own allocations. Measure the plain functions that it calls"
        )


def _looped(fn: Callable[[], object]) -> Loop:
    def loop(iterations: Iterable[None]) -> None:
        for _ in iterations:
            fn()

    return loop


@contextmanager
def _undisturbed() -> Iterator[None]:
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


def _warm(loop: Loop) -> int:
    """Run until two readings in a row are the same, ten times at most; return how many calls a reading shall have."""
    loop(itertools.repeat(None, 1))
    start = time.perf_counter()
    loop(itertools.repeat(None, FEWEST))
    each = (time.perf_counter() - start) / FEWEST
    n = max(FEWEST, min(MOST, int(READING / max(each, 1e-9))))
    last: tuple[int, ...] = ()
    for _ in range(10):
        present = count_loop(loop, n)[:2]
        if present == last:
            break
        last = present
    return n


def _retained(loop: Loop, n: int) -> float:
    """Return the blocks that a call keeps: the least of three readings, as what comes and goes is kept in one by chance."""
    least = float("inf")
    for _ in range(3):
        least = min(least, (_kept(loop, 3 * n) - _kept(loop, n)) / (2 * n))
        if least <= 0:
            return 0.0
    return least


def _kept(loop: Loop, n: int) -> int:
    """Return the blocks that n calls keep. Collecting before and after empties the free lists, which would hide some."""

    iterations = itertools.repeat(None, n)
    with counting():
        gc.collect()
        mark(LEFT)
        loop(iterations)
        gc.collect()
        mark(ENTERED)
    counts = counts_between(LEFT, ENTERED)
    return counts.allocs - counts.frees


def _object_rows(created: Mapping[str, float] | None, limits: float | Mapping[str, float] | None) -> list[Row]:
    if created is None:
        return []
    if isinstance(limits, Mapping):
        return [(f"objects of {kind}", created.get(kind, 0), limit) for kind, limit in limits.items()]
    return [("objects", sum(created.values()), limits)]


def _message(fn: Callable[[], object], cost: PerRun, rows: list[Row]) -> str:
    lines = [f"{_name(fn)} costs more than allowed, per call in steady state:", ""]
    width = max(len(name) for name, _, _ in rows)
    lines.append(f"  {'':{width}}  {'measured':>10}  {'allowed':>10}")
    for name, measured, limit in rows:
        over = "  <- too much" if limit is not None and measured > limit else ""
        lines.append(f"  {name:{width}}  {measured:10.10g}  {'any' if limit is None else f'{limit:g}':>10}{over}")
    if cost.objects:
        kinds = sorted(cost.objects.items(), key=lambda item: (-item[1], item[0]))
        lines += ["", "  objects created: " + ", ".join(f"{kind} {count:g}" for kind, count in kinds)]
    if cost.allocs > 0:
        lines += ["", "  allocated at, as far as tracing can tell:", *_rendered(_churn_sites(fn), "allocations")]
    if cost.retained > 0:
        lines += ["", "  retained, allocated at:", *_rendered(_retained_sites(fn), "blocks")]
    return "\n".join(lines)


def _name(fn: Callable[[], object]) -> str:
    target = fn.func if isinstance(fn, functools.partial) else fn
    return getattr(target, "__qualname__", None) or repr(target)


def _rendered(sites: list[tuple[Site, float, float]], unit: str) -> list[str]:
    if not sites:
        return ["    (no line found: in a function written in C, or only once in a while)"]
    return [
        f"    {_relative(file)}:{line}: {count:.3g} {unit}, {size:.4g} B: {linecache.getline(file, line).strip()}"
        for (file, line), count, size in sites[:SITES]
    ]


def _relative(file: str) -> str:
    here = os.path.relpath(file)
    return file if here.startswith("..") else here


class _Lines:
    """A trace function that charges what is allocated between two of its events to the line that ran.

    What it allocates by itself is not charged, nor is the frame object that a call would do without were it not traced.
    """

    def __init__(self) -> None:
        self.costs: dict[Site, list[int]] = {}
        self._stack: list[Site | None] = [None]

    def __call__(self, frame: FrameType, event: str, argument: object) -> _Lines:
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


def _churn_sites(fn: Callable[[], object]) -> list[tuple[Site, float, float]]:
    """Return the lines that allocate, those that allocate most first: for each, the least of some runs.

    What the first runs note, and keep, comes from the free lists that the function would have been served from.
    """
    lines, least = _Lines(), dict[Site, tuple[int, ...]]()
    with _undisturbed(), counting():
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


def _retained_sites(fn: Callable[[], object], times: int = 100) -> list[tuple[Site, float, float]]:
    """Return the lines whose allocations are kept, per call, as tracemalloc sees them: a pass of its own, as it is slow."""
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
