"""The `allocs` fixture: measures a function in steady state, checks its limits, and names the lines that allocate."""

from __future__ import annotations

import functools
import inspect
import itertools
import linecache
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tallymark.bench.allocations import (
    CAN_TRACE_OBJECTS,
    allocations_per_op,
    available,
    count_loop,
    counting,
    objects_created,
)
from tallymark.bench.retention import Retention
from tallymark.bench.sites import Kept, retained_sites, undisturbed
from tallymark.bench.stacks import Site, allocated_sites, why_no_stacks

__all__ = ["Allocs", "PerRun", "available", "called_with"]

Loop = Callable[[Iterable[None]], None]
Row = tuple[str, float, float | None]

#: The shorter of the two readings takes at most so many seconds: a slow function is not called a thousand times.
READING = 0.02
MOST, FEWEST = 1000, 3
SITES = 5  # lines named for each kind of cost
BEFORE, AFTER = 62, 63  # slots for marks


@dataclass(frozen=True)
class PerRun:
    """What one call of a function costs in steady state. A fraction is a cost of some calls only: 0.14 is one call in seven.

    Attributes:
        allocs: requests at CPython's allocators, by the calling thread.
        bytes: bytes asked for by these and by reallocations.
        objects: objects created, by the name of their type; None before Python 3.13, which cannot count them.
        retained: blocks requested and not freed, after a garbage collection.
        reallocs: reallocations, as a list or a `bytearray` makes when it grows.
    """

    allocs: float
    bytes: float
    objects: dict[str, float] | None
    retained: float
    reallocs: float = 0.0


class Allocs:
    """Measures what functions allocate. A function is called many times: about a hundred, or thousands if it is fast."""

    def per_run(self, fn: Callable[[], object]) -> PerRun:
        """Return what one call of fn costs once it is warm.

        Raises TypeError for a coroutine function: async code is not supported.
        """
        _reject_async(fn)
        loop = _looped(fn)
        with undisturbed():
            n = _warm(loop)
            counted = allocations_per_op(loop, n)
            objects = objects_created(loop, n) if CAN_TRACE_OBJECTS else None
            return PerRun(*counted, objects, _retained(loop, n), counted.reallocs)

    def check(
        self,
        fn: Callable[[], object],
        *,
        allocs: float | None = 0,
        bytes: float | None = None,
        objects: float | Mapping[str, float] | None = None,
        retained: float | None = 0,
        reallocs: float | None = None,
    ) -> PerRun:
        """Fail the test if one call of fn costs more than the limits; return what it costs. A limit of None is not checked.

        Args:
            fn: a function without arguments, to be called many times.
            allocs: requests at CPython's allocators.
            bytes: bytes asked for by these and by reallocations.
            objects: objects created: a limit for all, or limits by type name, and then other types have none. Before Python
                3.13 objects cannot be counted: the test is skipped if the other limits hold.
            retained: blocks requested and not freed.
            reallocs: reallocations of blocks.

        Raises AssertionError with what was measured, and the lines that allocate.
        """
        __tracebackhide__ = True
        cost = self.per_run(fn)
        rows = [("allocs", cost.allocs, allocs), ("reallocs", cost.reallocs, reallocs), ("bytes", cost.bytes, bytes)]
        rows += [("retained", cost.retained, retained), *_object_rows(cost.objects, objects)]
        if any(limit is not None and measured > limit for _, measured, limit in rows):
            raise AssertionError(_message(fn, cost, rows))
        if objects is not None and cost.objects is None:
            import pytest

            pytest.skip("the limits of allocations hold; objects cannot be counted before Python 3.13")
        return cost


def called_with(function: Callable[..., object], values: Mapping[str, object]) -> Callable[[], object]:
    """Return a function that calls another with the values for its parameters: by position, as that allocates nothing."""
    given = [parameter for name, parameter in inspect.signature(function).parameters.items() if name in values]
    if any(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in given):
        raise TypeError(f"{_name(function)} has keyword-only arguments, and passing them allocates: make them positional")
    return functools.partial(function, *[values[parameter.name] for parameter in given])


def _reject_async(fn: Callable[..., object]) -> None:
    if inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn):
        raise TypeError(
            f"{_name(fn)}: async functions are not supported, as a call only makes a coroutine, and its allocations cannot be"
            " told apart from the event loop's. Measure the plain functions that it calls"
        )


def _looped(fn: Callable[[], object]) -> Loop:
    def loop(iterations: Iterable[None]) -> None:
        for _ in iterations:
            fn()

    return loop


def _warm(loop: Loop) -> int:
    """Run until two readings in a row are equal, at most ten times; return the number of calls for a reading."""
    loop(itertools.repeat(None, 1))
    start = time.perf_counter()
    loop(itertools.repeat(None, FEWEST))
    each = (time.perf_counter() - start) / FEWEST
    n = max(FEWEST, min(MOST, int(READING / max(each, 1e-9))))
    last: tuple[int, ...] = ()
    for _ in range(10):
        present = count_loop(loop, n)[:3]
        if present == last:
            break
        last = present
    return n


def _retained(loop: Loop, n: int) -> float:
    """Return the blocks that a call keeps; see `Retention`."""
    reading = Retention(n, 10 * READING)
    with counting():
        for iterations in reading.batches():
            loop(iterations)
    return _confirmed(loop, reading.per_op) if reading.per_op > 0 else 0.0


def _confirmed(loop: Loop, retained: float) -> float:
    kept = Kept()
    for iterations in kept.batches():
        loop(iterations)
    return kept.confirm(retained)


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
        lines += ["", "  allocated at:", *_allocated(fn)]
    if any(name == "reallocs" and limit is not None and measured > limit for name, measured, limit in rows):
        lines += ["", "  reallocated at:", *_allocated(fn, reallocs=True)]
    if cost.retained > 0:
        lines += ["", "  retained, allocated at:", *_rendered(retained_sites(fn), "blocks")]
    return "\n".join(lines)


def _allocated(fn: Callable[[], object], reallocs: bool = False) -> list[str]:
    if reason := why_no_stacks():
        return [f"    (not known: {reason})"]
    loop = _looped(fn)
    with undisturbed():
        sites = allocated_sites(loop, _warm(loop), reallocs)
    unit = "reallocations" if reallocs else "allocations"
    return _rendered([one for one in sites if one[0][0] != loop.__code__.co_filename], unit)


def _name(fn: Callable[..., object]) -> str:
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
