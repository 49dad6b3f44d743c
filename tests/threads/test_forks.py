"""A child of `os.fork` has values of its own, and can do everything, whatever other threads were doing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from threading import Event, Thread

import pytest

import tallymark as tm

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def in_a_child(work: Callable[[], bool]) -> bool:
    """Fork, and return what `work` returns in the child; an exception or a hang counts as False."""
    child = os.fork()
    if child == 0:
        fine = False
        try:
            signal.alarm(10)  # a deadlock kills the child
            fine = work()
        finally:
            os._exit(0 if fine else 1)
    return os.waitpid(child, 0)[1] == 0


@pytest.fixture
def busy(registry: tm.Registry) -> Iterator[tm.Counter]:
    """A counter of which another thread creates and removes series all the time."""
    counter = registry.counter("busy", limits=tm.TagLimits(max_series=100))
    stop = Event()

    def work() -> None:
        i = 0
        while not stop.is_set():
            counter.inc(i=i % 150)
            counter.with_tags(i=i % 70).remove()
            i += 1

    thread = Thread(target=work)
    thread.start()
    yield counter
    stop.set()
    thread.join()


def test_the_values_of_a_child_are_its_own(registry: tm.Registry) -> None:
    counter = registry.counter("n")
    counter.inc(2)

    def work() -> bool:
        counter.inc(5)
        counter.inc(a="child")
        return counter.value == 7 and registry.snapshot().find("n", a="child") is not None

    assert in_a_child(work)
    assert counter.value == 2
    assert registry.snapshot().find("n", a="child") is None


def test_a_child_can_create_record_remove_and_read_while_another_thread_created(
    registry: tm.Registry, busy: tm.Counter
) -> None:
    def work() -> bool:
        registry.unregister("busy")
        for i in range(200):
            busy.inc(i=i)
        created = registry.histogram("new")
        created.observe(1, a="1")
        created.with_tags(a="1").remove()
        created.observe(1, a="1")
        total = sum(series.value for series in registry.snapshot()["busy"])
        return total == 200 and created.with_tags(a="1").snapshot().count == 1

    for _ in range(15):
        assert in_a_child(work)


def test_a_child_keeps_the_handles_of_its_parent(registry: tm.Registry, busy: tm.Counter) -> None:
    bound = registry.counter("n").with_tags(a="1")

    def work() -> bool:
        bound.inc()
        return bound.value == 1 and registry.counter("n").with_tags(a="1") is bound

    assert in_a_child(work)
    assert bound.value == 0


def test_a_child_of_a_child_works_too(registry: tm.Registry, busy: tm.Counter) -> None:
    def work() -> bool:
        busy.inc(a="child")
        return in_a_child(lambda: busy.inc(a="grandchild") is None)

    assert in_a_child(work)
