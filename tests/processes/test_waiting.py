"""Who waits for the lock of shared memory waits alone, not long, and once; what was rejected meanwhile is counted later."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.metric.rejections import REJECTED

pytestmark = pytest.mark.slow

Held = Callable[[tm.Registry], AbstractContextManager[None]]


@pytest.fixture
def registry(path: Path) -> tm.Registry:
    return tm.Registry(engine="native", shared=path)


@contextmanager
def repeating(work: Callable[[], object]) -> Iterator[list[float]]:
    """Have another thread do some work again and again. Yields when it began each time."""
    began: list[float] = []
    done = threading.Event()

    def repeat() -> None:
        while not done.is_set():
            began.append(time.monotonic())
            work()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        while len(began) < 2:
            time.sleep(0.001)
        yield began
    finally:
        done.set()
        thread.join()


def rejected(registry: tm.Registry, metric: str) -> float:
    found = registry.snapshot().find(REJECTED, metric=metric, reason="unreachable")
    return 0.0 if found is None else found.value


def test_other_threads_run_while_one_waits(registry: tm.Registry, stopped_lock: Held) -> None:
    counter = registry.counter("n")
    with stopped_lock(registry), repeating(lambda: time.sleep(0.001)) as ticks:
        before = len(ticks)
        began = time.monotonic()
        counter.inc(kind="new")
        waited = time.monotonic() - began
        during = ticks[before:]
    assert waited > 0.09  # else there was no wait to look at
    assert len(during) >= 10
    assert max(b - a for a, b in pairwise(during)) < waited / 2


def test_a_signal_is_handled_while_its_thread_waits(registry: tm.Registry, stopped_lock: Held) -> None:
    counter = registry.counter("n")
    handled: list[float] = []
    old = signal.signal(signal.SIGALRM, lambda *_: handled.append(time.monotonic()))
    try:
        with stopped_lock(registry):
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            counter.inc(kind="new")
            returned = time.monotonic()
    finally:
        signal.signal(signal.SIGALRM, old)
    assert len(handled) == 1
    assert returned - handled[0] > 0.02  # long before: not when the wait was over
    counter.inc(kind="new")
    assert rejected(registry, "n") == 1


@pytest.mark.parametrize("what", ["record", "metric", "remove", "snapshot"])
def test_what_a_signal_handler_raises_ends_the_wait(registry: tm.Registry, stopped_lock: Held, what: str) -> None:
    class HandlerError(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise HandlerError

    counter = registry.counter("n")
    counter.inc(kind="known")
    works: dict[str, Callable[[], object]] = {
        "record": lambda: counter.inc(kind="new"),
        "metric": lambda: registry.counter("another"),
        "remove": counter.with_tags(kind="known").remove,
        "snapshot": registry.snapshot,
    }
    old = signal.signal(signal.SIGALRM, interrupt)
    try:
        with stopped_lock(registry):
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            with pytest.raises(HandlerError):
                works[what]()
    finally:
        signal.signal(signal.SIGALRM, old)
    counter.inc(kind="new")  # the lock is had again, and nothing was left half done
    registry.counter("another").inc(kind="new")
    found = {one.tags["kind"]: one.value for one in registry.snapshot()["n"]}
    assert found == {"known": 1, "new": 1}
    assert registry.snapshot().find("another", kind="new") is not None
    assert rejected(registry, "n") == 0


def test_only_the_first_record_waits_and_all_are_counted_later(
    registry: tm.Registry, path: Path, stopped_lock: Held, children: Any
) -> None:
    counter, known = registry.counter("n"), registry.counter("n").with_tags(kind="known")

    def work() -> None:
        known.inc()
        with stopped_lock(registry):
            began = time.monotonic()
            counter.inc(kind="new")
            first = time.monotonic() - began
            for i in range(50):
                counter.inc(kind=f"new-{i}")
                known.inc()
            rest = time.monotonic() - began - first
        assert first < 2
        assert rest < first
        assert known.value == 51
        assert registry.snapshot().find("n", kind="new") is None
        assert rejected(registry, "n") == 51

    assert children.run(work) == 0
    assert rejected(registry, "n") == rejected(tm.Registry(engine="native", shared=path), "n") == 51
    assert {one.tags["kind"] for one in registry.snapshot()["n"]} == {"known"}


def test_the_next_series_settles_what_was_rejected(registry: tm.Registry, path: Path, stopped_lock: Held) -> None:
    """Without a scrape: a worker may never be asked for one. And what failed of other metrics is counted too."""
    watching = tm.Registry(engine="native", shared=path)
    first, second = registry.counter("first"), registry.counter("second")
    gauge = registry.gauge("gauge", aggregate="sum")
    with stopped_lock(registry):
        for i in range(3):
            first.inc(kind=str(i))
            gauge.set(1, kind=str(i))
        second.inc(kind="one")
    assert (rejected(watching, "first"), rejected(watching, "second")) == (0, 0)
    first.inc(kind="ok")
    assert [rejected(watching, name) for name in ("first", "second", "gauge")] == [3, 1, 3]
    first.inc(kind="more")
    assert [rejected(watching, name) for name in ("first", "second", "gauge")] == [3, 1, 3]  # once


def test_a_forked_child_does_not_count_what_its_parent_will(registry: tm.Registry, stopped_lock: Held, children: Any) -> None:
    counter = registry.counter("n")
    with stopped_lock(registry):
        for i in range(5):
            counter.inc(kind=str(i))
    assert children.run(lambda: counter.inc(kind="its")) == 0
    counter.inc(kind="ours")
    assert rejected(registry, "n") == 5


def test_a_wait_keeps_no_thread_from_making_other_metrics(registry: tm.Registry, stopped_lock: Held) -> None:
    """The engines' lock for slow paths, which registries of private memory use too, is not held during the wait."""
    private = tm.Registry(engine="native")
    names = iter(range(10**9))
    with stopped_lock(registry), repeating(lambda: (private.counter(f"n{next(names)}"), time.sleep(0.001))) as made:
        before = len(made)
        began = time.monotonic()
        registry.counter("another")
        waited = time.monotonic() - began
        during = made[before:]
    assert waited > 0.09
    assert len(during) >= 10
    assert max(b - a for a, b in pairwise(during)) < waited / 2


def test_a_series_that_two_threads_wait_for_is_one(registry: tm.Registry, stopped_lock: Held) -> None:
    rounds, threads = 5, 2
    counter = registry.counter("n", limits=tm.TagLimits(max_series=rounds))
    start = threading.Barrier(threads + 1)

    def work() -> None:
        for i in range(rounds):
            start.wait()
            counter.inc(kind=str(i))
            start.wait()

    pool = [threading.Thread(target=work) for _ in range(threads)]
    for thread in pool:
        thread.start()
    for _ in range(rounds):
        with stopped_lock(registry):
            start.wait()
            time.sleep(0.03)
        start.wait()
    for thread in pool:
        thread.join()
    found = {one.tags["kind"]: one.value for one in registry.snapshot()["n"]}
    lost = rejected(registry, "n")  # where this thread was kept waiting for long
    assert lost < threads * rounds
    assert sum(found.values()) == threads * rounds - lost
    assert "overflow" not in {key for one in registry.snapshot()["n"] for key in one.tags}
    assert set(found) <= {str(i) for i in range(rounds)}
    for kind in found:
        counter.with_tags(kind=kind).remove()
    assert registry._families._by_name["n"].empty  # each was counted once
