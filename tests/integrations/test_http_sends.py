"""What `send` returns under ASGI: awaited, cancelled, forgotten, made a task; by the server, and by other threads."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import warnings
import weakref
from contextlib import suppress
from typing import Any

import anyio
import pytest
from asgi_app import END, PART, START, answers, nothing, run, suspends
from http_driver import active, ended, scope_of, sent

import tallymark as tm
from tallymark.integrations.asgi import MetricsMiddleware
from tallymark.integrations.wsgi import MetricsMiddleware as WSGIMetricsMiddleware


@pytest.mark.parametrize("wrong", [[], {}, 7, b"/"])
def test_a_route_that_is_no_text_is_counted_and_left_out(registry: tm.Registry, wrong: Any) -> None:
    middleware = MetricsMiddleware(answers, registry=registry, route=lambda scope: wrong)
    run(middleware)
    assert list(ended(registry)) == [("GET", None, "200", None)]
    (rejected,) = [one for one in registry.snapshot()["tallymark_rejected"] if one.value]
    assert rejected.tags["reason"] == "route_failed"


def test_a_send_that_is_never_awaited_is_warned_of(native: tm.Registry) -> None:
    async def forgets(scope: Any, receive: Any, send: Any) -> None:
        send(END)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run(MetricsMiddleware(forgets, registry=native))
    assert [str(one.message) for one in told] == ["coroutine 'send' was never awaited"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_send_is_a_coroutine_for_who_makes_tasks(registry: tm.Registry, backend: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        async with anyio.create_task_group() as group:
            group.start_soon(send, PART)
        async with anyio.create_task_group() as group:
            group.start_soon(send, END)

    async def send(message: Any) -> None:
        await anyio.sleep(0)

    async def serve() -> None:
        await MetricsMiddleware(app, registry=registry)(scope_of(), nothing, send)

    anyio.run(serve, backend=backend)
    assert (list(ended(registry)), sent(registry)) == ([("GET", None, "200", None)], (1, 7))


@pytest.mark.parametrize("how", ["wait_for", "gather", "create_task", "shield"])
def test_a_send_may_be_awaited_in_any_way(registry: tm.Registry, how: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        given = send(END)
        ways = {"wait_for": lambda: asyncio.wait_for(given, 10), "shield": lambda: asyncio.shield(given)}
        others = {"gather": lambda: asyncio.gather(given), "create_task": lambda: asyncio.create_task(given)}
        await {**ways, **others}[how]()

    run(MetricsMiddleware(app, registry=registry), send=suspends)
    assert list(ended(registry)) == [("GET", None, "200", None)]


def test_a_send_that_is_cancelled_lets_the_server_see_it(registry: tm.Registry) -> None:
    seen = []

    async def send(message: Any) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def app(scope: Any, receive: Any, own_send: Any) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(own_send(END), 0.001)

    run(MetricsMiddleware(app, registry=registry), send=send)
    assert seen == ["cancelled"]
    assert active(registry) == 0


def test_a_server_may_send_while_it_sends(registry: tm.Registry) -> None:
    held: list[Any] = []

    async def send(message: Any) -> None:
        if held and message is PART:
            await held.pop()(END)

    async def app(scope: Any, receive: Any, own_send: Any) -> None:
        held.append(own_send)
        await own_send(START)
        await own_send(PART)

    run(MetricsMiddleware(app, registry=registry), send=send)
    assert (list(ended(registry)), sent(registry)) == ([("GET", None, "200", None)], (1, 7))


def test_a_body_may_send_while_it_is_measured(registry: tm.Registry) -> None:
    class Sends:
        def __init__(self, send: Any) -> None:
            self.send = send

        def __len__(self) -> int:
            with suppress(StopIteration):
                self.send(END).send(None)
            return 1000

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": Sends(send)})

    run(MetricsMiddleware(app, registry=registry))
    assert list(ended(registry)) == [("GET", None, "200", None)]
    assert active(registry) == 0


def test_a_sending_that_is_used_by_itself_raises(native: tm.Registry) -> None:
    held: list[Any] = []

    async def send(message: Any) -> None:
        with pytest.raises(ValueError, match="already executing"):
            held[0].send(None)
        with pytest.raises(ValueError, match="already executing"):
            held[0].close()
        with pytest.raises(ValueError, match="already executing"):
            held[0].throw(KeyError)

    async def app(scope: Any, receive: Any, own_send: Any) -> None:
        held.append(own_send(END))
        await held[0]

    run(MetricsMiddleware(app, registry=native), send=send)
    assert active(native) == 0


def test_threads_that_send_for_one_request_end_it_once(registry: tm.Registry) -> None:
    barrier = threading.Barrier(8)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        def work() -> None:
            barrier.wait()
            for message in (START, PART, END, END):
                with suppress(StopIteration):
                    send(message).send(None)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for _ in range(20):
        run(MetricsMiddleware(app, registry=registry))
    assert sum(ended(registry).values()) == 20
    assert active(registry) == 0


def test_a_body_beyond_all_sizes_has_none(native: tm.Registry) -> None:
    class Endless:
        def __len__(self) -> int:
            return sys.maxsize

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        for _ in range(3):
            await send({"type": "http.response.body", "body": Endless(), "more_body": True})
        await send(END)

    run(MetricsMiddleware(app, registry=native))
    assert (list(ended(native)), sent(native)) == ([("GET", None, "200", None)], (0, 0))


def test_a_middleware_that_is_forgotten_is_freed(native: tm.Registry) -> None:
    gone = [weakref.ref(kind(answers, registry=native)) for kind in (MetricsMiddleware, WSGIMetricsMiddleware)]
    gc.collect()
    assert [one() for one in gone] == [None, None]


def test_uninstrumenting_amid_a_request_ends_it_as_ever(registry: tm.Registry) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        middleware.switch_off()
        registry.unregister("http.server.request.duration")
        await answers(scope, receive, send)

    middleware = MetricsMiddleware(app, registry=registry)
    run(middleware)
    run(middleware)
    assert active(registry) == 0


def test_without_the_c_code_the_native_engine_is_recorded_to_as_well() -> None:
    program = """
import sys
sys.modules["tallymark.integrations._exchanges"] = None
import asyncio
import tallymark as tm
from tallymark.integrations.asgi import MetricsMiddleware
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"hello"})
async def send(message):
    pass
registry = tm.Registry(engine="native")
asyncio.run(MetricsMiddleware(app, registry=registry)({"type": "http", "method": "GET", "path": "/"}, None, send))
print(registry.snapshot()["http.server.response.body.size"])
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, capture_output=True, text=True)
    assert "1" in done.stdout
