"""Runs of the garbage collector are recorded as they are, from any thread and process, and never hurt who allocates."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.bench.allocations import allocations_per_op
from tallymark.engine.lock import slow_path
from tallymark.integrations import gc as integration

GENERATION = "cpython.gc.generation"
COUNTERS = ("cpython.gc.collections", "cpython.gc.collected_objects", "cpython.gc.uncollectable_objects")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """No runs but those that a test asks for."""
    gc.disable()
    yield
    integration.uninstrument()
    gc.enable()


def values(registry: tm.Registry, generation: int) -> list[float]:
    snapshot = registry.snapshot()
    found: list[Any] = [snapshot.find(name, **{GENERATION: str(generation)}) for name in COUNTERS]
    return [one.value for one in found]


def pauses(registry: tm.Registry, generation: int) -> Any:
    found: Any = registry.snapshot().find("cpython.gc.duration", **{GENERATION: str(generation)})
    return found.histogram


def cycles(count: int) -> None:
    for _ in range(count):
        one: list[Any] = []
        one.append(one)


def test_each_run_is_recorded_by_generation(registry: tm.Registry) -> None:
    gc.collect()
    integration.instrument(registry=registry)
    cycles(7)
    gc.collect(0)
    gc.collect(1)
    gc.collect(1)
    assert [values(registry, n) for n in range(3)] == [[1, 7, 0], [2, 0, 0], [0, 0, 0]]
    assert [pauses(registry, n).count for n in range(3)] == [1, 2, 0]


def test_what_is_recorded_is_what_python_counts(registry: tm.Registry) -> None:
    integration.instrument(registry=registry)
    before = gc.get_stats()
    cycles(100)
    gc.collect()
    gc.collect(0)
    for generation, (was, now) in enumerate(zip(before, gc.get_stats(), strict=True)):
        grown = [now[key] - was[key] for key in ("collections", "collected", "uncollectable")]
        assert values(registry, generation) == grown


def test_a_pause_is_as_long_as_its_clock_says(registry: tm.Registry) -> None:
    integration.instrument(registry=registry)
    clock = iter([10.0, 10.25])
    integration._active[0]._now = lambda: next(clock)
    gc.collect()
    assert pauses(registry, 2).sum == 0.25


def test_a_run_that_began_before_is_not_recorded(registry: tm.Registry) -> None:
    integration.instrument(registry=registry)
    for callback in list(gc.callbacks):
        callback("stop", {"generation": 2, "collected": 1, "uncollectable": 0})
    assert values(registry, 2) == [0, 0, 0]


def test_another_call_replaces_the_first_and_undoing_leaves_nothing(registry: tm.Registry) -> None:
    before = list(gc.callbacks)
    other = tm.Registry()
    integration.instrument(registry=other)
    integration.instrument(registry=registry)
    assert len(gc.callbacks) == len(before) + 1
    gc.collect()
    integration.uninstrument()
    integration.uninstrument()
    gc.collect()
    assert gc.callbacks == before
    assert (values(registry, 2)[0], values(other, 2)[0]) == (1, 0)


def test_a_callback_that_somebody_took_away_is_no_error(registry: tm.Registry) -> None:
    integration.instrument(registry=registry)
    gc.callbacks.remove(integration._active[0])
    integration.uninstrument()


def test_what_cannot_be_instrumented_changes_nothing(registry: tm.Registry) -> None:
    integration.instrument(registry=registry)
    with pytest.raises(TypeError, match="registry must be a Registry, not str"):
        integration.instrument(registry="metrics")  # type: ignore[arg-type]
    clash = tm.Registry()
    clash.gauge("cpython.gc.collections")
    with pytest.raises(tm.MetricConflictError):
        integration.instrument(registry=clash)
    gc.collect()
    assert values(registry, 2)[0] == 1


def test_the_current_registry_is_the_default(registry: tm.Registry) -> None:
    with tm.use(registry):
        integration.instrument()
    gc.collect()
    assert values(registry, 2)[0] == 1


def test_a_registry_of_exponential_buckets_gets_them(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, exponential=True)
    integration.instrument(registry=registry)
    assert type(registry.snapshot()["cpython.gc.duration"].data) is tm.ExponentialHistogramData


def test_a_run_under_the_lock_of_slow_paths_is_recorded_at_once(registry: tm.Registry) -> None:
    """A collection begins wherever something is allocated: under our own lock too, and while another thread has it."""
    integration.instrument(registry=registry)
    with slow_path():
        gc.collect()
        other = threading.Thread(target=gc.collect)
        other.start()
        other.join(10)
        assert not other.is_alive(), "the run of another thread waits for the lock"
    assert values(registry, 2)[0] == 2


def no_slow_paths(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a record that makes or wakes a series fail."""

    def fail(*_: object) -> None:
        raise AssertionError("a slow path")

    for hook in ("now", "reject", "readmit"):
        monkeypatch.setattr(type(registry._families.hooks), hook, fail)


def test_a_run_makes_no_series_and_calls_no_python_of_ours(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    integration.instrument(registry=registry)
    no_slow_paths(registry, monkeypatch)
    gc.collect()
    monkeypatch.undo()
    assert values(registry, 2)[0] == 1


def test_a_run_asks_for_no_exemplar(engine: Any) -> None:
    """What is asked for one may wait for a lock that its thread has: a collection begins at any of its allocations."""
    asked: list[str] = []

    def source() -> dict[str, object]:
        asked.append("asked")
        return {"trace_id": "1"}

    registry = tm.Registry(engine=engine.name, exemplars=source)
    integration.instrument(registry=registry)
    for _ in range(3):
        gc.collect()
    assert values(registry, 2)[0] == pauses(registry, 2).count == 3
    assert asked == []


def test_a_run_allocates_nothing() -> None:
    integration.instrument(registry=tm.Registry(engine="native"))
    (callback,) = integration._active
    info = {"generation": 1, "collected": 12, "uncollectable": 0}

    def runs(iterations: Any) -> None:
        for _ in iterations:
            callback("start", info)
            callback("stop", info)

    assert allocations_per_op(runs) == (0, 0)


def test_an_unregistered_metric_raises_nothing(registry: tm.Registry, capsys: pytest.CaptureFixture[str]) -> None:
    integration.instrument(registry=registry)
    for name in (*COUNTERS, "cpython.gc.duration"):
        registry.unregister(name)
    gc.collect()
    assert values(registry, 2)[0] == 1
    assert capsys.readouterr().err == ""


def in_child(work: Callable[[], object]) -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("how", ["file", "inherited"])
def test_processes_that_share_a_registry_add_up(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = tm.Registry(shared=tmp_path / "metrics" if how == "file" else True)
    integration.instrument(registry=registry)
    gc.collect()

    def work() -> None:
        no_slow_paths(registry, monkeypatch)  # the series were found again at the fork, not in a run
        gc.collect()
        gc.collect()
        monkeypatch.undo()

    in_child(work)
    assert values(registry, 2)[0] == 3
    assert pauses(registry, 2).count == 3


def test_a_child_with_a_registry_of_its_own_is_left_alone(registry: tm.Registry) -> None:
    integration.instrument(registry=registry)
    in_child(gc.collect)
    assert values(registry, 2)[0] == 0
