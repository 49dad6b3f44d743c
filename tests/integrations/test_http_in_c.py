"""Requests under way in C do what those in Python do: random applications and servers, on both, which must not differ.

And what only C code can do wrong: objects that are lost, or freed too early.
"""

from __future__ import annotations

import asyncio
import gc
import random
import subprocess
import sys
import threading
import warnings
import weakref
from collections import UserDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import anyio
import pytest
from http_driver import active, ended, environ_of, received, scope_of, sent

import tallymark as tm
from tallymark.integrations.asgi import MetricsMiddleware
from tallymark.integrations.compiled import compiled_for
from tallymark.integrations.wsgi import MetricsMiddleware as WSGIMetricsMiddleware

START = {"type": "http.response.start", "status": 200, "headers": []}
PART = {"type": "http.response.body", "body": b"part", "more_body": True}
END = {"type": "http.response.body", "body": b"end"}


class Text(str):
    __slots__ = ()


class Kind(StrEnum):
    START = "http.response.start"
    BODY = "http.response.body"


class Status(IntEnum):
    FINE = 200
    FAILED = 500


class Fails:
    """What fails in whatever way it is asked."""

    def __len__(self) -> int:
        raise OSError("no length")

    def __eq__(self, other: object) -> bool:
        raise LookupError("not comparable")

    def __hash__(self) -> int:
        raise LookupError("no hash")

    def __bool__(self) -> bool:
        raise ArithmeticError("neither")


class Long:
    def __len__(self) -> int:
        return 1 << 40


class Negative:
    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:
        return -1


BODIES: tuple[Any, ...] = (
    b"", b"hello", "text", bytearray(b"bytes"), memoryview(b"view"), None, 7, [1, 2], True, Fails(), Long(), Negative(), {},
)  # fmt: skip
STATUSES: tuple[Any, ...] = (
    200, 404, 500, 503, 99, 1000, -1, True, None, 10**30, -(10**30), 2.5, float("nan"), 500.0, "200", Status.FINE,
    Status.FAILED, Fails(), [200], object(), b"200",
)  # fmt: skip
TYPES: tuple[Any, ...] = (
    "http.response.start", "http.response.body", "http.response.pathsend", "http.response.zerocopysend", "http.response.debug",
    Text("http.response.start"), Text("http.response.body"), Kind.START, Kind.BODY, "", None, 7, b"http.response.body", [],
)  # fmt: skip
FORMS: tuple[Any, ...] = (
    dict,
    dict,
    dict,
    dict,
    UserDict,
    MappingProxyType,
    lambda made: list(made.items()),
    lambda made: None,
)


def message_of(chosen: random.Random) -> Any:
    """Return a message, which may be none."""
    if chosen.random() < 0.5:
        return chosen.choice((START, PART, END))
    made: dict[str, Any] = {"type": chosen.choice(TYPES)}
    for key, values in (("body", BODIES), ("status", STATUSES), ("more_body", (True, False, None, 1, Fails()))):
        if chosen.random() < 0.6:
            made[key] = chosen.choice(values)
    if chosen.random() < 0.05:
        del made["type"]
    return chosen.choice(FORMS)(made)


ERRORS: tuple[Any, ...] = (KeyError, OSError, BrokenPipeError, ValueError, asyncio.CancelledError, RuntimeError)


def asgi_story(engine: str, seed: int) -> list[Any]:
    """Return all that can be seen of some requests to a random application on a random server."""
    chosen = random.Random(seed)
    registry = tm.Registry(engine=engine)
    seen: list[Any] = []

    async def receive() -> Any:
        if chosen.random() < 0.1:
            raise chosen.choice(ERRORS)
        await asyncio.sleep(0)
        kind = chosen.choice(("http.request", "http.request", "http.disconnect", "other"))
        return {"type": kind, "body": chosen.choice((b"", b"123", None))}

    async def send(message: Any) -> Any:
        seen.append(repr(type(message)))
        if chosen.random() < 0.1:
            raise chosen.choice(ERRORS)
        if chosen.random() < 0.5:
            await asyncio.sleep(0)
        return "what a server returns"

    async def step(receive: Any, send: Any) -> None:
        what = chosen.randrange(10)
        if what < 6:
            seen.append(await send(message_of(chosen)))
        elif what < 8:
            seen.append((await receive())["type"])
        elif what == 8:
            awaitable = send(message_of(chosen))
            task = asyncio.ensure_future(awaitable)
            if chosen.random() < 0.5:
                await asyncio.sleep(0)
                task.cancel()
            seen.append(await task)
        else:
            raise chosen.choice(ERRORS)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if chosen.random() < 0.1:
            scope["endpoint"] = chosen.choice((7, app, None, Fails))
        for _ in range(chosen.randrange(7)):
            try:
                await step(receive, send)
            except BaseException as error:
                seen.append(repr(type(error)))
                if chosen.random() < 0.3:
                    raise
                if chosen.random() < 0.2:  # the framework answers what it handles
                    await send({"type": "http.response.start", "status": 500})
                    await send(END)

    async def all_of_them(middleware: Any) -> None:
        for _ in range(10):
            scope = scope_of(method=chosen.choice(("GET", "HEAD", "BREW")))
            try:
                await asyncio.ensure_future(middleware(scope, receive, send))
            except BaseException as error:
                seen.append(repr(type(error)))

    own = (lambda scope, start: {"begun": str(start is not None)}) if chosen.random() < 0.3 else None
    route = chosen.choice((None, None, lambda scope: "/", lambda scope: [], lambda scope: 1 // 0))
    asyncio.run(all_of_them(MetricsMiddleware(app, registry=registry, tags=own, route=route)))
    return [seen, ended(registry), sent(registry), received(registry), active(registry)]


@pytest.mark.parametrize("seeds", range(20))
def test_a_random_asgi_application_is_recorded_alike(seeds: int) -> None:
    for seed in range(seeds * 10, seeds * 10 + 10):
        assert asgi_story("native", seed) == asgi_story("reference", seed), seed


WSGI_STATUSES: tuple[Any, ...] = (
    "200 OK", "404", "500 Oh", "503 Busy", "2", "20x", "", "²²² x", "٢٠٠ OK", None, 200, b"200 OK", Text("201 Made"), Fails(),
)  # fmt: skip


class Body:
    """A body of random parts, which may fail."""

    def __init__(self, chosen: random.Random) -> None:
        self.chosen = chosen

    def __iter__(self) -> Iterator[Any]:
        for _ in range(self.chosen.randrange(4)):
            if self.chosen.random() < 0.15:
                raise self.chosen.choice(ERRORS)
            yield self.chosen.choice((b"", b"part", "text", b"longer part", None, Long(), Fails()))

    def close(self) -> None:
        if self.chosen.random() < 0.2:
            raise KeyError("close")


def wsgi_story(engine: str, seed: int) -> list[Any]:
    chosen = random.Random(seed)
    registry = tm.Registry(engine=engine)
    seen: list[Any] = []

    def start_response(status: Any, headers: Any, exc_info: Any = None) -> Any:
        if chosen.random() < 0.1:
            raise chosen.choice(ERRORS)
        seen.append((repr(type(status)), headers, exc_info is None))
        return lambda data: seen.append(repr(type(data)))

    def app(environ: Any, start_response: Any) -> Any:
        for _ in range(chosen.choice((0, 1, 1, 1, 2))):
            if chosen.random() < 0.1:
                raise chosen.choice(ERRORS)
            exc_info = chosen.choice(((), (None,), ((KeyError, KeyError("x"), None),), ((),), ((KeyError,),), (7,)))
            headers = chosen.choice(([], [("A", "b")], None))
            with suppress(TypeError, IndexError):
                write = start_response(chosen.choice(WSGI_STATUSES), headers, *exc_info)
                if chosen.random() < 0.3:
                    write(chosen.choice((b"written", 7, Long())))
        return chosen.choice(([b"a", b"b"], [], None, 7, Body(chosen), Body(chosen), (b"x",), "text", iter([b"one"])))

    def serve(middleware: Any) -> None:
        response = middleware(environ_of(HTTP_X="y"), start_response)
        with suppress(TypeError):
            seen.append(len(response))
        if chosen.random() < 0.9:
            for chunk in response:
                seen.append(repr(type(chunk)))
                if chosen.random() < 0.1:
                    break
        for _ in range(chosen.choice((1, 1, 2))):
            response.close()

    own = (lambda environ, start: {"begun": str(start is not None)}) if chosen.random() < 0.3 else None
    route = chosen.choice((None, None, lambda environ: "/", lambda environ: [], lambda environ: 1 // 0))
    middleware = WSGIMetricsMiddleware(app, registry=registry, tags=own, route=route)
    for _ in range(10):
        try:
            serve(middleware)
        except BaseException as error:
            seen.append(repr(type(error)))
    return [seen, ended(registry), sent(registry), received(registry), active(registry)]


@pytest.mark.parametrize("seeds", range(20))
def test_a_random_wsgi_application_is_recorded_alike(seeds: int) -> None:
    for seed in range(seeds * 10, seeds * 10 + 10):
        assert wsgi_story("native", seed) == wsgi_story("reference", seed), seed


@pytest.mark.parametrize("wrong", [[], {}, 7, b"/"])
def test_a_route_that_is_no_text_is_counted_and_left_out(registry: tm.Registry, wrong: Any) -> None:
    middleware = MetricsMiddleware(answers, registry=registry, route=lambda scope: wrong)
    run(middleware)
    assert list(ended(registry)) == [("GET", None, "200", None)]
    (rejected,) = [one for one in registry.snapshot()["tallymark_rejected"] if one.value]
    assert rejected.tags["reason"] == "route_failed"


# Objects of C code: each is freed once, and when nobody holds it any longer


async def answers(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(PART)
    await send(END)


async def ignore(message: Any) -> None:
    pass


async def nothing() -> Any:
    return {"type": "http.request", "body": b""}


async def suspends(message: Any) -> None:
    await asyncio.sleep(0)


def run(middleware: Any, send: Any = ignore) -> None:
    asyncio.run(middleware(scope_of(), nothing, send))


@pytest.fixture
def native() -> tm.Registry:
    registry = tm.Registry(engine="native")
    assert compiled_for(registry) is not None
    return registry


class Sentinel:
    """What tells when it is freed."""

    alive = 0

    def __init__(self) -> None:
        Sentinel.alive += 1

    def __del__(self) -> None:
        Sentinel.alive -= 1


def plain(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message that holds a sentinel."""
    return {**message, "sentinel": Sentinel()}


async def fails(scope: Any, receive: Any, send: Any) -> None:
    await send(plain(START))
    raise KeyError("fails")


async def streams(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send(plain(START))
    for _ in range(3):
        await send(plain(PART))
    await send(plain(END))
    await send(plain(END))


async def is_left_suspended(scope: Any, receive: Any, send: Any) -> None:
    thrown, closed, unused, left = [send(plain(END)) for _ in range(4)]
    for begun in (thrown, closed, left):
        with suppress(StopIteration):
            begun.send(None)
    with suppress(KeyError, RuntimeError):
        thrown.throw(KeyError)
    closed.close()
    unused.close()


async def holds_itself(scope: Any, receive: Any, send: Any) -> None:
    scope["all"] = [receive, send, scope, sending := send({**plain(PART), "scope": scope})]
    with suppress(StopIteration):
        sending.send(None)


async def forgets_to_await(scope: Any, receive: Any, send: Any) -> None:
    send(plain(END))


async def breaks_rules(scope: Any, receive: Any, send: Any) -> None:
    for wrong in ((), (1, 2), ({},), (7,), (plain({"type": "http.response.start"}),)):
        with suppress(TypeError, KeyError):
            await send(*wrong)
    with suppress(TypeError):
        await receive(1)
    with suppress(TypeError):
        await send(wrong=1)
    sending = send(message=plain(END))
    with suppress(TypeError):
        sending.send(7)
    await sending
    for again in (lambda: sending.send(None), lambda: sending.throw(KeyError), lambda: next(iter(sending.__await__()))):
        with suppress(RuntimeError, KeyError):
            again()


APPS = (answers, fails, streams, is_left_suspended, holds_itself, forgets_to_await, breaks_rules)


def no_awaitable(message: Any) -> Any:
    return 7


class Bad:
    def __await__(self) -> Any:
        return 7


class Holder(Sentinel):
    """A function of a server's, that tells when it is freed."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def __call__(self, *message: Any) -> Any:
        return self.function(*message)


def drive(coroutine: Any) -> None:
    """Run a coroutine to its end without a loop, whose own objects come and go."""
    with suppress(StopIteration):
        while True:
            coroutine.send(None)


def ask_all(native: tm.Registry, tags: Any = None) -> None:
    for app in APPS:
        middleware = MetricsMiddleware(app, registry=native, tags=tags)
        for send in (ignore, suspends, no_awaitable, lambda message: Bad()):
            with suppress(KeyError, TypeError):
                drive(middleware(plain(scope_of()), Holder(nothing), Holder(send)))


def body_of(kind: int, environ: Any) -> Any:
    def parts() -> Iterator[Any]:
        yield environ and b"a"
        if kind == 1:
            raise KeyError("within")
        yield Sentinel() if kind == 2 else b"b"

    return [b"x"] if kind == 3 else parts()


def ask_all_of_wsgi(native: tm.Registry, tags: Any = None) -> None:
    for kind in range(5):

        def app(environ: Any, start_response: Any, kind: int = kind) -> Any:
            write = start_response("200 OK", [Sentinel()])
            write(b"x")
            environ["all"] = [environ, start_response, write, body := body_of(kind, environ)]
            with suppress(TypeError):
                start_response()
            if kind == 4:
                raise KeyError("before")
            start_response(status="500 Oh", headers=[Sentinel()], exc_info=(KeyError, KeyError(Sentinel()), None))
            return body

        middleware = WSGIMetricsMiddleware(app, registry=native, tags=tags)
        for taken in (0, 1, 9):
            with suppress(KeyError, TypeError):
                environ = plain(environ_of())
                response = environ["response"] = middleware(environ, Holder(lambda *begun: Holder(len)))
                for _, _chunk in zip(range(taken), response, strict=False):
                    pass
                if taken != 1:
                    response.close()


@pytest.mark.parametrize("ask", [ask_all, ask_all_of_wsgi])
@pytest.mark.parametrize("tags", [None, lambda request, response: {"own": "tag"}])
@pytest.mark.filterwarnings("ignore:coroutine 'send' was never awaited")
def test_nothing_is_kept_of_requests_that_are_over(native: tm.Registry, ask: Callable[..., None], tags: Any) -> None:
    ask(native, tags)
    gc.collect()
    assert Sentinel.alive == 0
    assert active(native) == 0


@pytest.mark.slow
@pytest.mark.parametrize("ask", [ask_all, ask_all_of_wsgi])
@pytest.mark.filterwarnings("ignore:coroutine 'send' was never awaited")
def test_no_memory_is_lost(native: tm.Registry, ask: Callable[..., None]) -> None:
    def blocks_after(rounds: int) -> int:
        for _ in range(rounds):
            ask(native)
        gc.collect()
        return sys.getallocatedblocks()

    before = max(blocks_after(20), blocks_after(20))
    assert min(blocks_after(300), blocks_after(300)) - before < 200  # one object a round would be 300


def test_a_response_that_is_in_a_cycle_ends_its_request_when_it_is_collected(native: tm.Registry) -> None:
    environ = environ_of()
    middleware = WSGIMetricsMiddleware(lambda environ, start: [b"a"], registry=native)
    environ["response"] = middleware(environ, lambda *begun: lambda data: None)
    assert active(native) == 1
    del environ
    gc.collect()
    assert active(native) == 0


def test_a_response_that_nobody_ever_read_ends_its_request(native: tm.Registry) -> None:
    middleware = WSGIMetricsMiddleware(lambda environ, start: [b"a"], registry=native)
    response: Any = middleware(environ_of(), lambda *begun: lambda data: None)
    del response
    assert active(native) == 0


def test_a_send_that_is_never_awaited_is_warned_of(native: tm.Registry) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run(MetricsMiddleware(forgets_to_await, registry=native))
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
