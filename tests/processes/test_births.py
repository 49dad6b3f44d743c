"""A process sees what others made between its scrapes, and looks for it only where there is some."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import pytest

import tallymark as tm

Held = Callable[[tm.Registry], AbstractContextManager[None]]


@pytest.fixture
def pair(path: Path) -> tuple[tm.Registry, tm.Registry]:
    """Two registries on one file, as in two processes."""
    return tm.Registry(engine="native", shared=path), tm.Registry(engine="native", shared=path)


@pytest.fixture(params=["counter", "sum", "max"])
def make(request: pytest.FixtureRequest) -> Callable[[tm.Registry], Callable[[float, str], None]]:
    """Return how to record to the metric "n" of a registry, which is of one kind or another."""

    def make(registry: tm.Registry) -> Callable[[float, str], None]:
        if request.param == "counter":
            counter = registry.counter("n")
            return lambda value, kind: counter.inc(value, kind=kind)
        gauge = registry.gauge("n", aggregate=request.param)
        return lambda value, kind: gauge.set(value, kind=kind)

    return make


def read(registry: tm.Registry) -> dict[str, float]:
    return {one.tags["kind"]: one.value for one in registry.snapshot()["n"] if one.tags}


def test_each_scrape_sees_what_was_made_since_the_last(pair: Any, make: Any) -> None:
    mine, others = pair
    record, record_there = make(mine), make(others)
    expected = {}
    for i in range(5):
        record_there(i, f"theirs-{i}")
        expected[f"theirs-{i}"] = i
        assert read(mine) == expected
        record(i, f"mine-{i}")  # one's own is no news, and hides none
        record_there(i, f"later-{i}")
        expected |= {f"mine-{i}": i, f"later-{i}": i}
        assert read(mine) == read(others) == expected
        assert read(mine) == expected


def test_what_ended_and_was_made_again_is_seen(pair: Any, make: Any) -> None:
    mine, others = pair
    record = make(others)
    record(1, "a")
    record(2, "b")
    assert read(mine) == {"a": 1, "b": 2}
    others.unregister("n")
    make(others)(5, "a")
    assert read(mine) == {"a": 5}
    mine.unregister("n")
    assert "n" not in others.snapshot()
    record(7, "c")  # by the instrument of before: its metric is registered again
    assert read(mine) == read(others) == {"c": 7}


def test_a_series_that_took_the_slot_of_another_is_seen(pair: Any, make: Any) -> None:
    mine, others = pair
    record = make(others)
    for i in range(20):
        record(i, str(i))
        assert read(mine) == {str(i): i}
        others._families._by_name["n"].root.with_tags(kind=str(i)).remove()
        assert read(mine) == {}
        mine.counter("else").inc(kind=str(i))


def test_a_scrape_that_did_not_get_the_lock_is_made_good_by_the_next(pair: Any, make: Any, stopped_lock: Held) -> None:
    mine, others = pair
    record = make(others)
    record(1, "a")
    assert read(mine) == {"a": 1}
    record(2, "b")
    with stopped_lock(mine):
        assert read(mine)["a"] == 1  # the other one is seen now or later
        assert read(mine)["a"] == 1
    assert read(mine) == {"a": 1, "b": 2}
    record(3, "c")
    assert read(mine) == {"a": 1, "b": 2, "c": 3}


def test_a_scrape_without_news_needs_no_lock_for_each_metric(pair: Any, make: Any, stopped_lock: Held) -> None:
    """What was there before is read while another process has the lock, however often."""
    mine, others = pair
    make(others)(1, "a")
    counter = others.counter("m")
    for i in range(50):
        counter.inc(kind=str(i))
    mine.snapshot()
    with stopped_lock(mine):
        for _ in range(3):
            assert read(mine) == {"a": 1}
            assert len(mine.snapshot()["m"]) == 50


def test_a_handle_sees_what_others_made(pair: Any) -> None:
    """Without a scrape."""
    mine, others = pair
    handle = mine.counter("n").with_tags(kind="a")
    handle.remove()
    others.counter("n").inc(5, kind="a")
    assert handle.value == 5
    others.counter("n").with_tags(kind="a").remove()
    assert handle.value == 0
    others.counter("n").inc(3, kind="a")
    handle.inc()
    assert handle.value == others.counter("n").with_tags(kind="a").value == 4


@pytest.mark.slow
@pytest.mark.parametrize("aggregate", ["last", "sum"])
def test_what_a_process_makes_during_a_scrape_is_seen_by_the_next(
    path: Path, children: Any, aggregate: Literal["last", "sum"]
) -> None:
    """It is stopped at each of its steps in turn, there is a scrape, and it goes on."""
    for step in range(1, 40):
        registry = tm.Registry(engine="native", shared=path)
        gauge = registry.gauge("n", aggregate=aggregate)
        mine = tm.Registry(engine="native", shared=path)
        mine.snapshot()
        made = os.pipe()

        def work(step: int = step, registry: tm.Registry = registry, gauge: tm.Gauge = gauge, made: int = made[1]) -> None:
            registry._families.memory.shared._fault(step, signal.SIGSTOP)  # type: ignore[union-attr]
            gauge.set(5, kind="its")
            os.write(made, b"x")
            os.kill(os.getpid(), signal.SIGSTOP)

        pid = children.start(work)
        assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
        stopped_before = not select.select([made[0]], [], [], 0)[0]
        mine.snapshot()
        if stopped_before:
            os.kill(pid, signal.SIGCONT)
            assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
        assert read(mine) == {"its": 5}, step
        children.kill(pid)
        path.unlink()
        for end in made:
            os.close(end)
        if not stopped_before:
            assert step > 8  # there are that many, or the test tests nothing
            return
    pytest.fail("it never comes to an end")
