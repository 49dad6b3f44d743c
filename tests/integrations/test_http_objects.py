"""Objects of requests under way in C: each is freed once, and when nobody holds it any longer."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from asgi_app import END, PART, START, answers, ignore, nothing, suspends
from http_driver import active, environ_of, scope_of

import tallymark as tm
from tallymark.integrations.asgi import MetricsMiddleware
from tallymark.integrations.wsgi import MetricsMiddleware as WSGIMetricsMiddleware


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

    blocks_after(300)  # what the interpreter keeps grows at first
    before = blocks_after(300)
    assert blocks_after(300) - before < 200  # one object a round would be 300


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
