"""aiohttp applications over aiohttp's own server: what routes are called, when requests end, what they survive."""

from __future__ import annotations

import asyncio
import random
import re
import string
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp")

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from http_driver import active, ended, received, sent, series_of

import tallymark as tm
from tallymark.integrations.aiohttp import instrument, uninstrument
from tallymark.integrations.aiohttp_exchange import AiohttpExchange
from tallymark.integrations.http_metrics import DURATION, HTTPMetrics

PATIENCE = 30.0


@pytest.fixture
def registry() -> tm.Registry:
    """A fresh registry. The record path is not near, so one engine will do."""
    return tm.Registry()


@pytest.fixture
def app() -> web.Application:
    """An application with routes of all kinds."""
    made, below, deeper = web.Application(), web.Application(), web.Application()
    deeper.add_routes([web.get("/{name}", hello)])
    below.add_routes([web.get(r"/{number:\d+}/x", hello)])
    below.add_subapp("/deeper", deeper)
    made.add_subapp("/below/", below)
    made.add_routes([
        web.get("/", hello), web.post("/sent", echo), web.view("/view/{name}", View), web.get("/stream", stream),
        web.get("/socket", socket), web.get("/fails", fails), web.get("/times/out", times_out), web.get("/found", found),
        web.get("/unavailable", unavailable), web.get("/nothing", nothing), web.get("/empty", empty),
        web.get("/healthz", hello), web.static("/static", Path(__file__).parent),
    ])  # fmt: skip
    return made


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read(), status=201)


class View(web.View):
    async def get(self) -> web.Response:
        return web.Response(text="hello")


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(3):
        await response.write(b"chunk")
    if "fail" in request.query:
        raise ZeroDivisionError
    if "end" in request.query:
        await response.write_eof(b"end")
    return response


async def socket(request: web.Request) -> web.WebSocketResponse:
    response = web.WebSocketResponse()
    await response.prepare(request)
    async for message in response:
        await response.send_str(message.data)
    return response


async def fails(request: web.Request) -> web.Response:
    raise ZeroDivisionError


async def times_out(request: web.Request) -> web.Response:
    raise TimeoutError


async def found(request: web.Request) -> web.Response:
    raise web.HTTPFound("/")


async def unavailable(request: web.Request) -> web.Response:
    raise web.HTTPServiceUnavailable


async def nothing(request: web.Request) -> None:
    return None


async def empty(request: web.Request) -> web.Response:
    return web.Response(status=304, text="which is not sent")


@asynccontextmanager
async def client_of(app: web.Application, **options: Any) -> AsyncIterator[Any]:
    async with TestClient(TestServer(app, **options), timeout=aiohttp.ClientTimeout(PATIENCE)) as client:
        yield client


def with_client(app: web.Application, use: Callable[[Any], Awaitable[object]], **options: Any) -> Any:
    """Serve an application, and have a client use it."""

    async def main() -> object:
        async with client_of(app, **options) as client:
            return await use(client)

    return asyncio.run(main())


def ask_all(app: web.Application, *requests: tuple[Any, ...]) -> list[tuple[int, bytes]]:
    """Send requests, each a path, maybe a method, and headers; return status and body of each. 0: the response broke off."""

    async def use(client: Any) -> list[tuple[int, bytes]]:
        return [await ask_one(client, *one) for one in requests]

    return with_client(app, use)  # type: ignore[no-any-return]


async def ask_one(client: Any, path: str, method: str = "GET", headers: Any = None, data: Any = None) -> tuple[int, bytes]:
    try:
        async with client.request(method, path, allow_redirects=False, headers=headers, data=data) as answer:
            return answer.status, await answer.read()
    except aiohttp.ClientError:
        return 0, b""


def ask(app: web.Application, *request: Any) -> tuple[int, bytes]:
    [answer] = ask_all(app, request)
    return answer


# Routes


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/", "/", 200),
        ("/view/a", "/view/{name}", 200),
        ("/below/17/x", "/below/{number}/x", 200),
        ("/below/deeper/a", "/below/deeper/{name}", 200),
        ("/static/test_aiohttp.py", "/static", 200),
        ("/static/none", "/static", 404),
        ("/none", None, 404),
        ("/below/none", None, 404),
        ("/found", "/found", 302),
    ],
)
def test_a_route_is_the_whole_template(
    app: web.Application, registry: tm.Registry, path: str, route: str | None, status: int
) -> None:
    instrument(app, registry=registry)
    assert ask(app, path)[0] == status
    assert ended(registry) == {("GET", route, str(status), None): 1}
    assert active(registry) == 0


def test_a_method_that_is_not_allowed_has_no_route(app: web.Application, registry: tm.Registry) -> None:
    instrument(app, registry=registry)
    assert ask(app, "/", "DELETE")[0] == 405
    assert ended(registry) == {("DELETE", None, "405", None): 1}


def test_a_sub_application_may_be_instrumented_alone(app: web.Application, registry: tm.Registry) -> None:
    below = web.Application()
    below.add_routes([web.get("/{name}", hello)])
    instrument(below, registry=registry)
    app.add_subapp("/alone", below)
    ask_all(app, ("/",), ("/alone/a",))
    assert ended(registry) == {("GET", "/alone/{name}", "200", None): 1}


def test_one_within_another_counts_once(registry: tm.Registry) -> None:
    app, below = web.Application(), web.Application()
    below.add_routes([web.get("/{name}", hello)])
    instrument(below, registry=registry)
    instrument(app, registry=registry)
    app.add_subapp("/below", below)
    ask(app, "/below/a")
    assert ended(registry) == {("GET", "/below/{name}", "200", None): 1}
    assert sent(registry) == (1, 5)


def test_one_within_another_counts_in_each_registry(registry: tm.Registry) -> None:
    registries = [registry, tm.Registry(), registry]
    apps = [web.Application() for _ in registries]
    for app, to in zip(apps, registries, strict=True):
        instrument(app, registry=to)
    apps[2].add_routes([web.get("/hello", hello), web.get("/stream", stream), web.get("/fails", fails)])
    apps[1].add_subapp("/b", apps[2])
    apps[0].add_subapp("/a", apps[1])
    ask_all(apps[0], ("/a/b/hello",), ("/a/b/stream",), ("/a/b/fails",))
    for each in registries[:2]:
        assert ended(each) == {
            ("GET", "/a/b/hello", "200", None): 1, ("GET", "/a/b/stream", "200", None): 1,
            ("GET", "/a/b/fails", "500", "ZeroDivisionError"): 1,
        }  # fmt: skip
        assert active(each) == 0
    assert sent(registries[0]) == sent(registries[1])


# Errors


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/fails", 500, "ZeroDivisionError"), ("/times/out", 504, "TimeoutError"), ("/unavailable", 503, "503"),
        ("/nothing", 500, "500"),
    ],
)  # fmt: skip
def test_what_fails_is_told_by_its_exception_or_status(
    app: web.Application, registry: tm.Registry, path: str, status: int, error: str
) -> None:
    instrument(app, registry=registry)
    got, body = ask(app, path)
    assert got == status
    assert ended(registry) == {("GET", path, str(status), error): 1}
    assert sent(registry) == (1, len(body))
    assert active(registry) == 0


def test_an_exception_that_another_middleware_answers_is_no_error(registry: tm.Registry) -> None:
    @web.middleware
    async def forgive(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            return await handler(request)  # type: ignore[no-any-return]
        except ZeroDivisionError:
            return web.Response(status=400, text="bad")

    for first in (True, False):
        app = web.Application(middlewares=[forgive])
        app.add_routes([web.get("/fails", fails)])
        instrument(app, registry=registry)
        if first:
            app.middlewares.reverse()  # around ours
        assert ask(app, "/fails") == (400, b"bad")
    assert ended(registry) == {("GET", "/fails", "400", None): 2}
    assert sent(registry) == (2, 6)


# Bodies


@pytest.mark.parametrize(("query", "size"), [("", 15), ("?end", 18)])
def test_a_stream_is_counted_to_its_end(app: web.Application, registry: tm.Registry, query: str, size: int) -> None:
    instrument(app, registry=registry)
    assert len(ask(app, f"/stream{query}")[1]) == size
    assert ended(registry) == {("GET", "/stream", "200", None): 1}
    assert sent(registry) == (1, size)


def test_a_stream_that_fails_is_an_error(app: web.Application, registry: tm.Registry) -> None:
    instrument(app, registry=registry)
    assert ask(app, "/stream?fail") == (0, b"")
    assert ended(registry) == {("GET", "/stream", "200", "ZeroDivisionError"): 1}
    assert active(registry) == 0


def test_sizes(app: web.Application, registry: tm.Registry) -> None:
    instrument(app, registry=registry)
    file = Path(__file__).read_bytes()
    answers = ask_all(app, ("/sent", "POST", None, b"x" * 1000), ("/static/test_aiohttp.py",), ("/", "HEAD"), ("/empty",))
    assert answers == [(201, b"x" * 1000), (200, file), (200, b""), (304, b"")]
    assert received(registry) == (4, 1000)
    assert sent(registry) == (4, 1000 + len(file))


def test_the_clock_stops_after_the_last_byte(app: web.Application, registry: tm.Registry) -> None:
    """Not when the handler returns: then nothing was sent yet."""

    async def is_active(request: web.Request, response: web.StreamResponse) -> None:
        seen.append(active(registry))

    seen: list[float] = []
    instrument(app, registry=registry)
    app.on_response_prepare.append(is_active)
    ask(app, "/")
    assert seen == [1]
    assert active(registry) == 0


# WebSockets and ends


def test_the_handshake_of_a_websocket_is_a_request(app: web.Application, registry: tm.Registry) -> None:
    async def use(client: Any) -> None:
        async with client.ws_connect("/socket") as connection:
            await connection.send_str("hello")
            assert (await connection.receive()).data == "hello"
            assert ended(registry) == {("GET", "/socket", "101", None): 1}
            assert active(registry) == 0
        assert (await ask_one(client, "/socket"))[0] == 400  # no handshake

    instrument(app, registry=registry)
    with_client(app, use)
    assert ended(registry) == {("GET", "/socket", "101", None): 1, ("GET", "/socket", "400", None): 1}


@pytest.mark.parametrize("is_begun", [False, True], ids=["unanswered", "begun"])
def test_a_client_that_leaves_cancels_the_handler(registry: tm.Registry, is_begun: bool) -> None:
    called, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if is_begun:
            await response.prepare(request)
        called.set()
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            cancelled.set()
        return response

    async def main() -> None:
        app = web.Application()
        app.add_routes([web.get("/hangs", hang)])
        instrument(app, registry=registry)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        _, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(b"GET /hangs HTTP/1.1\r\nHost: x\r\n\r\n")
        await called.wait()
        assert active(registry) == 1
        writer.close()
        await cancelled.wait()
        await runner.cleanup()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert ended(registry) == {("GET", "/hangs", "200" if is_begun else None, None): 1}
    assert active(registry) == 0


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 100_000)


async def large(request: web.Request) -> web.Response:
    return web.Response(body=b"x" * 50_000_000)


@pytest.mark.parametrize("handler", [endless, large])
def test_a_client_that_leaves_amid_a_response_is_no_error(registry: tm.Registry, handler: Any) -> None:
    async def main() -> None:
        app = web.Application()
        app.add_routes([web.get("/long", handler)])
        instrument(app, registry=registry)
        async with client_of(app) as client:
            answer = await client.get("/long")
            await answer.content.read(10)
            answer.close()
            while active(registry):  # until the server has seen it
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert ended(registry) == {("GET", "/long", "200", None): 1}


def test_nor_is_one_that_leaves_at_its_end(registry: tm.Registry) -> None:
    class Gone(web.Response):
        async def write_eof(self, data: bytes = b"") -> None:
            raise ConnectionResetError

    async def gone(request: web.Request) -> web.Response:
        return Gone(text="hello")

    app = web.Application()
    app.add_routes([web.get("/gone", gone)])
    instrument(app, registry=registry)
    assert ask(app, "/gone") == (0, b"")
    assert ended(registry) == {("GET", "/gone", "200", None): 1}


def test_a_request_that_was_never_answered_ends_when_it_is_forgotten(registry: tm.Registry) -> None:
    request = make_mocked_request("GET", "/")
    request.match_info.route.resource = None
    exchange = AiohttpExchange(HTTPMetrics(registry), request)
    assert active(registry) == 1
    del exchange
    assert active(registry) == 0
    assert ended(registry) == {("GET", None, None, None): 1}


# Options


def test_the_metrics_are_served_at_a_path(app: web.Application, registry: tm.Registry) -> None:
    registry.counter("hits").inc()
    instrument(app, registry=registry, metrics_path="/internal/metrics", auth=tm.BearerAuth("secret"))
    known = {"Authorization": "Bearer secret"}
    refused, page, health, head, other = ask_all(
        app, ("/internal/metrics",), ("/internal/metrics", "GET", known), ("/internal/metrics/healthz",),
        ("/internal/metrics", "HEAD", known), ("/internal/metricsx",),
    )  # fmt: skip
    assert (refused[0], page[0], b"hits_total 1.0" in page[1], other[0]) == (401, 200, True, 404)
    assert (health, head) == ((200, b"ok\n"), (200, b""))
    assert ended(registry) == {("GET", None, "404", None): 1}


def test_one_within_another_serves_the_metrics_too(registry: tm.Registry) -> None:
    app, below = web.Application(), web.Application()
    below.add_routes([web.get("/{name}", hello)])
    instrument(below, registry=registry, metrics_path="/below/metrics")
    instrument(app, registry=registry)
    app.add_subapp("/below", below)
    page, _ = ask_all(app, ("/below/metrics",), ("/below/a",))
    assert (page[0], b"http_server_request_duration" in page[1]) == (200, True)
    assert ended(registry) == {("GET", "/below/{name}", "200", None): 1}
    assert active(registry) == 0


def test_a_page_that_breaks_off_is_not_taken_for_whole(app: web.Application, registry: tm.Registry) -> None:
    async def half(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    instrument(app, registry=registry, metrics_path="/metrics")
    app.middlewares[0]._pages._app = half  # type: ignore[attr-defined]
    assert ask(app, "/metrics") == (0, b"")


def test_routes_and_paths_are_left_out(app: web.Application, registry: tm.Registry) -> None:
    instrument(app, registry=registry, exclude=("/healthz", "/view/{name}"))
    ask_all(app, ("/healthz",), ("/view/a",), ("/",))
    assert ended(registry) == {("GET", "/", "200", None): 1}
    assert active(registry) == 0


def test_own_tags(app: web.Application, registry: tm.Registry, caplog: pytest.LogCaptureFixture) -> None:
    def tags(request: web.Request, response: web.StreamResponse | None) -> dict[str, object]:
        assert response is not None
        return {"tenant": request.query["tenant"], "status": response.status, "http.route": "not ours to say"}

    instrument(app, registry=registry, tags=tags)
    assert [status for status, _ in ask_all(app, ("/?tenant=blue",), ("/",), ("/",))] == [200] * 3
    [one] = [one for one in series_of(registry, DURATION) if "tenant" in one.tags]
    assert {key: one.tags[key] for key in ("tenant", "status", "http.route")} == {
        "tenant": "blue", "status": "200", "http.route": "/",
    }  # fmt: skip
    assert sum("tags= of the HTTP integration failed" in message for message in caplog.messages) == 1


def test_the_current_registry_is_the_default(app: web.Application, registry: tm.Registry) -> None:
    with tm.use(registry):
        tm.integrations.aiohttp.instrument(app)
    ask(app, "/")
    assert sum(ended(registry).values()) == 1


def test_it_is_undone(app: web.Application, registry: tm.Registry) -> None:
    instrument(app, registry=registry)
    uninstrument(app)
    uninstrument(app)
    assert not app.middlewares
    assert not app.on_response_prepare
    assert ask(app, "/")[0] == 200
    assert not ended(registry)


def test_it_is_undone_while_the_application_runs(app: web.Application, registry: tm.Registry) -> None:
    async def use(client: Any) -> None:
        await client.get("/")
        uninstrument(app)
        assert (await client.get("/")).status == 200
        with pytest.raises(RuntimeError, match="was started already: call instrument"):
            instrument(app)

    instrument(app, registry=registry)
    with_client(app, use)
    assert sum(ended(registry).values()) == 1


def test_another_call_replaces_the_first(app: web.Application, registry: tm.Registry) -> None:
    other = tm.Registry()
    instrument(app, registry=other)
    instrument(app, registry=registry)
    ask(app, "/")
    assert not ended(other)
    assert sum(ended(registry).values()) == 1


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"exclude": "/healthz"}, TypeError, "exclude must be a collection"),
        ({"metrics_path": "metrics"}, ValueError, "metrics_path must be a path"),
        ({"registry": 7}, TypeError, "registry must be"),
        ({"tags": 7}, TypeError, "tags must be a function"),
    ],
)
def test_an_option_that_is_wrong_leaves_the_application_as_it_was(
    app: web.Application, options: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        instrument(app, **options)
    assert not app.middlewares
    with pytest.raises(TypeError, match="app must be"):
        instrument(object())  # type: ignore[arg-type]


def test_the_lines_of_the_page_are_all_that_is_needed(registry: tm.Registry) -> None:
    page = (Path(__file__).parents[2] / "docs" / "integrations" / "aiohttp.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    with tm.use(registry):
        exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], names)
    names["app"].add_routes([web.get("/{name}", hello)])
    _, (status, body) = ask_all(names["app"], ("/a",), ("/metrics",))
    assert status == 200
    assert b'http_route="/{name}"' in body


# Requests made to hurt


@pytest.mark.slow
def test_random_requests_make_no_series_of_their_own(app: web.Application, registry: tm.Registry) -> None:
    """Raw bytes, so that nothing of the client's holds them back."""
    generator = random.Random(7)
    instrument(app, registry=registry)

    def text(size: int) -> str:
        return "".join(generator.choices(string.ascii_letters + string.digits + "%<>&;'\"/~é", k=size))

    def request() -> bytes:
        method = generator.choice(["GET", "get", "POST", text(5), "DELETE", "PROPFIND", "M-SEARCH"])
        path = generator.choice(["/", "/view/", "/below/", "/static/", "/fails/../", "//"]) + text(8)
        version = generator.choice(["HTTP/1.1", "HTTP/1.0", "HTTP/9.9"])
        headers = (
            f"Host: {text(9)}\r\nX-Forwarded-Proto: {text(5)}\r\nContent-Length: {generator.choice(['0', 'x' + text(3)])}\r\n"
        )
        return f"{method} {path} {version}\r\n{headers}Connection: close\r\n\r\n".encode()

    async def attack(client: Any, count: int) -> int:
        for _ in range(count):
            reader, writer = await asyncio.open_connection(client.host, client.port)
            writer.write(request())
            await reader.read()
            writer.close()
        return len({(one.tags["http.request.method"], one.tags["url.scheme"]) for one in series_of(registry, DURATION)})

    async def use(client: Any) -> None:
        await attack(client, 100)
        before = await attack(client, 100)
        assert await attack(client, 300) == before <= 6

    with_client(app, use)
    assert {one.tags.get("http.route") for one in series_of(registry, DURATION)} <= {None, "/", "/view/{name}", "/static"}
    assert active(registry) == 0
    assert sum(ended(registry).values()) > 50


@pytest.mark.parametrize("path", ["/", "/stream?end=1", "/fails"])
@pytest.mark.parametrize("way", ["within", "around"])
def test_what_is_current_within_a_middleware_is_the_exemplar(app: web.Application, way: str, path: str) -> None:
    """As the span of a request is, whose middleware has ended it before aiohttp sends the response."""
    current: ContextVar[str] = ContextVar("current", default="")
    registry = tm.Registry(exemplars=lambda: {"request_id": current.get()} if current.get() else None)

    @web.middleware
    async def in_span(request: web.Request, handler: Any) -> web.StreamResponse:
        token = current.set("a81b")
        try:
            return await handler(request)
        finally:
            current.reset(token)

    if way == "around":
        instrument(app, registry=registry)
        app.middlewares.insert(0, in_span)
    else:
        app.middlewares.append(in_span)
        instrument(app, registry=registry)
    ask(app, path)
    kept = [dict(one.labels) for series in series_of(registry, DURATION) for one in series.exemplars]
    assert kept == [{"request_id": "a81b"}]


def test_an_application_whose_registry_asks_for_exemplars_is_as_it_was_when_that_is_undone(app: web.Application) -> None:
    before = list(app.middlewares)
    instrument(app, registry=tm.Registry(exemplars=lambda: None))
    instrument(app, registry=tm.Registry(exemplars=lambda: None))
    assert len(app.middlewares) == len(before) + 2
    uninstrument(app)
    assert list(app.middlewares) == before
