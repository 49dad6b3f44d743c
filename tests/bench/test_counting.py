"""Counting allocations: exact, by thread, beside tracemalloc and with every allocator; no hook is left when it ends.

Tests that replace the process's allocators run in processes of their own.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from textwrap import dedent
from typing import Any

import pytest

from tallymark.bench import _allocs  # type: ignore[attr-defined]
from tallymark.bench.allocations import (
    CAN_TRACE_OBJECTS,
    Counts,
    allocations_per_op,
    available,
    counting,
    counts_between,
    mark,
    objects_created,
    others_between,
    tracing_objects,
)

pytestmark = pytest.mark.slow

needs_objects = pytest.mark.skipif(not CAN_TRACE_OBJECTS, reason="objects are counted on Python 3.13 and later")

PRELUDE = """
import gc, os, sys, threading, tracemalloc
import pytest
from tallymark.bench import _allocs
from tallymark.bench.allocations import *

def known():
    def text(iterations):
        for _ in iterations:
            f"{a}:{b}"
    def array(iterations):
        for _ in iterations:
            bytearray(1000)
    def grown(iterations):
        for _ in iterations:
            numbers = []
            for each in items:
                numbers.append(each)
    a, b, items = "abc", "xyz", tuple(range(100))
    return [allocations_per_op(text), allocations_per_op(array), allocations_per_op(grown).reallocs]

TEXT = 56 if sys.version_info < (3, 12) else 48
KNOWN = [(1, TEXT), (2, 1001 + 56), 10]
"""


@pytest.fixture(autouse=True)
def _no_hooks_are_left() -> Iterator[None]:
    assert not _allocs.is_installed()
    yield
    assert not _allocs.is_installed()


def counted(operation: Callable[[], object]) -> Counts:
    """Return what one call asks for, once warm, without the collector."""
    operation()
    gc.collect()
    gc.disable()
    try:
        operation()
        with counting():
            mark(0)
            operation()
            mark(1)
        return counts_between(0, 1)
    finally:
        gc.enable()


def run(script: str, **environment: str) -> None:
    """Run a script, after the prelude, in a process of its own, where warnings are errors and a crash leaves a traceback."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-X", "faulthandler", "-c", PRELUDE + dedent(script)],
        env=os.environ | environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")


@contextmanager
def allocating(operation: Callable[[], object], threads: int = 2) -> Iterator[None]:
    """Have other threads call an operation, for as long as the block runs."""
    stop = threading.Event()
    started = threading.Barrier(threads + 1)

    def work() -> None:
        started.wait()
        while not stop.is_set():
            operation()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    started.wait()
    try:
        yield
    finally:
        stop.set()
        for worker in workers:
            worker.join()


# What is counted.


def test_a_function_that_does_nothing_asks_for_nothing() -> None:
    assert counted(lambda: None) == (0,) * 8


def test_a_request_that_is_passed_on_counts_once() -> None:
    counts = counted(lambda: bytes(100_000))
    assert counts == Counts(allocs=1, bytes=100_000 + 33, reallocs=0, frees=1, raw=0, mem=0, obj=1, arenas=0)


def test_requests_are_counted_by_domain() -> None:
    held: list[bytearray] = []

    def array() -> None:
        held.append(bytearray(1000))
        held.clear()

    counts = counted(array)
    assert (counts.obj, counts.mem, counts.raw) == ((1, 2, 0) if sys.version_info >= (3, 13) else (2, 1, 0))
    assert counts.allocs == counts.frees == 3
    lock = counted(threading.Lock)
    assert lock.raw == (1 if sys.version_info < (3, 14) else 0)  # now a lock is a byte of its object
    for one in (lock, counted(zlib.compressobj)):
        assert one.allocs == one.raw + one.mem + one.obj == one.frees
    assert one.raw > 1


def test_reallocations_are_no_allocations_and_ask_for_the_new_size() -> None:
    def grow() -> None:
        numbers = []
        for each in items:
            numbers.append(each)

    def iterate() -> None:
        for _ in items:
            pass

    items = tuple(range(100))
    counts = counted(grow) - counted(iterate)
    sizes = [4, 8, 16, 24, 32, 40, 52, 64, 76, 92, 108]  # of the list, as it grows
    assert (counts.allocs, counts.reallocs, counts.frees) == (1, len(sizes) - 1, 1)
    assert counts.bytes == 8 * sum(sizes)


def test_what_is_kept_is_not_freed() -> None:
    kept: list[object] = [None] * 10_000
    places = iter(range(10_000))

    def keep() -> None:
        kept[next(places)] = object()

    counts = counted(keep)
    assert counts.obj - counts.frees == 1


def test_a_request_that_fails_does_not_count() -> None:
    def too_much() -> None:
        with suppress(MemoryError):
            bytearray(sys.maxsize - 1)

    counts = counted(too_much)
    assert counts.allocs == counts.frees
    assert counts.bytes < 10_000


def test_arenas_are_counted() -> None:
    with counting():
        mark(0)
        held = [bytes(400) for _ in range(20_000)]
        mark(1)
    counts = counts_between(0, 1)
    del held
    assert counts.arenas >= 4
    assert counts.allocs >= 20_000


def test_a_free_counts_for_the_thread_that_frees() -> None:
    passed: list[object] = [bytes(1000)]
    with counting():
        freed: list[int] = []

        def free() -> None:
            mark(0)
            passed.clear()
            mark(1)
            freed.append(counts_between(0, 1).frees)

        thread = threading.Thread(target=free)
        thread.start()
        thread.join()
    assert freed == [2]  # the bytes, and the list's own items


def test_counts_are_subtracted_field_by_field() -> None:
    assert Counts(9, 8, 7, 6, 5, 4, 3, 2) - Counts(1, 1, 1, 1, 1, 1, 1, 1) == (8, 7, 6, 5, 4, 3, 2, 1)


# Threads.


def test_other_threads_do_not_change_the_count() -> None:
    def loop(iterations: Any) -> None:
        for _ in iterations:
            f"{text}:{text}"

    text = "abc"
    quiet = allocations_per_op(loop)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with allocating(lambda: [bytes(i) for i in range(700)]), counting():
            mark(0)
            noisy = allocations_per_op(loop, 20_000)
            mark(1)
            others = others_between(0, 1)
    finally:
        sys.setswitchinterval(interval)
    assert noisy == quiet == (1, 56 if sys.version_info < (3, 12) else 48)
    assert others > 0


def test_without_other_threads_their_count_is_zero() -> None:
    with counting():
        mark(0)
        held = [object() for _ in range(100)]
        mark(1)
    assert counts_between(0, 1).allocs > len(held)
    assert others_between(0, 1) == 0


def test_every_thread_has_its_own_marks() -> None:
    def operation() -> None:
        with counting():
            mark(5)
            bytes(1000)
            mark(6)
        told.append(counts_between(5, 6).allocs)

    told: list[int] = []
    with counting():
        mark(5)
        for _ in range(3):
            thread = threading.Thread(target=operation)
            thread.start()
            thread.join()
        mark(6)
        assert others_between(5, 6) > 0
    assert told == [1, 1, 1]

    def reads() -> None:
        with pytest.raises(ValueError, match="this thread made no mark in slot 5"):
            counts_between(5, 6)
        told.append(0)

    thread = threading.Thread(target=reads)
    thread.start()
    thread.join()
    assert told[-1] == 0


def test_counting_in_several_threads_at_once() -> None:
    def operation() -> None:
        barrier.wait()
        for _ in range(300):
            with counting():
                mark(0)
                bytes(1000)
                mark(1)
            told.append(counts_between(0, 1).allocs)

    told: list[int] = []
    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=operation) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [1] * 1200


# Setting and removing hooks.


def test_nested_counting() -> None:
    with counting():
        mark(0)
        with counting():
            mark(1)
            bytes(1000)
            mark(2)
        assert _allocs.is_installed()
        bytes(1000)
        mark(3)
    assert counts_between(1, 2).allocs == 1
    assert counts_between(0, 3).allocs >= 2
    assert not _allocs.is_installed()


def test_an_exception_ends_it() -> None:
    with pytest.raises(ZeroDivisionError), counting():
        1 / 0
    assert not _allocs.is_installed()


def test_requests_outside_of_counting_are_not_counted() -> None:
    with counting():
        mark(0)
    held = [bytes(1000) for _ in range(1000)]
    with counting():
        mark(1)
    assert counts_between(0, 1).allocs < len(held)


def test_wrong_uses_are_rejected() -> None:
    with pytest.raises(RuntimeError, match="allocations are not being counted"):
        mark(0)
    with pytest.raises(RuntimeError, match="allocations are not being counted"):
        _allocs.uninstall()
    with counting():
        for slot in (-1, 64, 10**6):
            with pytest.raises(ValueError, match=f"slot must be from 0 to 63, not {slot}"):
                mark(slot)
            with pytest.raises(ValueError, match="slot must be from 0 to 63"):
                counts_between(0, slot)
        with pytest.raises(OverflowError):
            mark(10**30)
        with pytest.raises(TypeError):
            mark("0")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"between\(\) takes 2 slots \(1 given\)"):
            _allocs.between(0)
        mark(0)
        with pytest.raises(ValueError, match="this thread made no mark in slot 40"):
            counts_between(0, 40)
        with pytest.raises(ValueError, match="this thread made no mark in slot 40"):
            others_between(40, 0)


@pytest.mark.parametrize("allocator", ["pymalloc", "pymalloc_debug", "malloc", "malloc_debug", "debug"])
def test_every_allocator_gives_the_same_counts(allocator: str) -> None:
    run("assert known() == KNOWN, known()", PYTHONMALLOC=allocator)


@pytest.mark.parametrize("allocator", ["pymalloc", "debug"])
def test_hooks_come_and_go_while_threads_run(allocator: str) -> None:
    """Hashing, compressing and I/O call the raw domain, or are interrupted, without the GIL."""
    run(
        """
        import bz2, hashlib, lzma, tempfile, zlib
        sys.setswitchinterval(1e-5)
        stop, done, path = threading.Event(), [0] * 6, tempfile.mkstemp()[1]
        data = bytes(range(256)) * 64

        def read():
            with open(path, "rb") as file:
                return file.read()

        def write():
            with open(path, "wb") as file:
                file.write(data)

        def thread():
            other = threading.Thread(target=bytes, args=(100,))
            other.start()
            other.join()

        def work(at, operation):
            while not stop.is_set():
                operation()
                done[at] += 1

        operations = [
            lambda: hashlib.sha256(data).digest(), lambda: zlib.decompress(zlib.compress(data, 1)),
            lambda: bz2.decompress(bz2.compress(data, 1)), read, write, thread,
        ]
        threads = [threading.Thread(target=work, args=each) for each in enumerate(operations)]
        for each in threads:
            each.start()
        turns = 0
        while turns < 3000 or min(done) < 20:
            with counting():
                mark(0)
                bytes(1000)
                mark(1)
            assert counts_between(0, 1)[:2] == (1, 1033)
            turns += 1
        stop.set()
        for each in threads:
            each.join()
        os.unlink(path)
        assert not _allocs.is_installed()
        """,
        PYTHONMALLOC=allocator,
    )


@pytest.mark.parametrize("traced", [False, True])
def test_hooks_come_and_go_while_threads_call_the_raw_domain(traced: bool) -> None:
    """Through ctypes, which lets go of the GIL: what sees a function and a ctx that do not belong together crashes here.

    tracemalloc does not come and go: CPython crashes when it stops beneath calls that wait for the GIL, hooks or none.
    """
    run(f"""
        traced = {traced}
        import ctypes
        library = ctypes.CDLL(None)
        new, again, free = library.PyMem_RawMalloc, library.PyMem_RawRealloc, library.PyMem_RawFree
        new.restype = again.restype = ctypes.c_void_p
        new.argtypes, again.argtypes, free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p, ctypes.c_size_t], [ctypes.c_void_p]
        stop = False

        def work():
            while not stop:
                blocks = [new(100) for _ in range(20)]
                for block in blocks:
                    free(again(block, 200))

        if traced:
            tracemalloc.start()
        sys.setswitchinterval(1e-6)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for each in threads:
            each.start()
        for _ in range(5000):
            with counting():
                pass
        stop = True
        for each in threads:
            each.join()
        tracemalloc.stop()
        assert not _allocs.is_installed()
        """)


def test_a_process_may_end_while_it_counts() -> None:
    run("""
        threading.Thread(target=lambda: [bytes(i) for i in range(10_000)], daemon=True).start()
        _allocs.install()
        mark(0)
        """)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_goes_on_counting() -> None:
    run("""
        with counting():
            mark(0)
            child = os.fork()
            bytes(1000)
            mark(1)
            assert counts_between(0, 1).allocs >= 1
        assert not _allocs.is_installed()
        assert known() == KNOWN
        if child == 0:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        """)


def test_a_subinterpreter_may_begin_and_end_meanwhile() -> None:
    run("""
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        code = "x = [bytes(1000) for _ in range(1000)]"
        with counting():
            mark(0)
            inner = interpreters.create()
            interpreters.run_string(inner, code)
            interpreters.destroy(inner)
            mark(1)
            assert counts_between(0, 1).allocs > 1000
        assert not _allocs.is_installed()
        assert known() == KNOWN
        """)


# tracemalloc.


def test_tracemalloc_started_before() -> None:
    run("""
        tracemalloc.start()
        assert known() == KNOWN
        assert not _allocs.is_installed()
        held = bytes(100_000)
        assert tracemalloc.get_traced_memory()[0] > 100_000
        tracemalloc.stop()
        assert known() == KNOWN
        """)


def test_tracemalloc_within() -> None:
    run("""
        with counting():
            tracemalloc.start()
            held = bytes(100_000)
            assert tracemalloc.get_traced_memory()[0] > 100_000
            tracemalloc.stop()
            mark(0)
            bytes(1000)
            mark(1)
        assert counts_between(0, 1).allocs == 1
        assert not _allocs.is_installed()
        assert known() == KNOWN
        """)


def test_tracemalloc_started_within_and_left_on() -> None:
    run("""
        on_top = "another hook lies on top of those that count allocations.*was tracemalloc started since.*stop it before"
        with pytest.raises(RuntimeError, match=on_top), counting():
            tracemalloc.start()
        with pytest.raises(RuntimeError, match="allocations are not being counted"):
            mark(0)
        assert _allocs.is_installed()
        held = bytes(100_000)
        assert tracemalloc.get_traced_memory()[0] > 100_000
        for _ in range(3):
            with pytest.raises(RuntimeError, match=on_top), counting():
                mark(0)
                with counting():
                    pass
                mark(1)
        tracemalloc.stop()
        assert known() == KNOWN
        assert not _allocs.is_installed()
        """)


def test_tracemalloc_stopped_from_beneath() -> None:
    run("""
        tracemalloc.start()
        removed = "hooks that count allocations were removed.*tracemalloc.*so the counts are too low: stop it after"
        with pytest.raises(RuntimeError, match=removed), counting():
            tracemalloc.stop()
            with pytest.raises(RuntimeError, match="hooks that count allocations were removed"), counting():
                pass
        assert not _allocs.is_installed()
        assert known() == KNOWN
        tracemalloc.start()
        with pytest.raises(RuntimeError, match="hooks that count allocations were removed"), counting():
            tracemalloc.stop()
            tracemalloc.start()
        assert not _allocs.is_installed()
        assert known() == KNOWN
        """)


# Objects.


@needs_objects
def test_objects_by_type() -> None:
    class Own:
        pass

    with tracing_objects() as created:
        assert created == {}
        held = [(Own(), {1}) for _ in range(5)]
    name = f"{__name__}.{Own.__qualname__}"
    assert (created[name], created["tuple"], created["set"], len(held)) == (5, 5, 5, 5)


@needs_objects
def test_types_of_one_name_are_added_up() -> None:
    def loop(iterations: Any) -> None:
        for _ in iterations:
            first(), second(), second()

    first, second = (type("Twin", (), {"__module__": "m"}) for _ in range(2))
    assert objects_created(loop) == {"m.Twin": 3, "tuple": 1}


@needs_objects
def test_more_types_than_the_table_holds() -> None:
    types = [type(f"T{i}", (), {}) for i in range(1000)]
    with tracing_objects() as created:
        for each in types:
            each()
    told = sum(count for name, count in created.items() if ".T" in name)
    assert 800 < told < 896
    assert told + created["other"] >= 1000
    with tracing_objects() as created:
        pass
    assert "other" not in created


@needs_objects
def test_types_are_released() -> None:
    import weakref

    kind = type("Gone", (), {})
    with tracing_objects() as created:
        kind()
    gone = weakref.ref(kind)
    del kind
    gc.collect()
    assert gone() is None
    assert any(name.endswith("Gone") for name in created)


@needs_objects
def test_objects_of_this_thread_only() -> None:
    def loop(iterations: Any) -> None:
        for _ in iterations:
            {}

    with allocating(lambda: [(i, str(i)) for i in range(100)]):
        assert objects_created(loop, 20_000) == {"dict": 1}


@needs_objects
def test_only_one_block_traces_objects() -> None:
    with tracing_objects() as created:
        held = [{} for _ in range(3)]
        with pytest.raises(RuntimeError, match="objects are being traced already"), tracing_objects():
            pass
    assert created["dict"] >= len(held)
    with pytest.raises(RuntimeError, match="objects are not being traced"):
        _allocs.stop_objects()


@needs_objects
def test_objects_beside_tracemalloc() -> None:
    run("""
        def loop(iterations):
            for _ in iterations:
                {}
        tracemalloc.start()
        assert objects_created(loop) == {"dict": 1}
        gc.collect()  # of the free lists' dicts, made before, tracemalloc knows nothing
        assert [{1: 2} for _ in range(100)]
        with tracing_objects() as created:
            reused, line = {}, sys._getframe().f_lineno
        assert tracemalloc.get_object_traceback(reused)[0].lineno == line
        assert created["dict"] >= 1
        tracemalloc.stop()
        assert objects_created(loop) == {"dict": 1}
        with pytest.raises(RuntimeError, match="took over the tracing of objects, so the counts are too low"):
            with tracing_objects():
                tracemalloc.start()
        tracemalloc.stop()
        assert objects_created(loop) == {"dict": 1}
        """)


@pytest.mark.skipif(CAN_TRACE_OBJECTS, reason="objects can be counted")
def test_no_objects_before_3_13() -> None:
    with (
        pytest.raises(RuntimeError, match=r"objects are counted on Python 3\.13 and later; this is 3\.1[12]"),
        tracing_objects(),
    ):
        pass
    assert not hasattr(_allocs, "start_objects")


# Without the extension.


def test_without_a_compiler() -> None:
    run_without = """
        import sys
        sys.modules["tallymark.bench._allocs"] = None
        from tallymark.bench import allocations
        from tallymark.bench.fixture import Allocs
        reason = allocations.available()
        assert "the extension tallymark.bench._allocs was not built: install a C compiler and reinstall" in reason, reason
        assert allocations.CAN_TRACE_OBJECTS is False

        def rejected(operation):
            try:
                operation()
            except RuntimeError as error:
                assert str(error) == reason, error
            else:
                raise AssertionError("not rejected")

        rejected(allocations.counting().__enter__)
        rejected(allocations.tracing_objects().__enter__)
        rejected(lambda: allocations.mark(0))
        rejected(lambda: allocations.counts_between(0, 1))
        rejected(lambda: allocations.others_between(0, 1))
        rejected(lambda: allocations.allocations_per_op(list))
        rejected(lambda: allocations.objects_created(list))
        rejected(lambda: Allocs().per_run(list))
        """
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(run_without)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_with_a_compiler() -> None:
    assert available() == ""
    assert (sys.version_info >= (3, 13)) == CAN_TRACE_OBJECTS
    assert not tracemalloc.is_tracing()
