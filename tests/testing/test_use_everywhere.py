"""`use_everywhere`: the current registry of all contexts and threads."""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from threading import Event, Thread
from typing import Any

import pytest

import tallymark as tm
from tallymark.testing import use_everywhere


def test_contexts_and_threads_new_and_old_see_it(registry: tm.Registry) -> None:
    default, old, go, seen = tm.registry(), copy_context(), Event(), []

    def late() -> None:
        go.wait(10)
        seen.append(tm.registry())

    with tm.use(tm.Registry()):
        chosen = copy_context()
    thread = Thread(target=late)
    thread.start()
    with use_everywhere(registry) as used:
        go.set()
        thread.join()
        assert used is registry
        contexts = [old, chosen, Context()]
        assert [tm.registry(), *seen, *[context.run(tm.registry) for context in contexts]] == [registry] * 5
        tm.counter("requests").inc()
    assert tm.registry() is default
    assert registry.snapshot().find("requests") is not None


def test_a_loop_that_is_older_sees_it(registry: tm.Registry) -> None:
    async def current() -> tm.Registry:
        return tm.registry()

    with asyncio.Runner() as runner:
        assert runner.run(current()) is tm.registry()
        with use_everywhere(registry):
            assert runner.run(current()) is registry
        assert runner.run(current()) is tm.registry()


def test_use_works_inside(engine: Any, registry: tm.Registry) -> None:
    inner = tm.Registry(engine=engine.name)
    with use_everywhere(registry):
        with tm.use(inner):
            assert tm.registry() is inner
            with use_everywhere(registry):
                assert tm.registry() is registry
            assert tm.registry() is inner
        assert tm.registry() is registry


def test_an_exception_ends_it_and_passes_through(registry: tm.Registry) -> None:
    default = tm.registry()
    with pytest.raises(KeyError), use_everywhere(registry):
        raise KeyError
    assert tm.registry() is default


def test_it_takes_a_registry() -> None:
    with pytest.raises(TypeError, match="Registry"), use_everywhere("registry"):  # type: ignore[arg-type]
        pass


def test_blocks_may_end_in_any_order(engine: Any) -> None:
    before = tm.registry()
    first, second, third = (tm.Registry(engine=engine.name) for _ in range(3))
    blocks = [use_everywhere(one) for one in (first, second, third)]
    for block in blocks:
        block.__enter__()
    for block, current in zip(blocks, (third, third, before), strict=True):
        block.__exit__(None, None, None)
        assert tm.registry() is current
    blocks = [use_everywhere(one) for one in (first, second)]
    for block in blocks:
        block.__enter__()
    blocks[1].__exit__(None, None, None)
    assert tm.registry() is first
    blocks[0].__exit__(None, None, None)
    assert tm.registry() is before
