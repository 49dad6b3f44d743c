"""The metrics of any ASGI application: what counts as the end of a request, and what is recorded of it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from http_driver import Exchange, active, ask, ended, hello, received, scope_of, seconds, sent, series_of

import tallymark as tm
from tallymark.integrations import asgi as asgi_module
from tallymark.integrations import exchange as exchange_module
from tallymark.integrations import wsgi_response
from tallymark.integrations.asgi import MetricsMiddleware
from tallymark.integrations.http_metrics import DURATION, DURATION_BOUNDS

MORE = {"type": "http.request", "body": b"12345", "more_body": True}
LAST = {"type": "http.request", "body": b"678", "more_body": False}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A clock that stands still until it is set."""

    class Clock:
        now = 100.0

        def __call__(self) -> float:
            return self.now

    clock = Clock()
    for module in (exchange_module, asgi_module, wsgi_response):
        monkeypatch.setattr(module, "perf_counter", clock)
    return clock


def run(registry: tm.Registry, app: Any, *paths: str, exchange: Exchange | None = None, **more: Any) -> Exchange:
    """Send requests to an application under the middleware; return what was said last. Nothing is active before or after."""
    middleware = MetricsMiddleware(app, registry=registry)

    async def all_of_them() -> Exchange:
        last = Exchange()
        for path in paths or ("/",):
            last = await ask(middleware, path, exchange=exchange, **more)
        return last

    last = asyncio.run(all_of_them())
    assert active(registry) == 0
    return last


def test_a_request_is_recorded_as_the_convention_says(registry: tm.Registry) -> None:
    said = run(registry, hello(b"hello", b" you"))
    assert (said.status, said.body) == (200, b"hello you")
    (series,) = series_of(registry, DURATION)
    assert dict(series.tags) == {
        "http.request.method": "GET", "http.response.status_code": "200", "network.protocol.version": "1.1",
        "url.scheme": "http",
    }  # fmt: skip
    assert series.histogram.bounds == DURATION_BOUNDS
    assert series.count == 1
    assert (received(registry), sent(registry)) == ((1, 0), (1, 9))
    snapshot = registry.snapshot()
    units = {family.name: (family.kind, family.unit) for family in snapshot.families if family.name.startswith("http")}
    assert units == {
        "http.server.request.duration": ("timer", "seconds"),
        "http.server.active_requests": ("gauge", "{request}"),
        "http.server.request.body.size": ("histogram", "bytes"),
        "http.server.response.body.size": ("histogram", "bytes"),
    }
    names = {family.exposition_name for family in snapshot.families if family.name.startswith("http")}
    assert names == {
        "http_server_request_duration_seconds", "http_server_active_requests", "http_server_request_body_size_bytes",
        "http_server_response_body_size_bytes",
    }  # fmt: skip


def test_a_registry_that_prefers_exponential_buckets_gets_them() -> None:
    registry = tm.Registry(exponential=True)
    run(registry, hello())
    assert registry.snapshot()[DURATION].bounds == ()


def test_the_body_of_the_request_is_counted_as_the_application_takes_it(registry: tm.Registry) -> None:
    async def reads(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        await hello()(scope, receive, send)

    run(registry, reads, exchange=Exchange([MORE, MORE, LAST]), headers=[(b"content-length", b"99999999")])
    assert received(registry) == (1, 13)


def test_the_body_of_a_head_request_is_not_sent(registry: tm.Registry) -> None:
    run(registry, hello(b"hello"), method="HEAD")
    assert (ended(registry), sent(registry)) == ({("HEAD", None, "200", None): 1}, (1, 0))


@pytest.mark.parametrize(
    ("given", "recorded"),
    [("GET", "GET"), ("QUERY", "QUERY"), ("PROPFIND", "_OTHER"), ("get", "_OTHER"), ("", "_OTHER"), ("\ud800", "_OTHER")],
)
def test_unknown_methods_are_other(registry: tm.Registry, given: str, recorded: str) -> None:
    run(registry, hello(), method=given)
    assert list(ended(registry)) == [(recorded, None, "200", None)]


def test_the_environment_may_name_the_methods_that_are_known(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "PROPFIND, GET")
    for method in ("PROPFIND", "POST"):
        run(registry, hello(), method=method)
    assert {method for method, *_ in ended(registry)} == {"PROPFIND", "_OTHER"}


def test_what_a_scope_may_leave_out_or_a_client_invent_is_bounded(registry: tm.Registry) -> None:
    middleware = MetricsMiddleware(hello(), registry=registry)
    bare = scope_of()
    del bare["scheme"], bare["http_version"]
    for scope in (bare, scope_of(scheme="gopher", http_version="7")):
        said = Exchange()
        asyncio.run(middleware(scope, said.receive, said.send))
        assert said.status == 200
    tags = [dict(series.tags) for series in series_of(registry, DURATION)]
    assert [one["url.scheme"] for one in tags] == ["http", "_OTHER"]
    assert not any("network.protocol.version" in one for one in tags)


# The end of a request


def test_the_clock_stops_when_the_last_byte_is_handed_over(registry: tm.Registry, clock: Any) -> None:
    class Slow(Exchange):
        async def send(self, message: Any) -> None:
            await super().send(message)
            clock.now += 1  # start, two parts, the end

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await hello(b"a", b"b")(scope, receive, send)
        assert active(registry) == 0
        clock.now += 1000  # a background task

    run(registry, app, exchange=Slow())
    assert seconds(registry) == 4.0


@pytest.mark.parametrize("begun", [False, True])
def test_the_clock_stops_when_the_client_goes(registry: tm.Registry, clock: Any, begun: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
        clock.now += 1
        assert (await receive())["type"] == "http.disconnect"
        clock.now += 1000
        await hello(status=201)(scope, receive, send)  # to nobody

    run(registry, app, exchange=Exchange([]))
    assert seconds(registry) == 1.0
    assert ended(registry) == {("GET", None, "200" if begun else None, None): 1}  # it is no error of the server's


def test_a_client_that_is_gone_when_something_is_sent(registry: tm.Registry, clock: Any) -> None:
    class Gone(Exchange):
        async def send(self, message: Any) -> None:
            if message["type"] == "http.response.body":
                raise BrokenPipeError
            await super().send(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await hello(b"part")(scope, receive, send)
        finally:
            clock.now += 1000

    said = run(registry, app, exchange=Gone())
    assert isinstance(said.error, BrokenPipeError)
    assert ended(registry) == {("GET", None, "200", None): 1}
    assert seconds(registry) == 0


# Applications that fail


async def raises_before(scope: Any, receive: Any, send: Any) -> None:
    raise KeyError("before")


async def raises_within(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"a", "more_body": True})
    raise KeyError("within")


async def raises_after(scope: Any, receive: Any, send: Any) -> None:
    await hello(b"a")(scope, receive, send)
    raise KeyError("after")


async def answers_twice(scope: Any, receive: Any, send: Any) -> None:
    await hello(b"a")(scope, receive, send)
    await hello(b"b", status=404)(scope, receive, send)


async def begins_twice(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await hello(b"b", status=404)(scope, receive, send)


async def never_answers(scope: Any, receive: Any, send: Any) -> None:
    pass


async def never_ends(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def is_cancelled(scope: Any, receive: Any, send: Any) -> None:
    raise asyncio.CancelledError


async def answers_500(scope: Any, receive: Any, send: Any) -> None:
    await hello(status=500)(scope, receive, send)


async def answers_500_while_handling(scope: Any, receive: Any, send: Any) -> None:
    try:
        raise KeyError("handled by the framework")
    except KeyError:
        await hello(status=500)(scope, receive, send)


@pytest.mark.parametrize(
    ("app", "status", "error"),
    [
        (raises_before, "500", "KeyError"),
        (raises_within, "200", "KeyError"),
        (raises_after, "200", None),
        (answers_twice, "200", None),
        (begins_twice, "200", None),
        (never_answers, "500", "500"),
        (never_ends, "200", "incomplete_response"),
        (answers_500, "500", "500"),
        (answers_500_while_handling, "500", "KeyError"),
    ],
)
def test_how_applications_that_fail_are_recorded(registry: tm.Registry, app: Any, status: str, error: str | None) -> None:
    said = run(registry, app)
    assert ended(registry) == {("GET", None, status, error): 1}
    assert (said.error is None) == (not app.__name__.startswith("raises"))


@pytest.mark.parametrize("status", [None, "200", 99, 1000, -1, 2.5, float("nan"), [200], True])
def test_what_is_no_status_is_none(registry: tm.Registry, status: Any) -> None:
    run(registry, hello(status=status))
    assert list(ended(registry)) == [("GET", None, None, None)]


def test_a_request_that_is_cancelled_is_no_error(registry: tm.Registry) -> None:
    middleware = MetricsMiddleware(is_cancelled, registry=registry)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ask(middleware))
    assert ended(registry) == {("GET", None, None, None): 1}
    assert active(registry) == 0


def test_a_coroutine_that_is_forgotten_ends_its_request(registry: tm.Registry) -> None:
    async def waits(scope: Any, receive: Any, send: Any) -> None:
        await Forever()

    class Forever:
        def __await__(self) -> Iterator[None]:
            yield

    coroutine = MetricsMiddleware(waits, registry=registry)(scope_of(), Exchange().receive, Exchange().send)
    coroutine.send(None)
    assert active(registry) == 1
    del coroutine
    gc.collect()
    assert active(registry) == 0


def test_messages_that_are_no_messages_get_to_the_server_or_raise(registry: tm.Registry) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for wrong in ({}, {"type": "http.response.body", "body": 7}, {"type": "http.response.start"}, 7):
            with pytest.raises((KeyError, TypeError)):
                await send(wrong)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.debug", "info": {}})
        await send({"type": "http.response.body", "body": None})

    said = run(registry, app)
    assert [one["type"] for one in said.sent[-3:]] == ["http.response.start", "http.response.debug", "http.response.body"]
    assert list(ended(registry)) == [("GET", None, "200", None)]


def test_a_file_that_the_server_sends_has_no_size(registry: tm.Registry) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": "/file"})

    run(registry, app)
    assert (list(ended(registry)), sent(registry)) == ([("GET", None, "200", None)], (0, 0))


# What is no request


def test_lifespan_and_what_is_not_known_pass_through(registry: tm.Registry) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["type"], receive, send))

    middleware = MetricsMiddleware(app, registry=registry, metrics_path="/metrics", exclude=["/x"])
    exchange = Exchange()
    receive, send = exchange.receive, exchange.send
    for kind in ("lifespan", "something.new"):
        asyncio.run(middleware({"type": kind}, receive, send))
    assert seen == [("lifespan", receive, send), ("something.new", receive, send)]
    assert ended(registry) == {}


def websocket(*messages: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        for message in messages:
            if isinstance(message, Exception):
                raise message
            await send(message)

    return app


ACCEPT = {"type": "websocket.accept"}
TEXT = {"type": "websocket.send", "text": "hello"}
CLOSE = {"type": "websocket.close", "code": 1000}
REFUSE = [
    {"type": "websocket.http.response.start", "status": 401, "headers": []},
    {"type": "websocket.http.response.body", "body": b"no"},
]


@pytest.mark.parametrize(
    ("messages", "status", "error"),
    [
        ([ACCEPT, TEXT, CLOSE], "101", None),
        ([ACCEPT, TEXT, RuntimeError()], "101", None),
        ([CLOSE], "403", None),
        (REFUSE, "401", None),
        ([RuntimeError()], "500", "RuntimeError"),
        ([], "500", "500"),
    ],
)
def test_the_handshake_of_a_websocket_is_a_request(
    registry: tm.Registry, messages: Any, status: str, error: str | None
) -> None:
    said = Exchange([{"type": "websocket.connect"}])
    scope = scope_of("/ws", type="websocket", scheme="ws")
    del scope["method"]
    middleware = MetricsMiddleware(websocket(*messages), registry=registry)
    with suppress(RuntimeError):
        asyncio.run(middleware(scope, said.receive, said.send))
    assert said.sent == [one for one in messages if not isinstance(one, Exception)]
    assert ended(registry) == {("GET", None, status, error): 1}
    assert active(registry) == 0


def test_a_websocket_is_no_active_request_once_it_is_open(registry: tm.Registry, clock: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        assert active(registry) == 1
        clock.now += 1
        await send(ACCEPT)
        assert active(registry) == 0
        clock.now += 1000
        assert (await receive())["type"] == "websocket.disconnect"

    said = Exchange([{"type": "websocket.connect"}, {"type": "websocket.disconnect"}])
    asyncio.run(MetricsMiddleware(app, registry=registry)(scope_of(type="websocket", scheme="wss"), said.receive, said.send))
    assert seconds(registry) == 1.0


def test_a_client_that_goes_before_its_websocket_is_accepted(registry: tm.Registry) -> None:
    said = Exchange([{"type": "websocket.connect"}, {"type": "websocket.disconnect"}])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await receive()

    asyncio.run(MetricsMiddleware(app, registry=registry)(scope_of(type="websocket", scheme="ws"), said.receive, said.send))
    assert ended(registry) == {("GET", None, None, None): 1}
    assert active(registry) == 0
