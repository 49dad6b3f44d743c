"""Requests by line: known answers, which add up to what is counted; and code that would break a recording in other ways."""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import json
import os
import re
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator

import pytest

from tallymark.bench import _allocs  # type: ignore[attr-defined]
from tallymark.bench.allocations import CAN_TRACE_OBJECTS, Counts, counting, counts_between, mark, tracing_objects
from tallymark.bench.benchmark import Benchmark, run_once
from tallymark.bench.measure.passes import AllocationPass, ObjectPass
from tallymark.bench.measure.passes.lines import LinesPass
from tallymark.bench.measure.places import counted_tree
from tallymark.bench.stacks import CUT, NOWHERE, OTHER, Row, allocated_sites, recording, why_no_stacks

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_no_stacks()), reason=why_no_stacks() or "stacks can be read")]

needs_objects = pytest.mark.skipif(not CAN_TRACE_OBJECTS, reason="objects are counted on Python 3.13 and later")
KNOWN = sys.version_info < (3, 14)
INLINED = sys.version_info >= (3, 12)  # comprehensions are part of their function


def recorded(fn: Callable[[], object], n: int = 20, most: int = 1 << 16) -> tuple[list[Row], Counts]:
    """Return the rows of n calls of a warm function (in phase 1; phase 0 has none), and what was counted meanwhile."""

    def loop(iterations: Iterable[None]) -> None:
        for _ in iterations:
            fn()

    iterations = itertools.repeat(None, n)
    with counting(), recording(most) as recorder:
        loop(itertools.repeat(None, 5))
        mark(0)
        recorder.charge(1)
        loop(iterations)
        recorder.charge(-1)
        mark(1)
        rows = recorder.read()
    return rows, counts_between(0, 1)


def expect_sum(rows: list[Row], counted: Counts) -> None:
    sums = [sum(column) for column in zip(*(row.growth()[:3] for row in rows), strict=True)]
    assert sums == [counted.allocs, counted.reallocs, counted.bytes]


def by_line(fn: Callable[[], object], function: str, n: int = 20) -> dict[int, tuple[float, float]]:
    """Return allocs and bytes per call, by line from a function's `def` or decorator. Assert the sum over all functions."""
    rows, counted = recorded(fn, n)
    expect_sum(rows, counted)
    found: dict[int, tuple[float, float]] = {}
    for row in rows:
        if row.function is not None and row.function.rpartition(".")[2] == function and row.growth()[0]:
            before = found.get(row.line - row.first, (0, 0))
            found[row.line - row.first] = (before[0] + row.growth()[0] / n, before[1] + row.growth()[2] / n)
    return found


d3 = {"a": "1", "b": "2", "c": "3"}


def plain() -> object:
    numbers = [1] * 75
    copied = dict(d3)
    return numbers, copied, f"{d3['a']}:{d3['b']}"


def comprehension() -> object:
    return [one * 1000 for one in (1, 2, 3)]


def nested() -> bytes:
    def inner() -> bytes:
        return bytes(100)

    return inner()


def numbers() -> Iterator[bytes]:
    yield bytes(10)
    yield bytes(20)


def generator() -> None:
    for one in numbers():
        bytearray(one)


def close(begun: Iterator[bytes]) -> None:
    begun.close()  # type: ignore[attr-defined]


def finishing() -> Iterator[bytes]:
    try:
        yield bytes(10)
    finally:
        bytes(20)


def closed_elsewhere() -> None:
    begun = finishing()
    next(begun)
    close(begun)


def recursion(n: int = 5) -> object:
    if n == 0:
        return None
    return bytes(100), recursion(n - 1)


def by_c() -> None:
    sorted(d3, key=lambda text: text + "xyz")
    json.dumps([1])
    re.sub("b", "xx", "abc")


def raising() -> None:
    try:
        raise KeyError
    except KeyError:
        bytes(300)
    finally:
        bytes(200)


@contextlib.contextmanager
def context() -> Iterator[bytes]:
    made = bytes(10)
    yield made
    bytes(50)


def within() -> None:
    with context():
        bytearray(10)


def decorated(fn: Callable[[], object]) -> Callable[[], object]:
    @functools.wraps(fn)
    def call() -> object:
        return bytes(30), fn()

    return call


@decorated
def target() -> object:
    return bytes(40)


def over_lines() -> bytes:
    return bytes(
        len(
            f"{d3['a']}23",
        )
    )


TEXT, GENERATOR = (44, 184) if INLINED else (52, 192)

#: By line after the `def`, or the decorator: allocations, and bytes.
ANSWERS = [
    (plain, "plain", {1: (2, 608), 2: (2, 184), 3: (1, TEXT)}),
    (comprehension, "comprehension", {1: (5, 176)} if INLINED else {1: (2, 200)}),
    (comprehension, "<listcomp>", {} if INLINED else {0: (4, 128)}),
    (nested, "nested", {1: (1, 160 if INLINED else 152)}),
    (nested, "inner", {1: (1, 133)}),
    (generator, "generator", {2: (4, 144)}),
    (generator, "numbers", {0: (1, GENERATOR), 1: (1, 43), 2: (1, 53)}),
    (closed_elsewhere, "finishing", None),
    (recursion, "recursion", {3: (5, 665)}),
    (by_c, "<lambda>", {0: (3, 3 * 45 if INLINED else 3 * 53)}),
    (raising, "raising", None),
    (within, "context", {0: (1, GENERATOR + 8), 2: (1, 43), 4: (1, 83)}),
    (within, "within", {1: (2, 128), 2: (2, 67)}),
    (target, "call", {2: (1, 63)}),
    (target, "target", {2: (1, 73)}),
    (over_lines, "over_lines", {1: (1, 36), 3: (1, TEXT)}),
    (lambda: (bytes(60), bytes(70)), "<lambda>", {0: (2, 196)}),
]


@pytest.mark.skipif(not KNOWN, reason="no answers are known for this version")
@pytest.mark.parametrize(("fn", "function", "answer"), ANSWERS, ids=lambda one: getattr(one, "__name__", None))
def test_what_each_line_asks_for(
    fn: Callable[[], object], function: str, answer: dict[int, tuple[float, float]] | None
) -> None:
    found = by_line(fn, function)
    assert answer is None or found == answer


def test_a_generator_that_another_function_closes() -> None:
    assert by_line(closed_elsewhere, "finishing")[4] == (1, 53)


def test_an_exception_and_a_finally() -> None:
    found = by_line(raising, "raising")
    assert (found[4], found[6]) == ((1, 333), (1, 233))


def test_what_c_code_asks_for_belongs_to_the_line_that_calls_it() -> None:
    assert {1, 2} <= set(by_line(by_c, "by_c"))


def test_a_stack_has_each_call() -> None:
    rows, _ = recorded(nested)
    at = next(i for i, row in enumerate(rows) if row.function == "nested.<locals>.inner")
    names = []
    while at != NOWHERE:
        names.append((rows[at].function or "").rpartition(".")[2])
        at = rows[at].parent
    assert names[:3] == ["inner", "nested", "loop"]


class Made:
    def __init__(self) -> None:
        self.value = bytes(100)


def make() -> None:
    for _ in range(100):  # calls of a class become ones that the interpreter has a code of its own for
        Made()


def test_a_class_calls_its_init_from_the_line_that_makes_the_object() -> None:
    rows, counted = recorded(make)
    expect_sum(rows, counted)
    callers = {rows[row.parent].function for row in rows if row.function == "Made.__init__"}
    assert callers == {"make"}
    assert not [row for row in rows if row.function is not None and row.line < 1]


class Nested:
    def __init__(self, depth: int) -> None:
        self.inner = Nested(depth - 1) if depth else bytes(100)


def test_an_init_that_calls_itself_from_one_place_is_one_row() -> None:
    rows, counted = recorded(lambda: Nested(50))
    expect_sum(rows, counted)
    assert 1 <= sum(row.function == "Nested.__init__" for row in rows) <= 4  # one is the innermost, and one while it warmed up


def test_phases_are_told_apart_and_read_once() -> None:
    with counting(), recording() as recorder:
        for phase in (0, 1, 1, -1):
            recorder.charge(phase)
            bytes(1000)
        recorder.charge(-1)
        rows, again = recorder.read(), recorder.read()
    bytes_of = [row for row in rows if row.function == "test_phases_are_told_apart_and_read_once" and row.bytes]
    assert [(row.bytes, row.bytes_then) for row in bytes_of] == [(1033, 2066)]
    assert not any(any(row[5:]) for row in again)


# Code that comes and goes.


def test_code_from_exec_without_a_file() -> None:
    def op() -> None:
        exec("x = bytes(100)\n\ny = bytes(200)")

    rows, counted = recorded(op)
    expect_sum(rows, counted)
    own = [row for row in rows if (row.file, row.function) == ("<string>", "<module>") and row.growth()[2]]
    found = {row.line: row.growth()[2] / 20 for row in own}
    assert set(found) == {1, 3}
    assert found[3] == 233
    assert found[1] >= 133  # and the dict of its names, unless that comes from a free list


def test_code_is_not_kept_and_does_not_fill_the_table() -> None:
    def op() -> None:
        space: dict[str, Callable[[], object]] = {}
        exec("def made(): return bytes(100)", space)
        space["made"]()
        gone.append(weakref.ref(space["made"].__code__))

    gone: list[weakref.ref[object]] = []
    rows, counted = recorded(op, 300)
    expect_sum(rows, counted)
    assert len(rows) < 100
    gc.collect()  # a function and its globals are a cycle
    assert not any(one() for one in gone)


def test_a_name_that_is_a_str_of_another_class() -> None:
    class Name(str):
        __slots__ = ()

        def __hash__(self) -> int:
            raise AssertionError("called by a hook")

        def __eq__(self, other: object) -> bool:
            raise AssertionError("called by a hook")

    made = {}
    exec(compile("def fn(): return bytes(100)", "file", "exec"), made)
    fn = made["fn"]
    fn.__code__ = fn.__code__.replace(co_filename=Name("other"))  # type: ignore[attr-defined]
    rows, counted = recorded(fn)  # type: ignore[arg-type]
    expect_sum(rows, counted)
    assert sum(row.growth()[0] for row in rows if str.__eq__(row.file or "", "other")) == 20


# Bounds.


def test_more_lines_than_the_table_holds() -> None:
    source = "".join(f"def f{i}(): return bytes({i})\n" for i in range(3000))
    made: dict[str, Callable[[], object]] = {}
    exec(source, made)
    functions = [one for name, one in made.items() if name.startswith("f")]

    def op() -> None:
        for one in functions:
            one()

    rows, counted = recorded(op, 2, most=1000)
    expect_sum(rows, counted)
    assert len(rows) == 1000
    assert rows[OTHER].growth()[0] > 2 * 1900
    rows, counted = recorded(op, 2)
    expect_sum(rows, counted)
    assert rows[OTHER].growth()[0] == 0


@contextlib.contextmanager
def deep_stack(limit: int) -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def test_deep_recursion_at_one_line_is_one_row() -> None:
    with deep_stack(15_000):
        rows, counted = recorded(functools.partial(recursion, 10_000), 2)
    expect_sum(rows, counted)
    assert len([row for row in rows if row.function == "recursion"]) <= 2


def test_the_outer_end_of_a_deep_stack_is_cut() -> None:
    made: dict[str, Callable[[], object]] = {}
    calls = "".join(f"def f{i}(): return f{i + 1}()\n" for i in range(1500))
    exec(calls + "def f1500(): return bytes(100)", made)
    with deep_stack(5000):
        rows, counted = recorded(made["f0"], 3)
    expect_sum(rows, counted)
    last = next(row for row in rows if row.function == "f1500")
    assert last.growth()[0] == 3
    names = [row.function for row in rows if row.parent == CUT]
    assert names[-1] == "f477"  # 1,024 calls lead from it to the last


# Other threads, processes and tools.


def test_other_threads_are_not_charged() -> None:
    started, done = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        while not done.is_set():
            bytes(1000)

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    try:
        rows, counted = recorded(plain, 2000)
    finally:
        done.set()
        thread.join()
    expect_sum(rows, counted)
    assert not any(row.function == "work" for row in rows)


def test_a_finalizer_that_ends_the_recording_while_it_is_read() -> None:
    class Ends:
        def __init__(self) -> None:
            self.cycle = self

        def __del__(self) -> None:
            _allocs.stop_stacks()

    source = "".join(f"def f{i}(): return bytes({i})\n" for i in range(1000))
    made: dict[str, Callable[[], object]] = {}
    exec(source, made)
    functions = [one for name, one in made.items() if name.startswith("f")]
    thresholds = gc.get_threshold()
    with counting():
        _allocs.start_stacks(1 << 16)
        _allocs.charge_stacks(1)
        for one in functions:
            one()
        _allocs.charge_stacks(-1)
        gc.disable()
        Ends()
        gc.set_threshold(1)
        gc.enable()  # before 3.12 it collects inside of what reads the rows
        rows = _allocs.read_stacks()
        gc.set_threshold(*thresholds)
        gc.collect()
    assert len(rows) > 1000
    with pytest.raises(RuntimeError, match="does not record"):
        _allocs.stop_stacks()


def test_one_recording_at_a_time_and_only_its_thread_has_it() -> None:
    said = []

    def elsewhere() -> None:
        for call in (
            lambda: _allocs.start_stacks(100),
            lambda: _allocs.charge_stacks(0),
            _allocs.read_stacks,
            _allocs.stop_stacks,
        ):
            with pytest.raises(RuntimeError) as raised:
                call()
            said.append(str(raised.value))

    with recording():
        with pytest.raises(RuntimeError, match="being recorded already"), recording():
            pass
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert "being recorded already" in said[0]
    assert all("does not record" in one for one in said[1:])
    assert len(said) == 4
    with pytest.raises(RuntimeError, match="does not record"):
        _allocs.charge_stacks(0)
    with pytest.raises(ValueError, match="from 3 to"):
        _allocs.start_stacks(2)
    with recording() as recorder, pytest.raises(ValueError, match="a phase is 0, 1, or -1"):
        recorder.charge(2)


def test_an_op_with_its_own_trace_function() -> None:
    def trace(frame: object, event: str, argument: object) -> object:
        bytes(10)
        return trace

    def op() -> None:
        sys.settrace(trace)
        nested()
        sys.settrace(None)

    before = sys.gettrace()
    try:
        rows, counted = recorded(op)
    finally:
        sys.settrace(before)
    expect_sum(rows, counted)
    assert any((row.function or "").endswith("trace") for row in rows)


def test_an_op_that_collects() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            bytes(77)

    def op() -> None:
        Cycle()
        gc.collect()

    rows, counted = recorded(op, 3)
    expect_sum(rows, counted)
    assert any((row.function or "").endswith("__del__") and row.growth()[0] for row in rows)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_fork_goes_on_recording() -> None:
    with counting(), recording() as recorder:
        recorder.charge(1)
        child = os.fork()
        bytes(100)
        if child == 0:
            rows = recorder.read()
            os._exit(0 if any(row.bytes_then for row in rows) else 1)
        recorder.charge(-1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert any(row.bytes_then for row in recorder.read())


def test_allocated_sites_have_fractions() -> None:
    calls = itertools.count()

    def loop(iterations: Iterable[None]) -> None:
        for _ in iterations:
            if next(calls) % 4 == 0:
                bytearray(100)

    line = loop.__code__.co_firstlineno + 3
    assert ((__file__, line), 0.5, (101 + 56) / 4) in allocated_sites(loop, 100)


@needs_objects
def test_objects_are_charged_by_type() -> None:
    def op() -> object:
        return {1: 2}, [
            bytearray(),
        ]

    iterations = itertools.repeat(None, 10)
    with recording() as recorder, tracing_objects():
        recorder.charge(1)
        for _ in iterations:
            op()
        recorder.charge(-1)
        rows = recorder.read()
    first = op.__code__.co_firstlineno
    made = [(row.file, rows[row.parent].line - first, row.growth()[3]) for row in rows if row.function is None and row.file]
    assert {("dict", 1, 10), ("list", 1, 10), ("bytearray", 2, 10)} <= set(made)


# A pass.

OPS = {
    "exec": lambda: exec("x = [0] * 99\n\ndef f(): return [1, *x]\nf()", {"x": [2]}),
    "json": lambda: json.dumps({"a": [1, 2.5, None]}, sort_keys=True),
    "sorted": lambda: sorted(d3, key=lambda text: text + "xyz"),
    "generator": generator,
    "closed": closed_elsewhere,
    "raising": raising,
    "within": within,
    "recursion": functools.partial(recursion, 40),
}


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_the_lines_of_an_op_add_up_to_what_a_run_reports(op: Callable[[], object]) -> None:
    def bench(b: Benchmark) -> None:
        for _ in b.loop():
            op()

    whole, lines, objects = AllocationPass(0.3), LinesPass(0.3), ObjectPass()
    for one in (whole, lines):
        with counting():
            run_once(bench, {}, one)
    told = whole.result()["allocations"]
    trees = counted_tree(lines, "/")
    sums = [sum(column) for column in zip(*(figures for _, _, figures in trees["requested"]), strict=True)]
    if not (told["exact"] or KNOWN):
        pytest.skip("its repetitions differ on this version of Python")
    assert told["exact"]
    assert sums == pytest.approx([told["allocs"], told["reallocs"], told["bytes"]], abs=1e-6)
    assert trees["requested"][0][2] == [0, 0, 0]  # at no line
    if CAN_TRACE_OBJECTS:
        run_once(bench, {}, objects)
        made: dict[str, float] = {}
        for _, _, (types,) in trees["created"]:
            for name, count in types.items():
                made[name] = made.get(name, 0) + count
        for name in made | objects.objects:
            assert made.get(name, 0) == pytest.approx(objects.objects.get(name, 0), abs=0.1), name
