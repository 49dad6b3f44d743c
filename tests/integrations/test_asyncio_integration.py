"""The lag of loops and their tasks are told as they are, of several loops, of loops that close, and in shared memory."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.bench.allocations import allocations_per_op
from tallymark.integrations import asyncio as integration


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    """Nothing of it is left."""
    yield
    integration.uninstrument()
    integration._metrics.clear()


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that does not run yet."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def watch_of(registry: tm.Registry) -> integration.Watch:
    (found,) = integration._metrics[registry].watches()
    return found


def lag(registry: tm.Registry, **tags: str) -> Any:
    found: Any = registry.snapshot().find("asyncio.eventloop.lag", **tags)
    return found.histogram


def tasks(registry: tm.Registry) -> dict[str, float]:
    """Return how many tasks there are, by the name of their loop."""
    found: Any = registry.snapshot()["asyncio.tasks"]
    return {one.tags.get("loop", ""): one.value for one in found}


async def ticks(registry: tm.Registry, count: int, **tags: str) -> None:
    """Wait until a loop was measured so often."""
    async with asyncio.timeout(10):
        while lag(registry, **tags).count < count:
            await asyncio.sleep(0.001)


def test_a_loop_that_runs_is_measured(registry: tm.Registry) -> None:
    async def main() -> None:
        integration.instrument(every=0.001, registry=registry)
        await ticks(registry, 5)

    asyncio.run(main())
    assert lag(registry).min >= 0.0


def test_lag_is_what_a_callback_is_late_by(registry: tm.Registry, loop: asyncio.AbstractEventLoop) -> None:
    integration.instrument(loop, every=0.001, registry=registry)
    watch, clock = watch_of(registry), Clock()
    watch._now = clock

    def block() -> None:
        clock.now += 2.501  # of which a thousandth was to pass

    loop.call_soon(block)  # after the loop was asked to call back
    loop.run_until_complete(ticks(registry, 1))
    assert lag(registry).sum == pytest.approx(2.5)


def test_a_loop_that_calls_early_is_not_late(registry: tm.Registry, loop: asyncio.AbstractEventLoop) -> None:
    """uvloop's timers are of whole milliseconds."""
    integration.instrument(loop, every=0.001, registry=registry)
    watch_of(registry)._now = Clock()  # on which no time passes
    loop.run_until_complete(ticks(registry, 3))
    assert lag(registry).sum == 0.0
    assert registry.snapshot().find("tallymark_rejected") is None


def test_tasks_are_counted_when_the_registry_is_read(registry: tm.Registry) -> None:
    async def main() -> None:
        integration.instrument(registry=registry)
        before = asyncio.all_tasks()
        assert before == {asyncio.current_task()}, "it makes no task"
        waiting = [asyncio.create_task(asyncio.sleep(60)) for _ in range(7)]
        assert tasks(registry) == {"": 8}
        waiting.pop().cancel()
        await asyncio.sleep(0)
        assert tasks(registry) == {"": 7}
        assert await asyncio.to_thread(tasks, registry) == {"": 7}

    asyncio.run(main())
    assert tasks(registry) == {"": 0}


def test_several_loops_add_up_or_are_told_apart_by_name(registry: tm.Registry) -> None:
    """They run in threads of their own, and are instrumented from this one."""
    barrier = threading.Barrier(5)

    async def main() -> None:
        others = [asyncio.create_task(asyncio.sleep(60)) for _ in range(2)]
        await asyncio.to_thread(barrier.wait, 10)
        await asyncio.to_thread(barrier.wait, 10)
        assert len(others) == 2

    loops = [asyncio.new_event_loop() for _ in range(4)]
    for one, name in zip(loops, ["", "", "a", "b"], strict=True):
        integration.instrument(one, name=name, every=0.001, registry=registry)
    threads = [threading.Thread(target=one.run_until_complete, args=(main(),)) for one in loops]
    for thread in threads:
        thread.start()
    barrier.wait(10)
    assert tasks(registry) == {"": 6, "a": 3, "b": 3}
    barrier.wait(10)
    for thread, one in zip(threads, loops, strict=True):
        thread.join()
        for task in asyncio.all_tasks(one):
            task.cancel()
        one.run_until_complete(asyncio.sleep(0))
        one.close()
    assert tasks(registry) == {"": 0, "a": 0, "b": 0}
    for tags in ({}, {"loop": "a"}, {"loop": "b"}):
        assert lag(registry, **tags).count > 0


def test_a_loop_that_closes_is_let_go(registry: tm.Registry) -> None:
    loop = asyncio.new_event_loop()
    integration.instrument(loop, every=0.001, registry=registry)
    loop.run_until_complete(ticks(registry, 1))
    loop.close()
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    assert gone() is None
    assert integration._metrics[registry].watches() == []


def test_a_loop_that_closed_has_no_tasks(registry: tm.Registry) -> None:
    async def main() -> None:
        integration.instrument(registry=registry)

    loop = asyncio.new_event_loop()
    left = loop.create_task(asyncio.sleep(60))
    loop.run_until_complete(main())
    assert tasks(registry) == {"": 1}
    left.cancel()
    left._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    assert tasks(registry) == {"": 0}
    assert left in asyncio.all_tasks(loop)


def test_a_loop_that_never_ran_is_let_go(registry: tm.Registry) -> None:
    loop = asyncio.new_event_loop()
    integration.instrument(loop, registry=registry)
    loop.close()
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    assert gone() is None


def test_a_registry_that_nobody_has_is_let_go(engine: Any, loop: asyncio.AbstractEventLoop) -> None:
    registry = tm.Registry(engine=engine.name)
    integration.instrument(loop, registry=registry)
    gone = weakref.ref(registry)
    del registry
    gc.collect()
    assert gone() is None


class Uvloopish:
    """A loop that has what `asyncio.AbstractEventLoop` promises, and nothing else: no dictionary, nor weak references."""

    __slots__ = ("loop",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def call_soon_threadsafe(self, callback: Any, *args: Any) -> object:
        return self.loop.call_soon_threadsafe(callback, *args)

    def call_later(self, delay: float, callback: Any, *args: Any) -> object:
        return self.loop.call_later(delay, callback, *args)


def test_a_loop_of_another_make_is_measured(registry: tm.Registry, loop: asyncio.AbstractEventLoop) -> None:
    other: Any = Uvloopish(loop)
    integration.instrument(other, every=0.001, registry=registry)
    loop.run_until_complete(ticks(registry, 2))
    assert tasks(registry) == {"": 0}  # those are the inner loop's


def test_another_call_for_a_loop_replaces_the_first(registry: tm.Registry, loop: asyncio.AbstractEventLoop) -> None:
    other = tm.Registry()
    integration.instrument(loop, every=0.001, registry=other)
    with tm.use(registry):
        integration.instrument(loop, every=0.001)
    loop.run_until_complete(ticks(registry, 2))
    assert lag(other).count == 0
    assert tasks(other) == {"": 0}


def test_undoing_leaves_the_loop_with_nothing_to_do(registry: tm.Registry, loop: asyncio.AbstractEventLoop) -> None:
    integration.instrument(loop, every=0.001, registry=registry)
    loop.run_until_complete(ticks(registry, 1))
    integration.uninstrument(loop)
    integration.uninstrument(loop)
    measured = lag(registry).count
    loop.run_until_complete(asyncio.sleep(0.01))
    assert lag(registry).count == measured
    assert not loop._scheduled  # type: ignore[attr-defined]


def test_programming_errors_raise(registry: tm.Registry, loop: asyncio.AbstractEventLoop) -> None:
    with pytest.raises(RuntimeError, match="call instrument\\(\\) in a coroutine, or give the loop"):
        integration.instrument(registry=registry)
    with pytest.raises(TypeError, match="registry must be a Registry"):
        integration.instrument(loop, registry="x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="name must be a str"):
        integration.instrument(loop, name=1)  # type: ignore[arg-type]
    for every in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="every must be a positive number of seconds"):
            integration.instrument(loop, every=every)
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        integration.instrument(loop, registry=registry)
    assert integration._metrics.get(registry) is None


def test_a_registry_that_was_closed_can_be_used_again(registry: tm.Registry, loop: asyncio.AbstractEventLoop) -> None:
    integration.instrument(loop, registry=registry)
    registry.close()
    integration.instrument(loop, name="again", registry=registry)
    assert tasks(registry) == {"": 0, "again": 0}


# Shared memory


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


def test_tasks_of_processes_that_nobody_reads_are_counted(tmp_path: Path) -> None:
    """Workers of a server share a registry; one of them is asked for the totals of all."""
    registry = tm.Registry(shared=tmp_path / "metrics")
    ready, done = os.pipe(), os.pipe()

    async def work(count: int) -> None:
        integration.instrument(every=0.001, registry=registry)
        others = [asyncio.create_task(asyncio.sleep(60)) for _ in range(count - 1)]
        async with asyncio.timeout(10):
            while others and tasks_here() != count:
                await asyncio.sleep(0.001)
        os.write(ready[1], b"x")
        await asyncio.to_thread(os.read, done[0], 1)

    def tasks_here() -> float:
        return registry.gauge("asyncio.tasks").value

    pids = []
    for count in (3, 4):
        pid = os.fork()
        if pid == 0:
            try:
                asyncio.run(work(count))
            finally:
                os.write(ready[1], b"x")  # so that nobody waits for one that failed
                os._exit(0)
        pids.append(pid)
    assert len(os.read(ready[0], 1) + os.read(ready[0], 1)) == 2
    assert tasks(registry) == {"": 7}
    os.write(done[1], b"xx")
    for pid in pids:
        os.waitpid(pid, 0)
    assert tasks(registry) == {"": 0} or tasks(registry) == {}
    assert lag(registry).count > 0


def test_a_forked_child_does_not_count_what_its_parent_runs(tmp_path: Path) -> None:
    registry = tm.Registry(shared=tmp_path / "metrics")

    async def main() -> None:
        integration.instrument(registry=registry)
        integration._metrics[registry]._tell_tasks()
        before = tasks(registry)
        assert before == {"": 1}

        def read() -> None:
            assert tasks(registry) == before

        in_child(read)

    asyncio.run(main())


# What it costs


def test_a_measurement_allocates_a_callback_and_four_numbers() -> None:
    class Nothing:
        """A loop that does nothing."""

        def call_soon_threadsafe(self, callback: Any) -> None: ...
        def call_later(self, delay: float, callback: Any) -> None: ...
        def is_closed(self) -> bool:
            return False

    nothing: Any = Nothing()
    registry = tm.Registry(engine="native")
    watch = integration.Watch(nothing, "", 0.1, integration.LoopMetrics(registry))

    def measures(iterations: Any) -> None:
        for _ in iterations:
            watch._tick()

    assert allocations_per_op(measures).allocs <= 5
