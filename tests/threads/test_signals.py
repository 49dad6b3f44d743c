"""Signal handlers that record, while the main thread uses the same instruments: no deadlock, and no lost counts."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest

import tallymark as tm

# The plugin's default way to end a test that hangs is the very signal that is used here.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(60, method="thread")]

EVERY = 0.0002
SECONDS = 0.4


@contextmanager
def signalled(handler: Callable[[], object]) -> Iterator[list[int]]:
    """Call `handler` every so often; the list's one item is the number of calls."""
    calls = [0]

    def handle(number: int, frame: object) -> None:
        calls[0] += 1
        handler()

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, EVERY, EVERY)
    try:
        yield calls
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def for_a_while(call: Callable[[int], object]) -> int:
    """Call `call` with 0, 1, 2 … for a while; return how often it was."""
    end = time.monotonic() + SECONDS
    for i in count():
        call(i)
        if time.monotonic() > end:
            return i + 1
    raise AssertionError


def total(registry: tm.Registry, name: str = "n") -> float:
    return sum(one.histogram.sum if one.family.bounds else one.value for one in registry.snapshot()[name])


@pytest.mark.parametrize(
    ("kind", "call"), [("counter", "inc"), ("gauge", "inc"), ("histogram", "observe"), ("timer", "record")]
)
def test_a_handler_records_to_the_series_that_is_recorded_to(registry: tm.Registry, kind: str, call: str) -> None:
    record = getattr(getattr(registry, kind)("n"), call)
    with signalled(lambda: record(1)) as calls:
        done = for_a_while(lambda i: record(1))
    assert calls[0] > 0
    assert total(registry) == done + calls[0]


def test_a_handler_creates_and_records_while_series_are_created(registry: tm.Registry) -> None:
    root = registry.counter("n", limits=tm.TagLimits(max_series=10**9))
    newest = 0

    def create(i: int) -> None:
        nonlocal newest
        newest = i
        root.inc(i=i)

    with signalled(lambda: root.inc(i=newest)) as calls:
        done = for_a_while(create)
    assert calls[0] > 0
    assert total(registry) == done + calls[0]


def test_a_handler_records_while_its_series_is_removed(registry: tm.Registry) -> None:
    bound = registry.counter("n").with_tags(a="1")
    with signalled(bound.inc) as calls:
        for_a_while(lambda i: bound.remove())
    assert calls[0] > 0
    before = bound.value
    bound.inc()
    found = registry.snapshot().find("n", a="1")
    assert found is not None
    assert found.value == before + 1


def test_a_handler_records_during_snapshots(registry: tm.Registry) -> None:
    root = registry.histogram("n", ttl=1000)

    def read_and_record(i: int) -> None:
        registry.snapshot()
        root.observe(1, i=i % 3)

    with signalled(lambda: root.observe(1, a="1")) as calls:
        for_a_while(read_and_record)
        done = sum(one.histogram.count for one in registry.snapshot()["n"] if "i" in one.tags)
    assert calls[0] > 0
    assert total(registry) == done + calls[0]


def test_a_handler_takes_snapshots_and_unregisters(registry: tm.Registry) -> None:
    root = registry.counter("n")

    def handle() -> None:
        registry.snapshot()
        registry.unregister("n")
        registry.expire()

    with signalled(handle) as calls:
        for_a_while(lambda i: root.inc(i=i % 50))
    assert calls[0] > 0
    root.inc(last="x")
    assert registry.snapshot().find("n", last="x") is not None
