"""The reference engine where CPython can run without a GIL: its cells are under a lock, and no count is lost.

Which lock there is is chosen at import, so each test starts its own Python: this one, which takes itself for a build that can
run without a GIL; or, if there is one, such a build.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tallymark as tm
from tallymark.engine.lock import FREE_THREADED, has_gil

SEEMS_FREE_THREADED = "import sys; sys.abiflags = 't'\n"
SEEMS_ORDINARY = "import sys; sys.abiflags = ''\n"

PARTS = """
import threading
import tallymark as tm
from tallymark.engine.lock import cells, slow_path

registry = tm.Registry(engine="reference")
counter, gauge = registry.counter("c"), registry.gauge("g")
histogram, timer = registry.histogram("h", buckets=[1, 2]), registry.timer("t")
exponential = registry.histogram("e", exponential=True)
for live in (counter.inc, gauge.inc, lambda: histogram.observe(1), lambda: timer.record(1), lambda: exponential.observe(1)):
    live()
RECORDS = {
    "inc": counter.inc, "inc of a tagged series": lambda: counter.inc(a="1"), "set": lambda: gauge.set(7), "dec": gauge.dec,
    "observe": lambda: histogram.observe(1.5), "record": lambda: timer.record(1),
    "observe exponentially": lambda: exponential.observe(-1e9),
}
counter.inc(a="1")

def waits(lock, work):
    '''Return True if work in another thread waits for a lock; it is done when this returns.'''
    thread = threading.Thread(target=work)
    with lock:
        thread.start()
        thread.join(0.2)
        waiting = thread.is_alive()
    thread.join()
    return waiting
"""

HAMMER = """
import gc, sys, threading
import tallymark as tm

THREADS = 4
registry = tm.Registry(limits=tm.TagLimits(max_series=10_000))
counter, gauge = registry.counter("c"), registry.gauge("g")
histogram, short = registry.histogram("h", buckets=[1, 2]), registry.counter("short")
bound, done = counter.with_tags(a="bound"), threading.Event()
failures, removed = [], [0.0]

def record(thread):
    for i in range(N):
        counter.inc()
        bound.inc()
        counter.inc(a=str(i % 7))
        counter.inc(a=f"{thread}-{i % 500}")
        gauge.inc()
        gauge.dec(2)
        histogram.observe(1 + i % 2)
        assert tm.TagSet(x=str(i % 3)) is tm.TagSet(x=str(i % 3))
        if i % 3 == 0:
            short.inc()

def disturb():
    while not done.is_set():
        row = histogram.snapshot()
        assert row.sum == row.bucket_counts[0] + 2 * row.bucket_counts[1], row
        registry.snapshot()
        gc.collect()

def run(work, *arguments):
    try:
        work(*arguments)
    except BaseException as error:
        failures.append(error)

watcher = threading.Thread(target=run, args=(disturb,))
threads = [threading.Thread(target=run, args=(record, each)) for each in range(THREADS)]
for thread in (watcher, *threads):
    thread.start()
for thread in threads:
    thread.join()
done.set()
watcher.join()
if failures:
    raise failures[0]

total, row = N * THREADS, histogram.snapshot()
assert counter.value == bound.value == total, (counter.value, bound.value)
assert sum(series.value for series in counter.series()) == 4 * total
assert gauge.value == -total, gauge.value
assert (row.bucket_counts, row.sum) == ((total / 2, total / 2, 0), total * 1.5), row
assert short.value == THREADS * len(range(0, N, 3)), short.value
assert len(counter.series()) == len({series.tags for series in counter.series()}) == 2 + 7 + 500 * THREADS
print(tm.engine_name, getattr(sys, "_is_gil_enabled", lambda: True)())
"""


def run(code: str, python: str = sys.executable) -> str:
    """Run some code on the reference engine of a new Python, with warnings as errors; return what it prints."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("TALLYMARK_", "PYTHON"))}
    env["PYTHONPATH"] = str(Path(tm.__file__).parents[1])
    done = subprocess.run(
        [python, "-W", "error", "-c", code], env=env, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def test_every_update_of_a_cell_waits_for_the_lock_of_the_cells() -> None:
    ask = "print(*[name for name, record in RECORDS.items() if not waits(cells, record)], waits(cells, counter.remove))"
    assert run(SEEMS_FREE_THREADED + PARTS + ask) == "True"


def test_no_record_to_a_live_series_waits_for_the_slow_paths() -> None:
    ask = "print(*[name for name, record in RECORDS.items() if waits(slow_path(), record)])"
    assert run(SEEMS_FREE_THREADED + PARTS + ask) == ""


def test_what_records_do_is_the_same_under_the_lock() -> None:
    ask = """
for record in (*RECORDS.values(), counter.remove, gauge.remove, histogram.remove, *RECORDS.values()):
    record()
print(counter.value, counter.with_tags(a="1").value, gauge.value, *histogram.snapshot().bucket_counts, timer.snapshot().count,
      exponential.snapshot().count)
"""
    assert run(SEEMS_FREE_THREADED + PARTS + ask) == run(SEEMS_ORDINARY + PARTS + ask) == "1.0 3.0 6.0 0 1 0 3 3"


def test_a_row_that_was_read_never_changes() -> None:
    ask = """
row = histogram._cells
before = row.copy()
histogram.observe(1.5)
print(row == before, histogram._cells == before)
"""
    assert run(SEEMS_FREE_THREADED + PARTS + ask) == "True False"


def test_a_forked_child_gets_a_new_lock() -> None:
    ask = """
import os
release = threading.Event()
holding = threading.Event()
def hold():
    with cells:
        holding.set()
        release.wait()
holder = threading.Thread(target=hold)
holder.start()
holding.wait()
child = os.fork()
if not child:
    counter.inc()
    os._exit(int(counter.value))
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
release.set()
holder.join()
print(code)
"""
    quiet = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n"  # 3.12 and later: to fork beside threads
    assert run(quiet + SEEMS_FREE_THREADED + PARTS + ask) == "2"


def test_where_there_is_always_a_gil_no_record_takes_a_lock() -> None:
    ask = "print(*[name for name, record in RECORDS.items() if waits(cells, record) or waits(slow_path(), record)])"
    assert run(SEEMS_ORDINARY + PARTS + ask) == ""


def free_threaded() -> str | None:
    """Return an interpreter that runs without a GIL, if there is one."""
    if FREE_THREADED and not has_gil():
        return sys.executable
    return shutil.which("python3.14t") or shutil.which("python3.13t")


@pytest.mark.slow
@pytest.mark.skipif(free_threaded() is None, reason="no python3.13t or python3.14t is on the PATH")
def test_nothing_is_lost_without_a_gil() -> None:
    assert run("N = 4_000\n" + HAMMER, free_threaded() or "") == "reference False"


@pytest.mark.slow
def test_nothing_is_lost_with_the_locks_where_there_is_a_gil() -> None:
    force = SEEMS_FREE_THREADED + "sys._is_gil_enabled = lambda: False\nsys.setswitchinterval(1e-6)\nN = 2_000\n"
    assert run(force + HAMMER) == "reference False"
