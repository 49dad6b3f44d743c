"""What a scrape shows of metrics with a `ttl`: the value that a series has, until it ends; and then nothing, never a 0."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from math import isnan, nan
from threading import Event, Thread
from typing import Any

import pytest

import tallymark as tm
from tallymark.frozen import replace

TTL = 100.0
KINDS = {"counter": "inc", "gauge": "set", "histogram": "observe", "timer": "record"}


@pytest.fixture
def clock(registry: tm.Registry) -> list[float]:
    """The clock by which the registry's series expire."""
    clock = [1000.0]
    registry._families.hooks = replace(registry._families.hooks, uptime=lambda: clock[0])
    return clock


def number(series: Any) -> float:
    """A series' value, or how many values were observed."""
    value: float = series.count if series.kind in ("histogram", "timer") else series.value
    return value


def shown(registry: tm.Registry, name: str = "n") -> dict[tuple[tuple[str, str], ...], float]:
    """The series that a snapshot shows, none for a metric that it does not have; and none but those is on the page."""
    snapshot = registry.snapshot()
    found = {tuple(one.tags.items()): number(one) for one in snapshot[name]} if name in snapshot else {}
    lines = tm.render_prometheus(snapshot).decode().splitlines()
    assert any(line.startswith((f"{name} ", f"{name}_", f"{name}{{")) for line in lines) is bool(found)
    return found


def lapse(registry: tm.Registry, clock: list[float]) -> None:
    """Have everything that may expire do so."""
    registry.snapshot()
    clock[0] += TTL
    registry.snapshot()


@pytest.mark.parametrize("kind", ["counter", "gauge"])
@pytest.mark.parametrize("tagged", [False, True])
def test_what_a_callback_tells_is_shown_at_each_reading(
    kind: str, tagged: bool, registry: tm.Registry, clock: list[float]
) -> None:
    told = 12345.0
    value = [({"a": "1"}, told), ({"a": "2"}, 0)] if tagged else told
    getattr(registry, kind)("n", ttl=TTL, callback=lambda: value)
    expected = {(("a", "1"),): told, (("a", "2"),): 0} if tagged else {(): told}
    for step in [0, 1, TTL / 2, TTL, TTL + 1, 5 * TTL] * 3:
        clock[0] += step
        assert shown(registry) == expected
        if step > TTL:
            assert registry.expire() in (0, len(expected))


def test_a_callback_that_returns_no_more_shows_nothing(registry: tm.Registry, clock: list[float]) -> None:
    pairs: list[Any] = [({"a": "1"}, 5)]
    registry.gauge("n", ttl=TTL, callback=lambda: pairs)
    assert shown(registry) == {(("a", "1"),): 5}
    del pairs[:]
    for _ in range(3):
        assert shown(registry) == {}
        clock[0] += TTL


@pytest.mark.parametrize("value", [7.0, 0.0, nan])
@pytest.mark.parametrize("tags", [{}, {"a": "1"}])
def test_a_gauge_that_is_set_before_each_reading_is_always_shown(
    value: float, tags: dict[str, str], registry: tm.Registry, clock: list[float]
) -> None:
    gauge = registry.gauge("n", ttl=TTL)
    for step in [0, 1, TTL, TTL + 1, 5 * TTL] * 3:
        clock[0] += step
        gauge.set(value, **tags)
        found = shown(registry)
        assert list(found) == [tuple(tags.items())]
        assert found[tuple(tags.items())] == value or isnan(value)


@pytest.mark.parametrize("kind", KINDS)
def test_before_its_first_record_a_metric_shows_that_nothing_was_recorded(
    kind: str, registry: tm.Registry, clock: list[float]
) -> None:
    instrument = getattr(registry, kind)("n", ttl=TTL)
    for _ in range(3):
        assert shown(registry) == {(): 0}
        clock[0] += TTL
    assert instrument.series() == []


@pytest.mark.parametrize("how", ["expired", "removed"])
@pytest.mark.parametrize("tags", [{}, {"a": "1"}])
@pytest.mark.parametrize("kind", KINDS)
def test_a_metric_whose_series_all_ended_shows_none(
    kind: str, tags: dict[str, str], how: str, registry: tm.Registry, clock: list[float]
) -> None:
    instrument = getattr(registry, kind)("n", ttl=TTL)
    for _ in range(2):
        getattr(instrument, KINDS[kind])(3, **tags)
        assert list(shown(registry)) == [tuple(tags.items())]
        clock[0] += TTL
        if how == "removed":
            instrument.with_tags(**tags).remove()
        for _ in range(3):
            assert shown(registry) == {}
            clock[0] += TTL


def test_what_is_in_progress_is_shown_until_it_ends(registry: tm.Registry, clock: list[float]) -> None:
    gauge = registry.gauge("n", ttl=TTL)
    for _ in range(2):
        with gauge.track_in_progress(a="1"):
            for _ in range(4):
                assert shown(registry) == {(("a", "1"),): 1}
                clock[0] += 3 * TTL
        assert shown(registry) == {(("a", "1"),): 0}
        clock[0] += TTL
        assert shown(registry) == {}


def test_what_is_in_progress_may_overlap(registry: tm.Registry, clock: list[float]) -> None:
    gauge = registry.gauge("n", ttl=TTL)
    for move, value in [(gauge.inc, 1), (gauge.inc, 2), (gauge.dec, 1), (gauge.inc, 2), (gauge.dec, 1), (gauge.dec, 0)]:
        move()
        for _ in range(3 if value else 1):
            assert shown(registry) == {(): value}
            clock[0] += 2 * TTL
    assert shown(registry) == {}


def test_operations_in_flight_are_shown_until_they_end(registry: tm.Registry, clock: list[float]) -> None:
    registry.gauge("operations_in_flight", ttl=TTL)
    operations = tm.OperationalMetrics(registry, in_flight=True)
    series = (("operation", "auth"),)
    with operations.operation("auth"):
        for _ in range(4):
            assert shown(registry, "operations_in_flight") == {series: 1}
            clock[0] += 3 * TTL
    assert shown(registry, "operations_in_flight") == {series: 0}
    clock[0] += TTL
    assert shown(registry, "operations_in_flight") == {}


@pytest.mark.parametrize("value", [5.0, nan])
def test_a_gauge_that_is_set_after_it_moved_expires(value: float, registry: tm.Registry, clock: list[float]) -> None:
    gauge = registry.gauge("n", ttl=TTL)
    gauge.inc(a="1")
    lapse(registry, clock)
    gauge.set(value, a="1")
    assert len(shown(registry)) == 1
    clock[0] += TTL
    assert shown(registry) == {}


def test_a_series_that_ended_begins_anew(registry: tm.Registry, clock: list[float]) -> None:
    """As it was never in progress."""
    gauge = registry.gauge("n", ttl=TTL)
    gauge.inc(a="1")
    gauge.with_tags(a="1").remove()
    gauge.set(4, a="1")
    assert shown(registry) == {(("a", "1"),): 4}
    clock[0] += TTL
    assert shown(registry) == {}


# Callbacks


@pytest.mark.parametrize("ttl", [None, TTL])
def test_a_callback_that_replaces_another_leaves_none_of_its_series(
    ttl: float | None, registry: tm.Registry, clock: list[float]
) -> None:
    registry.gauge("n", ttl=ttl, callback=lambda: [({"a": "1"}, 1), ({"a": "2"}, 2)])
    assert len(shown(registry)) == 2
    registry.gauge("n", ttl=ttl, callback=lambda: [({"a": "2"}, 3)])
    registry.gauge("n", ttl=ttl, callback=lambda: [({"b": "1"}, 4)])  # before the last one was ever asked
    assert shown(registry) == {(("b", "1"),): 4}


class Waiting:
    """A callback that waits, in one thread, while `at` is set; each call tells another series."""

    def __init__(self) -> None:
        self.entered, self.go_on = Event(), Event()
        self.calls = 0

    def __call__(self) -> list[tuple[dict[str, str], int]]:
        self.calls += 1
        call = self.calls
        if call == 2:
            self.entered.set()
            assert self.go_on.wait(30)
        return [({"call": str(call)}, call)]


@pytest.fixture
def waiting(registry: tm.Registry) -> Iterator[Waiting]:
    """A callback of "n" that was asked once, and is now asked by a thread, which waits in it."""
    callback = Waiting()
    registry.gauge("n", callback=callback)
    registry.counter("m").inc()
    registry.snapshot()
    thread = Thread(target=registry.snapshot)
    thread.start()
    assert callback.entered.wait(30)
    yield callback
    callback.go_on.set()
    thread.join()
    assert shown(registry) == {(("call", str(callback.calls)),): callback.calls}  # and none of an earlier call


def test_a_reader_does_not_wait_for_a_callback_that_another_asks(registry: tm.Registry, waiting: Waiting) -> None:
    for i in range(1, 4):
        assert shown(registry) == {(("call", "1"),): 1}  # what was told before
        assert shown(registry, "m") == {(): i}
        registry.counter("m").inc()
    assert waiting.calls == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_asks_a_callback_that_its_parent_was_asking(registry: tm.Registry, waiting: Waiting) -> None:
    def work() -> bool:
        return [shown(registry) for _ in range(2)] == [{(("call", "3"),): 3}, {(("call", "4"),): 4}]

    assert in_a_child(work)


def in_a_child(work: Callable[[], bool]) -> bool:
    child = os.fork()
    if child == 0:
        fine = False
        try:
            signal.alarm(10)
            fine = work()
        finally:
            os._exit(0 if fine else 1)
    return os.waitpid(child, 0)[1] == 0
