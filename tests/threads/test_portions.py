"""A family of very many series is read in portions, between which other threads run.

Each series that lives all the time is read once, and none is read twice.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tallymark as tm

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

SERIES = 40_000
READINGS = 5


class Meanwhile:
    """What another thread does again and again, in steps, while the body reads."""

    def __init__(self, work: Callable[[], Iterator[None]]) -> None:
        self._work = work
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.steps = 0
        self.failures: list[BaseException] = []

    def _run(self) -> None:
        try:
            while True:
                for _ in self._work():
                    self.steps += 1
                    if self._ends.is_set():
                        return
        except BaseException as error:
            self.failures.append(error)

    def __enter__(self) -> Meanwhile:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ends.set()
        self._thread.join()
        assert not self.failures


def populated(kind: str = "counter") -> tuple[tm.Registry, Any]:
    registry = tm.Registry(engine="native", self_metrics=False, limits=tm.TagLimits(max_series=4 * SERIES))
    instrument = getattr(registry, kind)("n")
    for i in range(SERIES):
        record(instrument, i)
    return registry, instrument


def record(instrument: Any, i: object) -> None:
    (instrument.inc if isinstance(instrument.with_tags(i=i), tm.Counter) else instrument.observe)(1, i=i)


def names_of(registry: tm.Registry) -> list[str]:
    return [tags["i"] for tags in registry.snapshot()["n"].data.tags]


def read_often(registry: tm.Registry, during: Meanwhile) -> None:
    """Read, and check that all series of even numbers are there, which stay; at least once while the other thread ran."""
    met = False
    for _ in range(READINGS):
        before = during.steps
        snapshot = registry.snapshot()
        met = met or during.steps > before + 10
        names = [tags["i"] for tags in snapshot["n"].data.tags]
        assert len(set(names)) == len(names)
        assert sum(name.isdigit() and int(name) % 2 == 0 for name in names) == SERIES // 2
        assert tm.render_prometheus(snapshot).count(b'{i="') >= len(names)
    assert met


@pytest.mark.parametrize("kind", ["counter", "histogram"])
def test_series_come_and_go_while_they_are_read(kind: str) -> None:
    registry, instrument = populated(kind)

    def work() -> Iterator[None]:
        for i in range(1, SERIES, 98):
            odd = instrument.with_tags(i=i)
            odd.remove()
            record(instrument, f"new {i}")
            if i % 3:
                record(instrument, i)
            yield
            instrument.with_tags(i=f"new {i}").remove()

    with Meanwhile(work) as during:
        read_often(registry, during)


def test_other_threads_run_while_exponential_buckets_are_read() -> None:
    """No thread takes the GIL here that is not let have it."""
    histogram = tm.Registry(engine="native", limits=tm.TagLimits(max_series=SERIES)).histogram("n", exponential=True)
    for i in range(2_000):
        histogram.observe(1, i=i)
        histogram.observe(1.4, i=i)

    def work() -> Iterator[None]:
        time.sleep(0)
        yield

    interval = sys.getswitchinterval()
    with Meanwhile(work) as during:
        while during.steps == 0:
            time.sleep(0.001)
        sys.setswitchinterval(1000)
        try:
            before = during.steps
            read = histogram._family.read()
            assert during.steps > before
        finally:
            sys.setswitchinterval(interval)
    assert len(read.tags) == 2_000


def test_so_many_go_while_they_are_read_that_the_rows_move() -> None:
    registry, counter = populated()

    def work() -> Iterator[None]:
        for i in range(1, SERIES, 2):
            counter.with_tags(i=i).remove()
            counter.inc(i=f"new {i}")
            yield
        for i in range(1, SERIES, 2):
            counter.with_tags(i=f"new {i}").remove()
            yield

    with Meanwhile(work) as during:
        read_often(registry, during)


def test_two_threads_read_at_once() -> None:
    registry, counter = populated()

    def work() -> Iterator[None]:
        names = names_of(registry)
        assert len(names) == len(set(names)) == SERIES
        yield

    with Meanwhile(work) as during:
        for _ in range(READINGS):
            counter.inc(2, i=5)
            assert tm.render_prometheus(registry.snapshot()).count(b"\n") == SERIES + 1
    assert during.steps > 0


def test_a_child_is_forked_while_another_thread_reads() -> None:
    registry, counter = populated()

    def work() -> Iterator[None]:
        tm.render_prometheus(registry.snapshot())
        yield

    def change_and_read() -> bool:
        for i in range(1, SERIES, 2):
            counter.with_tags(i=i).remove()
            counter.inc(i=f"new {i}")
        names = names_of(registry)
        body = tm.render_prometheus(registry.snapshot())
        return len(names) == len(set(names)) == SERIES and body.count(b"\n") == SERIES + 1

    with Meanwhile(work):
        for _ in range(READINGS):
            child = os.fork()
            if child == 0:
                fine = False
                try:
                    fine = change_and_read()
                finally:
                    os._exit(0 if fine else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
