"""Gauges of which each process has a share: any reader combines them, they end together, and `aggregate` rules what stays."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.frozen import replace


def value(registry: tm.Registry, name: str, **tags: str) -> float:
    found = registry.snapshot().find(name, tags)
    assert found is not None, (name, tags)
    return found.value


@pytest.fixture
def waiting(children: Any) -> Any:
    """Starts children that do some work and then wait to be killed."""

    def start(work: Any) -> int:
        ready = os.pipe()

        def do() -> None:
            work()
            os.write(ready[1], b"x")
            time.sleep(60)

        pid = children.start(do)
        assert os.read(ready[0], 1) == b"x"
        return int(pid)

    return start


@pytest.mark.parametrize(("aggregate", "alive", "after"), [("sum", 7, 4), ("max", 4, 4), ("min", 1, 1)])
def test_gauges_combine(shared: tm.Registry, children: Any, aggregate: str, alive: float, after: float) -> None:
    """A dead process' value leaves a sum, and stays in a maximum and a minimum."""
    ready = os.pipe()
    gauge = shared.gauge("depth", aggregate=aggregate)
    gauge.set(4, queue="a")

    def work(number: float) -> None:
        gauge.set(number, queue="a")
        os.write(ready[1], b"x")
        time.sleep(60)

    pids = [children.start(lambda number=number: work(number)) for number in (1, 2)]
    for _ in pids:
        os.read(ready[0], 1)
    assert value(shared, "depth", queue="a") == alive
    assert gauge.with_tags(queue="a").value == 4
    for pid in pids:
        children.kill(pid)
    assert value(shared, "depth", queue="a") == after
    assert children.run(lambda: None) == 0  # takes a place that is free again
    assert value(shared, "depth", queue="a") == after


def test_a_share_is_the_process_own(shared: tm.Registry, children: Any) -> None:
    gauge = shared.gauge("depth", aggregate="sum")
    gauge.set(4)

    def work() -> None:
        assert gauge.value == 0
        gauge.inc()
        assert gauge.value == 1

    assert children.run(work) == 0
    assert gauge.value == 4
    with pytest.raises(tm.MetricConflictError, match="aggregate"):
        shared.gauge("depth", aggregate="max")
    with pytest.raises(ValueError, match="aggregate"):
        shared.gauge("other", aggregate="median")


@pytest.mark.parametrize("aggregate", ["sum", "max", "min"])
def test_remove_ends_the_shares_of_all(shared: tm.Registry, waiting: Any, aggregate: str) -> None:
    gauge = shared.gauge("depth", aggregate=aggregate)
    gauge.set(1, queue="kept")
    waiting(lambda: gauge.set(2, queue="a"))
    waiting(lambda: gauge.set(3, queue="a"))
    assert shared.snapshot().find("depth", queue="a") is not None
    gauge.with_tags(queue="a").remove()
    assert shared.snapshot().find("depth", queue="a") is None
    assert value(shared, "depth", queue="kept") == 1


def test_unregister_ends_the_shares_of_all(shared: tm.Registry, waiting: Any) -> None:
    waiting(lambda: shared.gauge("depth", aggregate="sum").set(2))
    assert value(shared, "depth") == 2
    assert shared.unregister("depth")
    assert "depth" not in shared.snapshot()
    shared.gauge("depth", aggregate="sum").set(5)
    assert value(shared, "depth") == 5


def test_the_limit_on_series_is_of_all_shares_together(path: Path, waiting: Any) -> None:
    registry = tm.Registry(engine="native", shared=path, limits=tm.TagLimits(max_series=10))
    gauge = registry.gauge("depth", aggregate="sum")
    for i in range(10):
        gauge.set(1, queue=str(i))
    waiting(lambda: [gauge.set(1, queue=str(i)) for i in range(20)])
    snapshot = registry.snapshot()
    assert {one.tags["queue"]: one.value for one in snapshot["depth"] if "queue" in one.tags} == {str(i): 2 for i in range(10)}
    assert snapshot.find("depth", overflow="true") is not None
    assert len(snapshot["depth"]) == 11


def test_a_death_frees_its_series_for_others(path: Path, waiting: Any, children: Any) -> None:
    registry = tm.Registry(engine="native", shared=path, limits=tm.TagLimits(max_series=10))
    gauge = registry.gauge("depth", aggregate="sum")
    children.kill(waiting(lambda: [gauge.set(1, queue=str(i)) for i in range(10)]))
    registry.snapshot()
    for i in range(10):
        gauge.set(1, queue=f"new-{i}")
    assert {one.value for one in registry.snapshot()["depth"]} == {1}


def test_a_series_expires_once_no_share_changes(shared: tm.Registry, waiting: Any) -> None:
    clock = [1000.0]
    shared._families.hooks = replace(shared._families.hooks, uptime=lambda: clock[0])
    gauge = shared.gauge("depth", aggregate="sum", ttl=100)
    gauge.set(1, queue="a")
    gauge.set(1, queue="b")
    waiting(lambda: gauge.set(2, queue="a"))
    assert value(shared, "depth", queue="a") == 3
    clock[0] += 60
    gauge.set(5, queue="a")  # of the series' two shares, one changes
    assert value(shared, "depth", queue="a") == 7
    clock[0] += 60
    assert value(shared, "depth", queue="a") == 7
    assert shared.snapshot().find("depth", queue="b") is None
    clock[0] += 60
    assert shared.expire() == 1
    assert shared.snapshot().find("depth", queue="a") is None


def test_what_is_no_number_combines_too(shared: tm.Registry, waiting: Any) -> None:
    gauge = shared.gauge("depth", aggregate="sum")
    gauge.set(math.inf)
    waiting(lambda: gauge.set(-math.inf))
    assert math.isnan(value(shared, "depth"))


@pytest.mark.slow
def test_a_maximum_over_many_lives_needs_no_space_for_each(shared: tm.Registry, children: Any) -> None:
    gauge = shared.gauge("peak", aggregate="max")
    used = []
    for i in range(40):
        assert children.run(lambda i=i: gauge.set(i)) == 0
        assert value(shared, "peak") == i
        used.append(shared._families.memory.shared.usage()["used"])  # type: ignore[union-attr]
    assert used[-1] == used[5]


def test_callbacks_report_each_process_that_is_read(shared: tm.Registry, children: Any) -> None:
    """A counter adds up what each callback returned, and never goes down; a gauge combines by its `aggregate`."""
    here = {"hits": 10.0}
    shared.counter("hits", callback=lambda: here["hits"])
    shared.gauge("size", callback=lambda: here["hits"], aggregate="sum")
    assert (value(shared, "hits"), value(shared, "size")) == (10, 10)

    def work() -> None:
        here["hits"] += 5  # the child's own; it began with its parent's total
        assert (value(shared, "hits"), value(shared, "size")) == (15, 25)
        here["hits"] = 2  # started again from 0
        assert value(shared, "hits") == 17

    assert children.run(work) == 0
    assert (value(shared, "hits"), value(shared, "size")) == (17, 10)


def test_cpu_time_starts_anew_in_a_child_and_all_of_it_is_told(shared: tm.Registry, children: Any) -> None:
    def burn(seconds: float) -> None:
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass

    def work() -> None:
        burn(0.01)
        told = value(shared, "cpu")

        def inner() -> None:
            burn(told + 0.05)  # more than the parent told, so that it does not look like a total that began anew
            used = time.process_time()
            assert value(shared, "cpu") >= told + used

        assert children.run(inner) == 0

    shared.counter("cpu", callback=time.process_time)
    assert children.run(work) == 0  # a child, which itself begins with 0: the tests before used much


def test_a_child_leaves_the_series_that_its_parent_s_callback_returned(shared: tm.Registry, children: Any) -> None:
    here = {"a": 1.0}
    shared.gauge("size", callback=lambda: [({"of": of}, size) for of, size in here.items()], aggregate="sum")
    assert value(shared, "size", of="a") == 1

    def work() -> None:
        here.clear()
        here["b"] = 2
        assert (value(shared, "size", of="a"), value(shared, "size", of="b")) == (1, 2)

    assert children.run(work) == 0
    assert value(shared, "size", of="a") == 1


# The gauge that nobody chose an aggregate for


def hints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "survives kills" in record.getMessage()]


def moved(gauge: Any) -> None:
    """What the engine does when a series wakes in order to be moved."""
    for _ in range(3):
        gauge._family.policy.gauge_moved(gauge._family)


def test_a_gauge_without_an_aggregate_gets_one_hint(shared: tm.Registry, caplog: pytest.LogCaptureFixture) -> None:
    moved(shared.gauge("in_flight"))
    (said,) = hints(caplog)
    assert "'in_flight'" in said
    assert 'aggregate="sum"' in said


@pytest.mark.parametrize("aggregate", ["last", "sum", "max", "min"])
@pytest.mark.parametrize("adopted", [False, True])
def test_a_gauge_whose_aggregate_was_chosen_gets_no_hint(adopted: bool, aggregate: Any, path: Path, caplog: Any) -> None:
    first, second = (tm.Registry(engine="native", shared=path) for _ in range(2))
    first.gauge("in_flight", aggregate=aggregate)
    if adopted:
        second.snapshot()
    moved(first.gauge("in_flight"))
    moved(second.gauge("in_flight", aggregate=aggregate))
    assert not hints(caplog)


def test_a_gauge_of_the_file_gets_a_hint_where_this_process_chose_nothing(path: Path, caplog: Any) -> None:
    first, second = (tm.Registry(engine="native", shared=path) for _ in range(2))
    first.gauge("in_flight")
    moved(second.gauge("in_flight"))
    assert len(hints(caplog)) == 1


@pytest.mark.parametrize("move", ["inc", "dec", "add", "inc_tagged", "bound", "track_in_progress"])
def test_the_engine_tells_the_policy_of_a_shared_gauge_that_moves(move: str, shared: tm.Registry, caplog: Any) -> None:
    gauge = shared.gauge("in_flight")
    for i in range(3):
        match move:
            case "add":
                gauge.add(2)
            case "inc_tagged":
                gauge.inc(i=i)
            case "bound":
                gauge.with_tags(i=i).inc()
            case "track_in_progress":
                with gauge.track_in_progress():
                    pass
            case _:
                getattr(gauge, move)()
    assert len(hints(caplog)) == 1


def test_no_other_gauge_gets_the_hint(shared: tm.Registry, caplog: pytest.LogCaptureFixture) -> None:
    shared.gauge("set").set(1)
    shared.gauge("chosen", aggregate="sum").inc()
    shared.gauge("one", aggregate="last").inc()
    shared.info("service", version="1")
    shared.state("mode", ["on", "off"]).set("on")
    tm.Registry(engine="native").gauge("private").inc()
    tm.process_metrics(shared)
    shared.snapshot()
    assert not hints(caplog)
