"""No process is left without series that the others see, whatever stands between a change and its being noticed."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import tallymark as tm
from tallymark.frozen import replace

TTL = 100.0


@pytest.fixture
def pair(path: Path) -> tuple[tm.Registry, tm.Registry]:
    """Two registries on one file, as in two processes."""
    return tm.Registry(engine="native", shared=path), tm.Registry(engine="native", shared=path)


class Lock:
    """Another process' lock, without the process."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("r+b")

    def _set(self, kind: int) -> None:
        fcntl.fcntl(self.file.fileno(), 37, struct.pack("hhqqi4x", kind, os.SEEK_SET, 2**40, 1, 0))  # F_OFD_SETLK

    def take(self) -> None:
        self._set(fcntl.F_WRLCK)

    def give(self) -> None:
        self._set(fcntl.F_UNLCK)


@pytest.fixture
def lock(path: Path, pair: Any) -> Any:
    made = Lock(path)
    yield made
    made.file.close()


def series(registry: tm.Registry, name: str = "n") -> dict[str, float]:
    return {"".join(one.tags.values()): one.value for one in registry.snapshot()[name]}


def on_text(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> list[bool]:
    """Have something happen when next the tags of a series are read whose keys were never seen: then the lock is not held.

    Returns a list, which is empty until then.
    """
    unpack_from, acted = struct.unpack_from, list[bool]()

    def read(*given: Any) -> Any:
        if not acted:
            acted.append(True)
            act()
        return unpack_from(*given)

    monkeypatch.setattr(struct, "unpack_from", read)  # the engine keeps the function that calls it
    return acted


# What is retired here and stays registered in the file


def test_a_metric_that_could_not_be_unregistered_is_shown_whole(pair: Any, lock: Lock) -> None:
    mine, others = pair
    others.counter("n").inc(3, who="others")
    held = mine.counter("n")  # else a new family would look for all
    held.inc(2, who="mine")
    assert series(mine) == {"others": 3, "mine": 2}
    lock.take()
    mine.unregister("n")
    lock.give()
    for _ in range(2):
        assert series(mine) == series(others) == {"others": 3, "mine": 2}
    assert mine.counter("n") is held


def test_a_metric_that_another_makes_again_meanwhile_is_shown_whole(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between this process' look at the list of metrics and its letting go of the one that it missed there."""
    mine, others = pair
    others.counter("n").inc(3, who="others")
    held = mine.counter("n")  # else a new family would look for all
    held.inc(2, who="mine")
    assert len(series(mine)) == 2
    others.unregister("n")
    families = type(mine._families)
    take_out = families._take_out

    def late(self: Any, name: str, family: Any) -> None:
        monkeypatch.undo()
        others.counter("n").inc(7, who="others")
        family.read()  # as another thread may
        take_out(self, name, family)

    monkeypatch.setattr(families, "_take_out", late)
    mine.snapshot()
    for _ in range(2):
        assert series(mine) == series(others) == {"others": 7}
    assert mine.counter("n") is held


# What is noticed late


def test_a_series_whose_keys_are_new_is_found_once_the_lock_can_be_had(
    pair: Any, lock: Lock, path: Path, children: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, _ = pair
    mine.counter("n").inc(who="mine")
    assert series(mine) == {"mine": 1}
    assert children.run(lambda: tm.Registry(engine="native", shared=path).counter("n").inc(a_key_that_is_new="its")) == 0
    acted = on_text(monkeypatch, lock.take)
    assert series(mine) == {"mine": 1}
    assert acted
    lock.give()
    for _ in range(2):
        assert series(mine) == {"mine": 1, "its": 1}


def test_who_reads_while_another_thread_finds_the_shares_misses_none(
    pair: Any, path: Path, children: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, _ = pair
    mine.gauge("n", aggregate="sum").set(1)
    assert series(mine) == {"": 1}
    ready = os.pipe()

    def work() -> None:
        gauge = tm.Registry(engine="native", shared=path).gauge("n", aggregate="sum")
        gauge.set(10)
        gauge.set(100, a_key_that_is_new_to_a_gauge="its")
        os.write(ready[1], b"x")
        signal.pause()

    children.start(work)
    os.read(ready[0], 1)
    read: list[dict[str, float]] = []

    def act() -> None:
        thread = Thread(target=lambda: read.append(series(mine)))
        thread.start()
        thread.join(30)

    acted = on_text(monkeypatch, act)
    read.append(series(mine))
    assert acted
    assert read == [{"": 11, "its": 100}] * 2
    for end in ready:
        os.close(end)


def test_the_time_of_a_series_that_was_ended_and_made_again_is_the_same_to_all(pair: Any) -> None:
    _, others = pair
    clock = [1000.0]
    for registry in pair:
        registry._families.hooks = replace(registry._families.hooks, now=lambda: clock[0])
    counter = others.counter("n")
    counter.inc(5, who="x")

    def created() -> list[tuple[float, float]]:
        found = [registry.snapshot().find("n", who="x") for registry in pair]
        return [(one.value, one.created) for one in found]  # type: ignore[union-attr]

    assert created() == [(5, 1000)] * 2
    clock[0] += 10
    counter.with_tags(who="x").remove()
    counter.inc(who="x")
    assert created() == [(1, 1010)] * 2


# An end that is taken back


def expires_while_it_is_recorded_to(path: Path, lock: Lock) -> None:
    """Have "n" expire, which waits for the lock; record to it then; and be stopped when it is ended, not yet taken back."""
    clock = [1000.0]
    asked: list[object] = []

    def uptime() -> float:
        asked.append(None)
        return clock[0]

    def handler(_: int, frame: Any) -> None:
        if asked and frame.f_code is not uptime.__code__:  # else it is not yet known to be due
            signal.setitimer(signal.ITIMER_REAL, 0)
            recorder.inc()
            lock.give()

    own, second = (tm.Registry(engine="native", shared=path) for _ in range(2))
    recorder = second.counter("n").with_tags(who="x")
    own._families.hooks = replace(own._families.hooks, uptime=uptime)
    own.snapshot()
    clock[0] += TTL
    lock.take()
    signal.signal(signal.SIGALRM, handler)
    own._families.memory.shared._fault(1, signal.SIGSTOP)  # type: ignore[union-attr]
    asked.clear()
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    own._families.find("n").expire()  # type: ignore[union-attr]


def test_a_series_whose_end_is_taken_back_is_found_by_who_saw_it_ended(
    pair: Any, lock: Lock, path: Path, children: Any
) -> None:
    mine, others = pair
    counter = others.counter("n", ttl=TTL)
    for who in ("x", "y"):
        counter.inc(who=who)
    assert series(mine) == {"x": 1, "y": 1}
    counter.with_tags(who="y").remove()  # has the reader let go of what is ended
    pid = children.start(lambda: expires_while_it_is_recorded_to(path, lock))
    assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
    assert series(mine) == {}
    os.kill(pid, signal.SIGCONT)
    assert children.wait(pid) == 0
    for _ in range(2):
        assert series(mine) == series(others) == {"x": 2}


@pytest.mark.parametrize(("kind", "record"), [("counter", "inc"), ("gauge", "set"), ("histogram", "observe")])
def test_a_series_that_was_ended_and_made_again_has_all_its_time(kind: str, record: str, pair: Any) -> None:
    mine, others = pair
    clock = [1000.0]
    for registry in pair:
        registry._families.hooks = replace(registry._families.hooks, uptime=lambda: clock[0])
    one = getattr(others, kind)("n", ttl=TTL).with_tags(who="x")
    getattr(one, record)(1)
    assert len(mine.snapshot()["n"]) == 1
    clock[0] += TTL - 1
    one.remove()
    getattr(one, record)(1)
    clock[0] += 2
    assert len(mine.snapshot()["n"]) == 1
