"""Reallocations, counted to the integer and apart from allocations: blocks that grow, and that move between allocators."""

from __future__ import annotations

import copy
import ctypes
import pickle
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tallymark.bench.allocations import Allocations, Counts, allocations_per_op, counting, counts_between, mark
from tallymark.bench.compare.compare import compare
from tallymark.bench.measure.session import measure
from tallymark.bench.result.result import load_run
from tallymark.bench.settings import QUICK

Loop = Callable[[Iterable[None]], None]

POINTER = ctypes.sizeof(ctypes.c_void_p)
ITERATOR = 48  # of a tuple
LIST_SIZES = [4, 8, 16, 24, 32, 40, 52, 64, 76, 92, 108]  # items for which a list has room, as it grows to 100
TEXT_HEAD = 48 if sys.version_info < (3, 12) else 40  # of an ASCII text, with the zero at its end not counted

items = tuple(range(100))
words = ("ab",) * 20
keys = tuple(f"k{number}" for number in range(20))


def list_of_100_appends(iterations: Iterable[None]) -> None:
    for _ in iterations:
        numbers = []
        for each in items:
            numbers.append(each)


def list_extended_at_once(iterations: Iterable[None]) -> None:
    for _ in iterations:
        [].extend(items)


def list_extended_by_a_generator(iterations: Iterable[None]) -> None:
    for _ in iterations:
        [].extend(each for each in items)


def bytearray_of_100_appends(iterations: Iterable[None]) -> None:
    for _ in iterations:
        data = bytearray()
        for each in items:
            data.append(each)


def text_of_20_additions(iterations: Iterable[None]) -> None:
    for _ in iterations:
        text = ""
        for word in words:
            text += word


def dict_of_20_keys(iterations: Iterable[None]) -> None:
    for _ in iterations:
        found = {}
        for key in keys:
            found[key] = None


def join_of_a_tuple(iterations: Iterable[None]) -> None:
    for _ in iterations:
        "".join(words)


def join_of_a_generator(iterations: Iterable[None]) -> None:
    for _ in iterations:
        "".join(word for word in words)


#: Allocations and reallocations, which are the same on 3.11, 3.12 and 3.13.
KNOWN: dict[Loop, tuple[int, int]] = {
    list_of_100_appends: (2, 10),  # the iterator, and the first room of the list, which grows ten times
    list_extended_at_once: (1, 0),
    list_extended_by_a_generator: (4, 9),
    bytearray_of_100_appends: (3, 12),
    text_of_20_additions: (2, 18),  # the iterator, and the text after the second word: the first is the word itself
    dict_of_20_keys: (3, 0),  # a dict that grows asks for a new table, and frees the old one
    join_of_a_tuple: (1, 0),
    join_of_a_generator: (5, 2),  # of the list that is made of the generator first
}


@pytest.mark.parametrize("loop", KNOWN, ids=lambda loop: loop.__name__)
def test_what_grows_is_reallocated(loop: Loop) -> None:
    if sys.version_info >= (3, 14):
        pytest.skip(f"no answers are known for Python {sys.version.split()[0]}")
    counted = allocations_per_op(loop)
    assert (counted.allocs, counted.reallocs) == KNOWN[loop]


def test_a_reallocation_asks_for_the_whole_new_size() -> None:
    assert allocations_per_op(list_of_100_appends).bytes == ITERATOR + POINTER * sum(LIST_SIZES)
    lengths = range(4, 42, 2)  # of the text, after each word but the first
    assert allocations_per_op(text_of_20_additions).bytes == ITERATOR + sum(TEXT_HEAD + length + 1 for length in lengths)


# The allocators themselves, called from here.

MALLOC, REALLOC, FREE = "Malloc", "Realloc", "Free"


def allocator(domain: str) -> dict[str, Callable[..., int]]:
    """Return the functions of one domain: `Mem`, `MemRaw` or `Object`."""
    size, block = ctypes.c_size_t, ctypes.c_void_p
    arguments = {MALLOC: [size], REALLOC: [block, size], FREE: [block]}
    prefix = {"MemRaw": "PyMem_Raw", "Mem": "PyMem_", "Object": "PyObject_"}[domain]
    found = {}
    for name, types in arguments.items():
        found[name] = getattr(ctypes.PyDLL(None), prefix + name)
        found[name].argtypes, found[name].restype = types, None if name == FREE else block
    return found


def counted(operation: Callable[[], object]) -> Counts:
    for _ in range(3):
        operation()
    with counting():
        mark(0)
        operation()
        mark(1)
    return counts_between(0, 1)


SMALL, LARGE = 100, 5000  # pymalloc's own, and what it passes on to malloc: more than 512 B


@pytest.mark.parametrize("domain", ["Mem", "MemRaw", "Object"])
@pytest.mark.parametrize(("old", "new"), [(SMALL, LARGE), (LARGE, SMALL), (LARGE, 2 * LARGE), (SMALL, 3 * SMALL)])
def test_a_block_that_moves_between_allocators_is_one_reallocation(domain: str, old: int, new: int) -> None:
    """pymalloc then asks malloc for a block, copies, and frees its own: these requests are not counted once more."""
    functions = allocator(domain)
    malloc, realloc, free = functions[MALLOC], functions[REALLOC], functions[FREE]

    def stays() -> None:
        free(realloc(malloc(old), old))

    def moves() -> None:
        free(realloc(malloc(old), new))

    stayed, moved = counted(stays), counted(moves)
    assert stayed.reallocs == 1
    assert moved.allocs == moved.frees
    assert moved - stayed == (0, new - old, 0, 0, 0, 0, 0, 0)  # what ctypes asks for is the same


@pytest.mark.parametrize("domain", ["Mem", "MemRaw", "Object"])
def test_a_reallocation_of_no_block_is_an_allocation(domain: str) -> None:
    functions = allocator(domain)
    realloc, free = functions[REALLOC], functions[FREE]
    small, large = (counted(lambda size=size: free(realloc(None, size))) for size in (SMALL, LARGE))
    assert small.reallocs == 0
    assert small.allocs == small.frees  # the block that is freed was counted
    assert large - small == (0, LARGE - SMALL, 0, 0, 0, 0, 0, 0)


def test_a_reallocation_that_fails_does_not_count() -> None:
    functions = allocator("MemRaw")

    def fails() -> None:
        block = functions[MALLOC](SMALL)
        assert functions[REALLOC](block, sys.maxsize // 2) is None
        functions[FREE](block)

    counts = counted(fails)
    assert (counts.reallocs, counts.allocs) == (0, counts.frees)
    assert counts.bytes < LARGE


# The result.


def test_the_result_is_a_tuple_of_two_with_reallocations_beside_it() -> None:
    found = allocations_per_op(list_of_100_appends)
    allocs, size = found
    assert found == (allocs, size)
    assert repr(found) == f"Allocations(allocs=2.0, bytes={size!r}, reallocs=10.0)"
    assert [copy.copy(found).reallocs, pickle.loads(pickle.dumps(found)).reallocs] == [10, 10]
    assert Allocations(1, 2).reallocs == Allocations._make((1, 2)).reallocs == 0


EXAMPLE = Path(__file__).parents[2] / "examples" / "benchmarks" / "bench_growth.py"


@pytest.mark.slow
def test_a_run_counts_reallocations_and_its_file_has_them(tmp_path: Path) -> None:
    (run,) = measure([str(EXAMPLE)], settings=replace(QUICK, passes=("allocations",)))
    run.save(tmp_path / "run.json")
    assert load_run(tmp_path / "run.json").benchmarks == run.benchmarks
    found = {one.name.rpartition("::")[2]: one.allocations for one in run.benchmarks}
    grown, made = found["bench_appended"], found["bench_extended"]
    assert grown is not None
    assert made is not None
    assert (grown.allocs, grown.reallocs, set(grown.realloc_samples)) == (2, 10, {10})
    assert (made.allocs, made.reallocs) == (1, 0)
    both = replace(run.benchmarks[0], allocations=grown), replace(run.benchmarks[0], allocations=made)
    old, new = (replace(run, benchmarks=(one,)) for one in both)
    difference = compare(old, new).benchmarks[0].reallocs
    assert difference is not None
    assert (difference.delta, difference.exact) == (-10, True)
