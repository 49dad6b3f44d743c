"""Requests whose objects are odd, run code, or hold each other, where nobody expects it: both engines do the same."""

from __future__ import annotations

import gc
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from http_driver import active, ended, environ_of, scope_of, sent

import tallymark as tm
from tallymark.integrations.asgi import MetricsMiddleware as ASGIMetricsMiddleware
from tallymark.integrations.wsgi import MetricsMiddleware

END = {"type": "http.response.body", "body": b"end"}


def server(*begun: Any) -> Callable[[bytes], object]:
    return len


@pytest.fixture(params=["native", "reference"])
def registry(request: pytest.FixtureRequest) -> tm.Registry:
    return tm.Registry(engine=request.param)


class Key:
    """A key of an environ that is met where another one is looked for."""

    def __init__(self, where: str, run: Callable[[], object]) -> None:
        self.where = where
        self.run = run

    def __hash__(self) -> int:
        return hash(self.where)

    def __eq__(self, other: object) -> bool:
        self.run()
        return False


def answers(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"hello"]


def test_a_key_that_takes_a_header_away_while_the_next_one_is_looked_for(registry: tm.Registry) -> None:
    middleware = MetricsMiddleware(answers, registry=registry)
    for number in range(12345678, 12345698):
        environ: Any = environ_of()
        environ[Key("HTTP_TRANSFER_ENCODING", lambda at=environ: at.pop("CONTENT_LENGTH", None))] = ""
        environ["CONTENT_LENGTH"] = f"{number}"  # held by nothing else
        assert list(middleware(environ, server)) == [b"hello"]
    assert active(registry) == 0


@pytest.mark.parametrize("header", ["HTTP_TRANSFER_ENCODING", "CONTENT_LENGTH"])
def test_a_key_that_raises_while_a_header_is_looked_for(registry: tm.Registry, header: str) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    environ: Any = environ_of()
    environ[Key(header, fail)] = ""
    with pytest.raises(ZeroDivisionError):
        MetricsMiddleware(answers, registry=registry)(environ, server)
    assert active(registry) == 0


def returns_start(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return start_response


def test_an_application_that_returns_its_start_response_gave_no_body(registry: tm.Registry) -> None:
    response: Any = MetricsMiddleware(returns_start, registry=registry)(environ_of(), server)
    with pytest.raises(TypeError):
        len(response)
    with pytest.raises(TypeError, match="not iterable"):
        list(response)
    response.body("200 OK", [])(b"part")
    response.close()
    assert active(registry) == 0


def test_responses_that_are_each_others_bodies_are_refused(registry: tm.Registry) -> None:
    def inner(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return environ["outer"]

    between = MetricsMiddleware(inner, registry=tm.Registry(engine=registry._engine.name))

    def outer(environ: Any, start_response: Any) -> Any:
        environ["outer"] = start_response
        return between(environ, start_response)

    response: Any = MetricsMiddleware(outer, registry=registry)(environ_of(), server)
    for ask in (len, list, lambda response: response.close()):
        with suppress(TypeError, RecursionError):
            ask(response)
    assert active(registry) == 0


def generates(start_response: Any) -> Iterator[bytes]:
    """Hold `start_response`, as an application that is a generator does. Closed unread, Python 3.13 keeps what it holds."""
    yield b"part"


def filters(start_response: Any) -> Iterator[bytes]:
    return filter(start_response.__call__, ())


@pytest.mark.parametrize("body_of", [lambda start: start, lambda start: (start,), filters, generates])
@pytest.mark.parametrize("headers_of", [lambda start: [], lambda start: (start,)])
def test_a_response_that_holds_itself_is_collected(registry: tm.Registry, body_of: Any, headers_of: Any) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", headers_of(start_response))
        return body_of(start_response)

    response: Any = MetricsMiddleware(app, registry=registry)(environ_of(), server)
    made = type(response)
    response.close()
    del response
    gc.collect()
    assert not [one for one in gc.get_objects() if type(one) is made]
    assert active(registry) == 0


# What `send` returns under ASGI


class Delegates:
    """Awaits another awaitable in the way of code that is older than `await`."""

    def __init__(self, awaitable: Any) -> None:
        self.awaitable = awaitable

    def __await__(self) -> Any:
        return (yield from self.awaitable.__await__())


async def delegates(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200})
    await Delegates(send(END))


@types.coroutine
def of_a_generator(message: Any) -> Iterator[int]:
    yield 7


async def of_now(message: Any) -> None:
    pass


def run(registry: tm.Registry, send: Any, app: Any = delegates) -> list[Any]:
    """Run a request to its end; return what it waits for."""
    return list(Delegates(ASGIMetricsMiddleware(app, registry=registry)(scope_of(), of_now, send)).__await__())


def test_what_send_returns_can_be_delegated_to(registry: tm.Registry) -> None:
    assert run(registry, of_now) == []
    assert ended(registry) == {("GET", None, "200", None): 1}


def test_a_server_whose_send_is_a_coroutine_of_a_generator(registry: tm.Registry) -> None:
    assert run(registry, of_a_generator) == [7, 7]
    assert ended(registry) == {("GET", None, "200", None): 1}


def test_a_generator_is_no_coroutine(registry: tm.Registry) -> None:
    def starts(message: Any) -> Any:
        return of_now(message) if message is not END else (part for part in ())

    with pytest.raises(TypeError, match="can't be used in 'await'"):
        run(registry, starts)


def test_a_server_whose_send_raises_what_ends_iterators(registry: tm.Registry) -> None:
    def stops(message: Any) -> Any:
        if message is END:
            raise StopIteration
        return of_now(message)

    with pytest.raises(RuntimeError, match="raised StopIteration"):
        run(registry, stops)
    assert active(registry) == 0


# What an application does before its response under WSGI


def test_a_server_whose_start_response_returns_no_write(registry: tm.Registry) -> None:
    def writes(environ: Any, start_response: Any) -> list[bytes]:
        assert start_response("200 OK", [])(b"part") is None
        return []

    assert list(MetricsMiddleware(writes, registry=registry)(environ_of(), lambda *begun: None)) == []
    assert sent(registry) == (1, 4)


def test_own_tags_are_not_asked_for_with_headers_alone(registry: tm.Registry) -> None:
    asked: list[Any] = []

    def tags(environ: Any, begun: Any) -> dict[str, str]:
        asked.append(begun)
        return {"own": "tag"}

    def app(environ: Any, start_response: Any) -> list[bytes]:
        with suppress(TypeError):
            start_response("500 Oh", [], 7)  # no exc_info, so that nothing is noted after the headers
        return []

    response: Any = MetricsMiddleware(app, registry=registry, tags=tags)(environ_of(), server)
    assert list(response) == []
    assert asked == []
    assert ended(registry) == {("GET", None, "500", "500"): 1}


# What is replaced while it is looked into


def test_a_context_that_is_replaced_while_it_is_asked_to_run(registry: tm.Registry) -> None:
    events: list[str] = []

    class Context:
        def __getattribute__(self, name: str) -> Any:
            response.context = None
            raise AttributeError(name)

        def __getattr__(self, name: str) -> Any:
            events.append(name)
            return lambda call, value: call(value)

        def __del__(self) -> None:
            events.append("freed")

    response: Any = MetricsMiddleware(answers, registry=registry)(environ_of(), server)
    response.context = Context()
    assert list(response) == [b"hello"]
    assert events == ["run", "freed"]
    assert ended(registry) == {("GET", None, "200", None): 1}


def test_a_route_that_is_replaced_while_its_templates_are_looked_into(registry: tm.Registry) -> None:
    events: list[str] = []

    class Value:
        def __del__(self) -> None:
            events.append("freed")

    class Endpoint:
        def __hash__(self) -> int:
            return hash(delegates)

        def __eq__(self, other: object) -> bool:
            middleware._begin.route = lambda scope: "/second"
            events.append("replaced")
            return False

    class Route:
        def __init__(self) -> None:
            self.templates = {Endpoint(): Value()}

        def __call__(self, scope: Any) -> str:
            return "/first" if delegates in self.templates else "/second"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["endpoint"] = delegates
        await delegates(scope, receive, send)

    middleware = ASGIMetricsMiddleware(app, registry=registry)
    middleware._begin.route = Route()
    list(Delegates(middleware(scope_of(), of_now, of_now)).__await__())
    assert events[0] == "replaced"
    assert events[-1] == "freed"
    assert ended(registry) == {("GET", "/second", "200", None): 1}
