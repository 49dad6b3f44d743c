"""The current registry: the default one, or what `tm.use` set."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from threading import Barrier, Thread
from typing import Any

import pytest

import tallymark as tm


def test_the_default_registry_is_always_the_same() -> None:
    assert tm.registry() is tm.registry()
    assert isinstance(tm.registry(), tm.Registry)


def test_use_sets_the_current_registry_within_its_block(registry: tm.Registry) -> None:
    default = tm.registry()
    with tm.use(registry) as used:
        assert used is registry
        assert tm.registry() is registry
    assert tm.registry() is default


@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram", "timer"])
def test_instruments_come_from_the_current_registry(registry: tm.Registry, kind: str) -> None:
    with tm.use(registry):
        instrument = getattr(tm, kind)("n", description="Text.", tags={"a": "1"}, ttl=60)
    assert instrument is getattr(registry, kind)("n", tags={"a": "1"})
    assert instrument.description == "Text."
    assert "n" not in tm.registry().snapshot()


def test_use_nests(engine: Any) -> None:
    outer, inner = tm.Registry(engine=engine.name), tm.Registry(engine=engine.name)
    with tm.use(outer):
        with tm.use(inner):
            assert tm.registry() is inner
        assert tm.registry() is outer
        with tm.use(outer):
            assert tm.registry() is outer
        assert tm.registry() is outer


def test_an_exception_ends_a_block_and_passes_through(registry: tm.Registry) -> None:
    default = tm.registry()
    with pytest.raises(ValueError, match="mine"), tm.use(registry):
        raise ValueError("mine")
    assert tm.registry() is default


def test_use_follows_async_tasks(engine: Any) -> None:
    async def child(expected: tm.Registry) -> bool:
        await asyncio.sleep(0)
        return tm.registry() is expected

    async def task() -> bool:
        mine = tm.Registry(engine=engine.name)
        with tm.use(mine):
            await asyncio.sleep(0)
            return tm.registry() is mine and all(await asyncio.gather(child(mine), child(mine)))

    async def main() -> list[bool]:
        return await asyncio.gather(*[task() for _ in range(4)])

    default = tm.registry()
    assert asyncio.run(main()) == [True] * 4
    assert tm.registry() is default


def test_a_new_thread_has_the_default_registry(registry: tm.Registry) -> None:
    default = tm.registry()
    seen: list[Any] = []
    with tm.use(registry):
        context = contextvars.copy_context()
        for run in (lambda: seen.append(tm.registry()), lambda: context.run(lambda: seen.append(tm.registry()))):
            thread = Thread(target=run, **({"context": contextvars.Context()} if has_context() else {}))
            thread.start()
            thread.join()
    assert seen == [default, registry]


def has_context() -> bool:
    """Whether threads take a context, which on some builds they otherwise inherit."""
    return "context" in Thread.__init__.__code__.co_varnames


@pytest.mark.parametrize("wrong", [None, "registry", object()], ids=lambda wrong: type(wrong).__name__)
def test_use_takes_a_registry(wrong: Any) -> None:
    with pytest.raises(TypeError, match="Registry"), tm.use(wrong):
        pass


def test_a_null_registry_can_be_used() -> None:
    with tm.use(tm.NullRegistry()):
        tm.counter("n").inc()
        assert list(tm.registry().snapshot()) == []


def test_as_a_decorator_it_holds_for_each_call() -> None:
    registry = tm.Registry()

    @tm.use(registry)
    def count() -> tm.Registry:
        tm.counter("calls").inc()
        return tm.registry()

    @tm.use(registry)
    async def count_later() -> None:
        await asyncio.sleep(0)
        tm.counter("calls").inc()

    assert count() is count() is registry
    asyncio.run(count_later())
    assert registry.counter("calls").value == 3
    assert tm.registry() is not registry


def test_a_block_that_ends_in_another_context_ends_quietly() -> None:
    """As in a generator that another thread closes: the sync `yield` dependencies of FastAPI."""
    registry = tm.Registry()
    block = tm.use(registry)
    contextvars.copy_context().run(block.__enter__)
    block.__exit__(None, None, None)
    assert tm.registry() is not registry


def test_an_async_generator_that_another_task_closes_ends_quietly() -> None:
    registry = tm.Registry()

    async def numbers() -> AsyncIterator[int]:
        with tm.use(registry):
            yield 1

    async def main() -> None:
        generator: Any = numbers()
        await asyncio.create_task(anext(generator))
        await asyncio.create_task(generator.aclose())
        assert tm.registry() is not registry

    asyncio.run(main())


def test_one_block_object_in_many_threads_ends_in_each_its_own() -> None:
    ours, entered, leave = tm.Registry(), Barrier(2), Barrier(2)
    block, seen = tm.use(ours), []

    def work(other: tm.Registry) -> None:
        with tm.use(other):
            with block:
                entered.wait(10)
                leave.wait(10)  # the one that entered first may leave first
            seen.append(tm.registry() is other)

    threads = [Thread(target=work, args=(tm.Registry(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True, True]


def test_blocks_that_overlap_leave_nothing_behind() -> None:
    before, first, second = tm.registry(), tm.use(tm.Registry()), tm.use(tm.Registry())
    first.__enter__()
    inner = second.__enter__()
    first.__exit__(None, None, None)
    assert tm.registry() is inner
    second.__exit__(None, None, None)
    assert tm.registry() is before
