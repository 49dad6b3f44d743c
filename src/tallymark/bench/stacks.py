"""Which stacks of Python calls ask the allocators for memory, and create objects: exactly, and without tracing.

The hooks that count a request read the interpreter's own frames, and charge it to a node of a tree: a line of a function, below
the line that called it. Nothing is traced, and nothing is allocated for it, so that the code runs as it does otherwise, and the
nodes add up to what `counting` counts. A request in C code belongs to the Python line that called it.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tallymark.bench.allocations import _allocs, available, counting

__all__ = ["CUT", "NOWHERE", "OTHER", "Recording", "Row", "Site", "allocated_sites", "recording", "why_no_stacks"]

Site = tuple[str, int]

#: The first rows of a tree are not lines: requests without a Python call; those of lines for which there was no room; and the
#: callers of a stack whose outer end was cut, as it has more than 1,024 calls.
NOWHERE, OTHER, CUT = 0, 1, 2

MOST_NODES = 1 << 16


class Row(NamedTuple):
    """A line of a function as called from another, its caller's row, and what it asked for itself in two phases.

    Attributes:
        parent: index of the caller's row; it comes before this one. Those that no Python code called have NOWHERE.
        file: the file of the function's code; for objects, the name of their type.
        function: its qualified name; None for a type, whose parent is the line that creates its objects.
        first: the first line of the function.
        line: the line.
    """

    parent: int
    file: str
    function: str | None
    first: int
    line: int
    allocs: int
    reallocs: int
    bytes: int
    objects: int
    allocs_then: int
    reallocs_then: int
    bytes_then: int
    objects_then: int

    def growth(self) -> tuple[int, int, int, int]:
        """Return by how much more was asked for in phase 1 than in phase 0: allocs, reallocs, bytes and objects."""
        before, then = self[5:9], self[9:13]
        return tuple(b - a for a, b in zip(before, then, strict=True))  # type: ignore[return-value]


class Recording:
    """What a thread asks for, by stacks of calls. `charge(0)`, `charge(1)` and `charge(-1)` switch; they allocate nothing."""

    def __init__(self) -> None:
        self.charge: Callable[[int], None] = _allocs.charge_stacks

    def read(self) -> list[Row]:
        """Return all rows, with the counts since the last reading; none are charged from now on."""
        return [Row(*row) for row in _allocs.read_stacks()]


def why_no_stacks() -> str:
    """Return why stacks cannot be read, or an empty string if they can."""
    if reason := available():
        return reason
    if not _allocs.CAN_READ_STACKS:
        return f"this build cannot read the frames of Python {sys.version.split()[0]}: its headers are missing, or not known"
    return ""


@contextmanager
def recording(most: int = MOST_NODES) -> Iterator[Recording]:
    """Record, within the block, where this thread's requests come from, while one of the phases is charged.

    Requests are recorded inside `counting()`, objects inside `tracing_objects()`. What `most` rows cannot hold goes to OTHER.
    Raises RuntimeError if stacks cannot be read, and within another such block.
    """
    if reason := why_no_stacks():
        raise RuntimeError(reason)
    _allocs.start_stacks(most)
    try:
        yield Recording()
    finally:
        _allocs.stop_stacks()


def allocated_sites(
    loop: Callable[[Iterable[None]], object], n: int, reallocs: bool = False
) -> list[tuple[Site, float, float]]:
    """Return the lines that allocate in one iteration of `loop`, which is warm: allocations and bytes, the largest first.

    With `reallocs`, those that reallocate: reallocations and bytes.
    """
    loops = [itertools.repeat(None, n), itertools.repeat(None, 3 * n)]
    with counting(), recording() as recorded:
        loop(itertools.repeat(None, 1))
        for phase, iterations in enumerate(loops):
            recorded.charge(phase)
            loop(iterations)
            recorded.charge(-1)
        rows = recorded.read()
    costs: dict[Site, list[int]] = {}
    for row in rows[CUT + 1 :]:
        if row.function is not None:
            cost = costs.setdefault((row.file, row.line), [0, 0])
            cost[0] += row.growth()[1 if reallocs else 0]
            cost[1] += row.growth()[2]
    found = [(site, count / (2 * n), size / (2 * n)) for site, (count, size) in costs.items() if count > 0]
    return sorted(found, key=lambda item: (-item[1], -item[2], item[0]))


def sampling(interval: float) -> None:
    """Sample this thread's stack from now on, every so many seconds, until `sampled`. Raises RuntimeError if that cannot be."""
    if reason := why_no_stacks():
        raise RuntimeError(reason)
    _allocs.start_samples(interval)


def sampled() -> tuple[list[tuple[tuple[int, int], ...]], int]:
    """End `sampling`; return the samples, and how many were lost.

    A sample has a pair for each call, the innermost first: the id of its code, which may be gone, and the index of a code unit.
    Raises RuntimeError if something else took over the signal of the timer (SIGPROF).
    """
    result: Any = _allocs.stop_samples()
    return result  # type: ignore[no-any-return]
