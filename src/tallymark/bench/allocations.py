"""What ops ask of CPython's allocators, counted exactly and by thread; on 3.13 and later, the objects they create.

with counting():
    mark(0)
    operation()
    mark(1)
counts_between(0, 1).allocs
"""

from __future__ import annotations

import gc
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

_allocs: Any = None
_missing = ""
if "t" in getattr(sys, "abiflags", ""):  # loading the extension would turn the GIL on, and its counts are not proven there
    _missing = "allocations are not counted on a free-threaded build of CPython: use another build of it"
else:
    try:
        from tallymark.bench import _allocs  # type: ignore[no-redef]
    except ImportError as _error:
        _missing = f"the extension tallymark.bench._allocs was not built: install a C compiler and reinstall ({_error})"

__all__ = [
    "CAN_TRACE_OBJECTS",
    "Allocations",
    "Counts",
    "allocations_per_op",
    "available",
    "count_loop",
    "counting",
    "counts_between",
    "mark",
    "objects_created",
    "others_between",
    "tracing_objects",
]

CAN_TRACE_OBJECTS: bool = _allocs is not None and _allocs.CAN_TRACE_OBJECTS


class _AllocsAndBytes(NamedTuple):
    allocs: float
    bytes: float


class Allocations(_AllocsAndBytes):
    """What one op asks of the allocators. A fraction is a cost of some ops only.

    It is a tuple of two, `allocs, bytes`, that can be unpacked and compared. `reallocs` is an attribute beside them. What
    equals `(0, 0)` has none, as a reallocation asks for bytes too.

    Attributes:
        allocs: allocations, in any of CPython's allocator domains.
        bytes: bytes asked for by these and by reallocations, which ask for the whole of a block's new size.
        reallocs: reallocations: a block that was asked for earlier gets another size, and perhaps another place.
    """

    reallocs: float = 0.0

    def __new__(cls, allocs: float, bytes: float, reallocs: float = 0.0) -> Allocations:
        made = super().__new__(cls, allocs, bytes)
        made.reallocs = reallocs
        return made

    def __repr__(self) -> str:
        return f"{type(self).__name__}(allocs={self.allocs!r}, bytes={self.bytes!r}, reallocs={self.reallocs!r})"


class Counts(NamedTuple):
    """What one thread asked of the allocators. `later - earlier` is what it asked for in between.

    Attributes:
        allocs: allocations: the sum of `raw`, `mem` and `obj`. One that pymalloc passes on to the raw domain counts once, in
            the domain where it entered.
        bytes: bytes asked for by these and by reallocations, which ask for the whole of a block's new size.
        reallocs: reallocations of a block; a reallocation of no block is an allocation.
        frees: blocks freed, whichever thread asked for them.
        raw: allocations in the raw domain.
        mem: allocations in the mem domain.
        obj: allocations in the obj domain.
        arenas: arenas that pymalloc, or the stack of Python's frames, asked the system for.
    """

    allocs: int
    bytes: int
    reallocs: int
    frees: int
    raw: int
    mem: int
    obj: int
    arenas: int

    def __sub__(self, earlier: Counts) -> Counts:
        return Counts(*(after - before for after, before in zip(self, earlier, strict=True)))


def available() -> str:
    """Return why allocations cannot be counted, or an empty string if they can."""
    return _missing


def _unavailable(*slots: int) -> Any:
    raise RuntimeError(_missing)


#: Keep in a slot, from 0 to 63, what this thread has asked for so far; each thread has its own slots, and those from 60 on are
#: used by this package. Allocates nothing. Raises RuntimeError outside of `counting()`, and ValueError for another slot.
mark: Callable[[int], None] = _unavailable if _allocs is None else _allocs.mark
_between: Callable[[int, int], tuple[int, ...]] = _unavailable if _allocs is None else _allocs.between


@contextmanager
def counting() -> Iterator[None]:
    """Count the allocations of every thread within the block. May be nested.

    Raises RuntimeError if allocations cannot be counted. Raises it at the end of the block, too, in two cases:

    - Another hook lies on top of ours: tracemalloc was started within the block, and must be stopped within it. Our hooks have
      to stay; the next such block removes them.
    - Our hooks were removed, so that the counts are too low: tracemalloc was started before the block and stopped within it.
    """
    if _allocs is None:
        raise RuntimeError(_missing)
    _allocs.install()
    try:
        yield
    finally:
        _allocs.uninstall()


def counts_between(first: int, second: int) -> Counts:
    """Return what this thread asked for between two marks. Raises ValueError if it made no mark in a slot."""
    return Counts(*_between(first, second)[:-1])


def others_between(first: int, second: int) -> int:
    """Return the allocations of all other threads between two marks. Raises as `counts_between` does."""
    return _between(first, second)[-1]


@contextmanager
def tracing_objects() -> Iterator[dict[str, int]]:
    """Count the objects that this thread creates within the block, reused memory or not: a dict by the name of their type.

    The dict is filled when the block ends. Types beyond the first 896 are counted as `other`. Raises RuntimeError before Python
    3.13 and within another such block; and at the end, if tracemalloc was started or stopped within the block.
    """
    if not CAN_TRACE_OBJECTS:
        raise RuntimeError(_missing or f"objects are counted on Python 3.13 and later; this is {sys.version.split()[0]}")
    created: dict[str, int] = {}
    _allocs.start_objects()
    try:
        yield created
    finally:
        created.update(_allocs.stop_objects())


def objects_created(loop: Callable[[Iterable[None]], object], n: int = 1000) -> dict[str, float]:
    """Return how many objects one iteration of `loop` creates, by the name of their type: see `allocations_per_op`.

    Types without objects are left out. Raises as `tracing_objects` does.
    """
    loop(itertools.repeat(None, n))
    readings = []
    for times in (n, 3 * n):
        iterations = itertools.repeat(None, times)
        with tracing_objects() as created:
            loop(iterations)
        readings.append(created)
    once, thrice = readings
    rates = {kind: (count - once.get(kind, 0)) / (2 * n) for kind, count in thrice.items()}
    return {kind: rate for kind, rate in sorted(rates.items()) if rate > 0}


def allocations_per_op(loop: Callable[[Iterable[None]], object], n: int = 1000) -> Allocations:
    """Return the allocations of one iteration of `loop`, a function that runs its op once for each item it is given.

    The ops are warmed up first. What the loop itself costs once cancels out: `(A(3n) - A(n)) / 2n`, the median of five.
    """
    loop(itertools.repeat(None, n))
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        loop(itertools.repeat(None, n))  # collecting emptied the free lists
        readings = [(count_loop(loop, n), count_loop(loop, 3 * n)) for _ in range(5)]
    finally:
        if collecting:
            gc.enable()
    allocs, size, reallocs = sorted((thrice - once)[:3] for once, thrice in readings)[2]
    return Allocations(allocs / (2 * n), size / (2 * n), reallocs / (2 * n))


def count_loop(loop: Callable[[Iterable[None]], object], n: int) -> Counts:
    """Return what n iterations of `loop` ask for, after one that is not counted: it refills free lists."""
    iterations = itertools.repeat(None, n)
    with counting():
        loop(itertools.repeat(None, 1))
        mark(60)
        loop(iterations)
        mark(61)
    return counts_between(60, 61)
