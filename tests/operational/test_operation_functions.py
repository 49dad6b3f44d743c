"""`operation()` as a decorator: of functions, generators, coroutines and async generators; and tasks that are cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncGenerator, Generator
from threading import Barrier, Thread

import pytest
from recorded import errors, rows, statuses, value

import tallymark as tm
from tallymark.operational import OperationalMetrics


def in_flight(registry: tm.Registry) -> float:
    """Return how many operations are under way."""
    return value(registry, "operations_in_flight", operation="work")


def test_each_call_of_a_function_is_an_operation(ops: OperationalMetrics, registry: tm.Registry) -> None:
    @ops.operation("work", region="eu")
    def work(a: int, *, fails: bool = False) -> int:
        """Work."""
        assert in_flight(registry) == 1
        if fails:
            raise error
        return a + 1

    error = ValueError()
    assert [work(1), work(2)] == [2, 3]
    with pytest.raises(ValueError) as caught:
        work(1, fails=True)
    assert caught.value is error
    assert (work.__name__, work.__doc__) == ("work", "Work.")
    assert statuses(registry) == ["error", "success", "success"]
    assert errors(registry) == [("ValueError", "")]
    assert all(tags["region"] == "eu" for tags, _ in rows(registry, "operations"))
    assert in_flight(registry) == 0


def test_a_function_may_call_itself(ops: OperationalMetrics, registry: tm.Registry) -> None:
    @ops.operation("work")
    def work(n: int) -> float:
        return work(n - 1) if n > 1 else in_flight(registry)

    assert work(5) == 5
    assert statuses(registry) == ["success"] * 5


def test_a_method_and_a_callable_object(ops: OperationalMetrics, registry: tm.Registry) -> None:
    class Worker:
        @ops.operation("work")
        def work(self) -> Worker:
            return self

        @staticmethod
        @ops.operation("work")
        def static() -> int:
            return 1

        async def __call__(self) -> float:
            return in_flight(registry)

    worker = Worker()
    assert worker.work() is worker
    assert Worker.static() == 1
    assert asyncio.run(ops.operation("work")(worker)()) == 1
    assert statuses(registry) == ["success"] * 3


@pytest.mark.parametrize("function", [None, 1, "work", staticmethod(len)])
def test_what_is_no_function_cannot_be_decorated(ops: OperationalMetrics, function: object) -> None:
    with pytest.raises(TypeError, match="only functions"):
        ops.operation("work")(function)  # type: ignore[arg-type]


def test_threads_do_not_meet(ops: OperationalMetrics, registry: tm.Registry) -> None:
    barrier = Barrier(4)

    @ops.operation("work")
    def work() -> None:
        barrier.wait()
        assert in_flight(registry) == 4
        barrier.wait()

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses(registry) == ["success"] * 4
    assert in_flight(registry) == 0


def test_a_coroutine_is_an_operation_while_it_is_awaited(ops: OperationalMetrics, registry: tm.Registry) -> None:
    @ops.operation("work")
    async def work(fails: bool = False) -> float:
        await asyncio.sleep(0)
        if fails:
            raise KeyError
        return in_flight(registry)

    assert inspect.iscoroutinefunction(work)
    coroutine = work()
    assert in_flight(registry) == 0
    coroutine.close()
    assert statuses(registry) == []
    assert asyncio.run(work()) == 1
    with pytest.raises(KeyError):
        asyncio.run(work(fails=True))
    assert statuses(registry) == ["error", "success"]
    assert in_flight(registry) == 0


def test_a_cancelled_task_is_cancelled(ops: OperationalMetrics, registry: tm.Registry) -> None:
    @ops.operation("work")
    async def work(started: asyncio.Event) -> None:
        started.set()
        await asyncio.sleep(60)

    async def main() -> None:
        started = asyncio.Event()
        task = asyncio.create_task(work(started))
        await started.wait()
        assert in_flight(registry) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(main())
    assert statuses(registry) == ["cancelled"]
    assert errors(registry) == []
    assert in_flight(registry) == 0


def test_a_time_limit_within_is_a_timeout_and_one_around_cancels(ops: OperationalMetrics, registry: tm.Registry) -> None:
    async def within() -> None:
        with ops.operation("work"):
            async with asyncio.timeout(0):
                await asyncio.sleep(60)

    async def around() -> None:
        async with asyncio.timeout(0):
            with ops.operation("work"):
                await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        asyncio.run(within())
    assert statuses(registry) == ["timeout"]
    with pytest.raises(TimeoutError):
        asyncio.run(around())
    assert statuses(registry) == ["cancelled", "timeout"]
    assert errors(registry) == []


def test_tasks_do_not_meet(ops: OperationalMetrics, registry: tm.Registry) -> None:
    async def work(me: int) -> None:
        with ops.operation("work") as op:
            op.tag(me=me)
            await asyncio.sleep(0)
            op.status = f"done {me}"

    async def main() -> None:
        await asyncio.gather(*[work(me) for me in range(3)])

    asyncio.run(main())
    assert [(tags["me"], tags["status"], n) for tags, n in rows(registry, "operations")] == [
        (str(me), f"done {me}", 1) for me in range(3)
    ]


def test_a_generator_is_an_operation_from_its_first_item_to_its_end(ops: OperationalMetrics, registry: tm.Registry) -> None:
    @ops.operation("work")
    def work() -> Generator[int, str, str]:
        return (yield 1) + (yield 2)

    generator = work()
    assert in_flight(registry) == 0
    assert next(generator) == 1
    assert in_flight(registry) == 1
    assert generator.send("a") == 2
    with pytest.raises(StopIteration) as end:
        generator.send("b")
    assert end.value.value == "ab"
    assert statuses(registry) == ["success"]
    assert in_flight(registry) == 0


def test_a_generator_that_is_closed_early_is_cancelled(ops: OperationalMetrics, registry: tm.Registry) -> None:
    cleaned = []

    @ops.operation("work")
    def work() -> Generator[int]:
        try:
            yield 1
        finally:
            cleaned.append(in_flight(registry))

    generator = work()
    next(generator)
    generator.close()
    work().close()
    assert cleaned == [1]
    assert statuses(registry) == ["cancelled"]
    assert errors(registry) == []
    assert in_flight(registry) == 0


def test_a_generator_that_fails_is_an_error(ops: OperationalMetrics, registry: tm.Registry) -> None:
    @ops.operation("work")
    def work() -> Generator[int]:
        yield 1

    generator, error = work(), LookupError()
    next(generator)
    with pytest.raises(LookupError) as caught:
        generator.throw(error)
    assert caught.value is error
    assert statuses(registry) == ["error"]
    assert errors(registry) == [("LookupError", "")]


def test_an_async_generator_is_an_operation_until_its_end(ops: OperationalMetrics, registry: tm.Registry) -> None:
    seen = []

    @ops.operation("work")
    async def work(fails: bool = False) -> AsyncGenerator[int]:
        yield 1
        await asyncio.sleep(0)
        if fails:
            raise OSError
        yield 2

    async def main(fails: bool) -> None:
        async for item in work(fails):
            seen.append((item, in_flight(registry)))

    asyncio.run(main(False))
    with pytest.raises(OSError):
        asyncio.run(main(True))
    assert seen == [(1, 1), (2, 1), (1, 1)]
    assert statuses(registry) == ["error", "success"]
    assert in_flight(registry) == 0


def test_an_async_generator_that_is_closed_early_is_cancelled(ops: OperationalMetrics, registry: tm.Registry) -> None:
    @ops.operation("work")
    async def work() -> AsyncGenerator[int]:
        yield 1
        yield 2

    async def main() -> None:
        async with contextlib.aclosing(work()) as items:
            assert await anext(items) == 1
        assert in_flight(registry) == 0

    asyncio.run(main())
    assert statuses(registry) == ["cancelled"]
    assert errors(registry) == []
