"""`@timer.time()`: functions of all four kinds, timed while they work."""

from __future__ import annotations

import asyncio
import inspect
import time
import types
from collections.abc import AsyncGenerator, Generator
from functools import partial
from typing import Any

import pytest

import tallymark as tm

PAUSE = 0.003


@pytest.fixture
def timer(registry: tm.Registry) -> tm.Timer:
    return registry.timer("took")


def function(x: int) -> int:
    """Do it."""
    time.sleep(PAUSE)
    return x


async def coroutine(x: int) -> int:
    """Do it."""
    await asyncio.sleep(PAUSE)
    return x


def generator(x: int) -> Generator[Any, Any, str]:
    """Do it."""
    received = [x]
    while True:
        time.sleep(PAUSE)
        try:
            received.append((yield received[-1]))
        except KeyError as error:
            received.append(error)
        if received[-1] == "stop":
            return "returned"


async def async_generator(x: int) -> AsyncGenerator[Any, Any]:
    """Do it."""
    received: list[Any] = [x]
    while received[-1] != "stop":
        await asyncio.sleep(PAUSE)
        try:
            received.append((yield received[-1]))
        except KeyError as error:
            received.append(error)


@pytest.mark.parametrize("work", [function, coroutine, generator, async_generator])
def test_metadata_and_kind_of_a_function_are_kept(timer: tm.Timer, work: Any) -> None:
    timed = timer.time()(work)
    assert (timed.__name__, timed.__doc__, timed.__module__, timed.__wrapped__) == (work.__name__, "Do it.", __name__, work)
    assert inspect.signature(timed) == inspect.signature(work)
    kinds = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    assert [is_kind(timed) for is_kind in kinds] == [is_kind(work) for is_kind in kinds]


@pytest.mark.parametrize("work", [coroutine, generator, async_generator])
def test_making_it_records_nothing(timer: tm.Timer, work: Any) -> None:
    made = timer.time()(work)(1)
    assert timer.snapshot().count == 0
    if work is coroutine:
        made.close()


def test_a_function_is_timed(timer: tm.Timer) -> None:
    assert timer.time(route="/")(function)(5) == 5
    seen = timer.with_tags(route="/").snapshot()
    assert (seen.count, seen.sum >= PAUSE) == (1, True)


def test_a_coroutine_is_timed_while_it_is_awaited(timer: tm.Timer) -> None:
    assert asyncio.run(timer.time()(coroutine)(5)) == 5
    assert (timer.snapshot().count, timer.snapshot().sum >= PAUSE) == (1, True)


def test_tasks_that_overlap_are_each_timed(timer: tm.Timer) -> None:
    timed = timer.time()(coroutine)

    async def main() -> list[int]:
        return await asyncio.gather(*[timed(i) for i in range(5)])

    assert asyncio.run(main()) == [0, 1, 2, 3, 4]
    assert (timer.snapshot().count, timer.snapshot().min >= PAUSE) == (5, True)


def test_a_cancelled_coroutine_is_recorded(timer: tm.Timer) -> None:
    @timer.time()
    async def forever() -> None:
        await asyncio.sleep(1000)

    async def main() -> None:
        task = asyncio.create_task(forever())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert timer.snapshot().count == 1


def test_a_generator_is_timed_to_its_end(timer: tm.Timer) -> None:
    made = timer.time()(generator)(1)
    assert (next(made), made.send("a"), made.send("b")) == (1, "a", "b")
    assert timer.snapshot().count == 0
    with pytest.raises(StopIteration) as stopped:
        made.send("stop")
    assert stopped.value.value == "returned"
    assert (timer.snapshot().count, timer.snapshot().sum >= 3 * PAUSE) == (1, True)


def test_throw_and_close_reach_a_generator(timer: tm.Timer) -> None:
    made = timer.time()(generator)(1)
    next(made)
    error = KeyError("caught inside")
    assert made.throw(error) is error
    made.close()
    assert timer.snapshot().count == 1
    made = timer.time()(generator)(1)
    next(made)
    with pytest.raises(ValueError, match="not caught"):
        made.throw(ValueError("not caught"))
    assert timer.snapshot().count == 2


def test_an_async_generator_is_timed_to_its_end(timer: tm.Timer) -> None:
    async def main() -> None:
        made = timer.time()(async_generator)(1)
        assert [await anext(made), await made.asend("a"), await made.asend("b")] == [1, "a", "b"]
        assert timer.snapshot().count == 0
        with pytest.raises(StopAsyncIteration):
            await made.asend("stop")

    asyncio.run(main())
    assert (timer.snapshot().count, timer.snapshot().sum >= 3 * PAUSE) == (1, True)


def test_athrow_and_aclose_reach_an_async_generator(timer: tm.Timer) -> None:
    closed = []

    @timer.time()
    async def work() -> AsyncGenerator[Any, Any]:
        try:
            try:
                yield 1
            except KeyError as error:
                yield error
            yield 3
        finally:
            closed.append(True)

    async def main() -> None:
        made = work()
        assert await anext(made) == 1
        error = KeyError("caught inside")
        assert await made.athrow(error) is error
        await made.aclose()
        assert (closed, timer.snapshot().count) == ([True], 1)
        made = work()
        await anext(made)
        with pytest.raises(ValueError, match="not caught"):
            await made.athrow(ValueError("not caught"))
        assert (closed, timer.snapshot().count) == ([True, True], 2)
        assert [item async for item in work()] == [1, 3]

    asyncio.run(main())
    assert timer.snapshot().count == 3


@pytest.mark.parametrize("kind", ["function", "coroutine", "generator", "async generator"])
def test_an_exception_passes_through_and_is_recorded(timer: tm.Timer, kind: str) -> None:
    error = ValueError("mine")

    @timer.time()
    def fail() -> None:
        raise error

    @timer.time()
    async def fail_later() -> None:
        raise error

    @timer.time()
    def fail_inside() -> Generator[int, None, None]:
        yield 1
        raise error

    @timer.time()
    async def fail_inside_later() -> AsyncGenerator[int, None]:
        yield 1
        raise error

    async def consume() -> list[int]:
        return [item async for item in fail_inside_later()]

    calls: dict[str, Any] = {
        "function": fail,
        "coroutine": lambda: asyncio.run(fail_later()),
        "generator": lambda: list(fail_inside()),
        "async generator": lambda: asyncio.run(consume()),
    }
    with pytest.raises(ValueError, match="mine") as caught:
        calls[kind]()
    assert caught.value is error
    assert timer.snapshot().count == 1


def test_methods_are_timed(timer: tm.Timer) -> None:
    class Service:
        @timer.time()
        def method(self, x: int, *, y: int = 0) -> tuple[Any, ...]:
            return self, x, y

        @staticmethod
        @timer.time()
        def static(x: int) -> int:
            return x

        @classmethod
        @timer.time()
        def of_class(cls, x: int) -> tuple[Any, ...]:
            return cls, x

    service = Service()
    assert service.method(1, y=2) == (service, 1, 2)
    assert (service.static(3), Service.static(4)) == (3, 4)
    assert service.of_class(5) == (Service, 5)
    assert timer.snapshot().count == 4


def test_a_recursive_function_records_each_call(timer: tm.Timer) -> None:
    @timer.time()
    def factorial(n: int) -> int:
        return n * factorial(n - 1) if n else 1

    assert factorial(10) == 3628800
    assert timer.snapshot().count == 11


def test_any_callable_is_timed_as_what_it_does(timer: tm.Timer) -> None:
    class Handler:
        async def __call__(self, x: int) -> int:
            return await coroutine(x)

    assert asyncio.run(timer.time()(Handler())(1)) == 1
    assert asyncio.run(timer.time()(partial(coroutine, 2))()) == 2
    assert timer.time()(partial(function, 3))() == 3
    assert timer.time()(len)("four") == 4
    assert timer.snapshot().count == 4
    assert timer.snapshot().sum >= 3 * PAUSE


@pytest.mark.parametrize("thing", [5, "f", None, classmethod(function)], ids=["int", "str", "None", "classmethod"])
def test_what_cannot_be_called_is_a_type_error(timer: tm.Timer, thing: Any) -> None:
    with pytest.raises(TypeError, match=type(thing).__name__):
        timer.time()(thing)


def test_one_timing_can_decorate_and_be_entered(timer: tm.Timer) -> None:
    timing = timer.time()
    one, two = timing(function), timing(function)
    with timing:
        assert one(1) + two(2) == 3
    assert timer.snapshot().count == 3


def test_what_a_strict_registry_rejects_tells_of_the_exception_that_passed(strict_registry: tm.Registry) -> None:
    timer = strict_registry.timer("took")

    @timer.time()
    def work() -> None:
        raise KeyError("the real trouble")

    block = timer.time()
    strict_registry.unregister("took")
    taken = strict_registry.gauge("took")
    with pytest.raises(ValueError, match="its name now belongs") as function:
        work()
    with pytest.raises(ValueError, match="its name now belongs") as within, block:
        raise KeyError("the real trouble")
    for caught in (function, within):
        assert isinstance(caught.value.__context__, KeyError)
        assert caught.value.__context__.__traceback__ is not None
    assert taken.value == 0


@pytest.mark.parametrize("decorate", ["timer", "operation", "in progress", "partial"])
def test_a_generator_that_can_be_awaited_still_can(registry: tm.Registry, decorate: str) -> None:
    timer = registry.timer("took")
    decorator: Any = {
        "timer": timer.time(),
        "operation": tm.OperationalMetrics(registry).operation("work"),
        "in progress": registry.gauge("under_way").track_in_progress(),
        "partial": lambda function: timer.time()(partial(function)),
    }[decorate]

    @decorator
    @types.coroutine
    def work() -> Generator[Any, Any, int]:
        yield from asyncio.sleep(0).__await__()
        return 3

    async def main() -> int:
        result: int = await work()
        return result

    assert asyncio.run(main()) == 3
    if decorate in ("timer", "partial"):
        assert timer.snapshot().count == 1
    waiting = work()
    assert next(waiting) is None  # and it is a generator, for `yield from`
    waiting.close()
