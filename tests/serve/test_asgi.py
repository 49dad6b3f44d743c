"""`asgi_app`, driven by the test as a server would: on asyncio and on trio."""

from __future__ import annotations

import asyncio
import gc
import gzip
import subprocess
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import hypothesis.strategies as st
import pytest
import trio
from hypothesis import given
from raw_http import PATIENCE, eventually

import tallymark as tm
from tallymark.serve import event_loops, renderer
from tallymark.serve.app_pages import AppPages
from tallymark.serve.asgi import ASGIApp
from tallymark.serve.limits import Limits
from tallymark.serve.pages import Page, PageRequest, page

Message = dict[str, Any]
GET = PageRequest("GET", "/metrics", "", {})


@dataclass
class Exchange:
    """One request to an app, and what it sent."""

    app: ASGIApp
    method: str = "GET"
    path: str = "/metrics"
    root_path: str = ""
    headers: Iterable[tuple[bytes, bytes]] = ()
    query: bytes = b""
    sent: list[Message] = field(default_factory=list)
    sending: Callable[[Message], Awaitable[None]] | None = None

    async def run(self) -> Exchange:
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": self.method, "path": self.path,
                 "raw_path": self.path.encode("utf-8", "surrogateescape"), "root_path": self.root_path, "scheme": "http",
                 "query_string": self.query, "headers": list(self.headers)}  # fmt: skip
        await self.app(scope, self._receive, self._send)
        return self

    async def _receive(self) -> Message:
        raise AssertionError("the body of a request is not read")

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        if self.sending:
            await self.sending(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def fields(self) -> dict[str, str]:
        assert self.sent[0]["type"] == "http.response.start"
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        *pieces, last = self.sent[1:]
        assert {message["type"] for message in self.sent[1:]} == {"http.response.body"}
        assert all(piece["more_body"] for piece in pieces)
        assert not last["more_body"]
        return b"".join([message["body"] for message in self.sent[1:]])


@pytest.fixture
def registry() -> tm.Registry:
    """A fresh registry. The record path is not near, so one engine will do."""
    return tm.Registry()


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine in an event loop of its own."""

    async def hand(work: Coroutine[Any, Any, Any]) -> Any:
        return await work

    return asyncio.run if request.param == "asyncio" else lambda work: trio.run(hand, work)


async def together(works: Iterable[Callable[[], Awaitable[Any]]]) -> None:
    """Await all at the same time."""
    if event_loops.running_loop().key.__class__.__module__.startswith("trio"):
        async with trio.open_nursery() as nursery:
            for work in works:
                nursery.start_soon(work)
    else:
        await asyncio.gather(*[work() for work in works])


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something holds."""
    turns = 0
    while not condition():
        await event_loops.running_loop().give_way()
        turns += 1
        assert turns < 10_000_000


class Gate:
    """A callback that holds each scrape until the test opens the gate."""

    def __init__(self, registry: tm.Registry) -> None:
        self.asked, self.open = threading.Event(), threading.Event()
        self.threads: list[threading.Thread] = []
        registry.gauge("gate", callback=self)

    def __call__(self) -> float:
        self.threads.append(threading.current_thread())
        self.asked.set()
        assert self.open.wait(PATIENCE)
        return len(self.threads)


def limited(registry: tm.Registry, **limits: float) -> ASGIApp:
    app = tm.asgi_app(registry)
    app._pages = AppPages(registry, Limits(**limits))  # type: ignore[arg-type]
    return app


def large(registry: tm.Registry, size: int = 2000) -> tm.Registry:
    """Fill a registry with some text: 1.3 MB."""
    counter = registry.counter("large", limits=tm.TagLimits(max_series=size))
    for number in range(size):
        counter.inc(number=number, a="x" * 200, b="x" * 200, c="x" * 200)
    return registry


# Pages


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "get"])
@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/healthz", "/", "/nothing", ""])
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_pages_are_those_of_the_endpoint(registry: tm.Registry, run: Any, method: str, path: str, encoding: str) -> None:
    registry.counter("hits").inc(3, route="/")
    request = PageRequest(method, path or "/", "", {"accept-encoding": encoding})
    got = run(Exchange(tm.asgi_app(registry), method, path, headers=[(b"Accept-Encoding", encoding.encode())]).run())
    wanted = page(request, registry)
    names = {name.lower(): value for name, value in wanted.headers}
    assert (got.status, got.fields) == (wanted.status, {**names, "content-length": str(len(wanted.body))})
    assert got.body == (b"" if method == "HEAD" else wanted.body)


@pytest.mark.parametrize(
    ("root_path", "path", "status", "is_metrics"),
    [
        ("/metrics", "/metrics", 200, True), ("/metrics", "/metrics/", 200, True), ("/metrics", "", 200, True),
        ("/metrics", "/", 200, True), ("/metrics/", "/metrics", 200, True), ("/a/b", "/a/b/metrics", 200, True),
        ("/a/b", "/metrics", 200, True), ("/a/b", "/a/b", 200, True), ("/a", "/a/healthz", 200, False),
        ("/a", "/ab", 404, False),
        ("/a", "/a/a", 404, False), ("", "/a/metrics", 404, False), ("", "/", 200, False), ("/", "/metrics", 200, True),
    ],
)  # fmt: skip
def test_below_a_prefix(registry: tm.Registry, run: Any, root_path: str, path: str, status: int, is_metrics: bool) -> None:
    got = run(Exchange(tm.asgi_app(registry), path=path, root_path=root_path).run())
    assert (got.status, "version=" in got.fields["content-type"]) == (status, is_metrics)


def test_fields_of_one_name_are_joined(registry: tm.Registry, run: Any) -> None:
    fields = [(b"accept-encoding", b"br"), (b"ACCEPT-ENCODING", b"gzip")]
    registry.counter("hits").inc()
    got = run(Exchange(tm.asgi_app(registry), headers=fields).run())
    assert got.fields["content-encoding"] == "gzip"
    assert b"hits_total 1.0\n" in gzip.decompress(got.body)


def test_the_current_registry_is_the_default(registry: tm.Registry, run: Any) -> None:
    registry.counter("mine").inc()
    with tm.use(registry):
        app = tm.asgi_app()
    assert b"mine_total 1.0\n" in run(Exchange(app).run()).body
    assert repr(app) == f"<ASGIApp of {registry!r}>"


def test_what_is_no_registry_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="registry must be a Registry, not str"):
        tm.asgi_app("default")  # type: ignore[arg-type]


def test_credentials_are_asked_for_as_the_endpoint_does(registry: tm.Registry, run: Any) -> None:
    app = tm.asgi_app(registry, auth=tm.BearerAuth("tøken"))
    refused = run(Exchange(app).run())
    assert (refused.status, refused.body) == (401, b"401 Unauthorized\n")
    assert refused.fields["www-authenticate"] == 'Bearer realm="metrics"'
    assert run(Exchange(app, headers=[(b"authorization", "Bearer tøken".encode())]).run()).status == 200
    assert run(Exchange(app, headers=[(b"authorization", b"Bearer \xff")]).run()).status == 401
    assert run(Exchange(app, path="/healthz").run()).status == 200
    assert run(Exchange(app, path="/m", root_path="/m").run()).status == 401


@given(
    method=st.text(), path=st.text(st.characters(exclude_categories=[])), root_path=st.text("/am"), query=st.binary(),
    headers=st.lists(st.tuples(st.sampled_from([b"accept", b"accept-encoding", b"authorization", b"\xff"]), st.binary())),
)  # fmt: skip
def test_any_request_is_answered(method: str, path: str, root_path: str, query: bytes, headers: list[Any]) -> None:
    app = tm.asgi_app(tm.Registry(), auth=tm.BasicAuth("user", "password"))
    got = asyncio.run(Exchange(app, method, "/" + path.encode("utf-8", "replace").decode(), root_path, headers, query).run())
    assert got.status in (200, 401)


# The event loop


def test_pages_are_made_in_a_thread_that_is_always_the_same_while_the_loop_goes_on(registry: tm.Registry, run: Any) -> None:
    gate = Gate(registry)
    app = tm.asgi_app(registry)

    async def serve() -> None:
        async def opens() -> None:
            await until(gate.asked.is_set)
            assert (await Exchange(app, path="/healthz").run()).body == b"ok\n"
            gate.open.set()

        await together([Exchange(app).run, opens])
        await Exchange(app).run()

    run(serve())
    run(serve())  # in another loop
    assert len(gate.threads) == 4
    assert len(set(gate.threads)) == 1
    assert threading.current_thread() not in gate.threads


def test_others_have_their_turn_between_two_pieces(registry: tm.Registry, run: Any) -> None:
    large(registry)
    app = tm.asgi_app(registry)
    turns: list[int] = []

    async def serve() -> Exchange:
        exchange = Exchange(app)

        async def counts() -> None:
            while not exchange.sent or exchange.sent[-1].get("more_body", True):
                turns.append(len(exchange.sent))
                await event_loops.running_loop().give_way()

        await together([exchange.run, counts])
        return exchange

    exchange = run(serve())
    pieces = [message["body"] for message in exchange.sent[1:]]
    assert exchange.body == page(GET, registry).body
    assert len(pieces) > 15
    assert all(type(piece) is bytes and len(piece) <= 65_536 for piece in pieces)
    seen = [*sorted({turn for turn in turns if turn > 1}), len(exchange.sent)]
    assert seen[0] <= 3
    assert max(after - before for before, after in pairwise(seen)) <= 2  # trio's order within a turn is random


class Body(bytes):
    """Knows in which thread it is freed."""

    freed_in: list[str] = []

    def __del__(self) -> None:
        self.freed_in.append(threading.current_thread().name)


@pytest.mark.parametrize("end", [None, OSError, RuntimeError])
def test_the_loop_does_not_free_pages_either(
    registry: tm.Registry, run: Any, end: type[Exception] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sending(message: Message) -> None:
        if end and message["type"] == "http.response.body":
            raise end

    monkeypatch.setattr(renderer, "page", lambda request, registry: Page(200, (), Body(b"x" * 200_000)))
    monkeypatch.setattr(Body, "freed_in", [])
    app = tm.asgi_app(registry)
    for count in (1, 2):
        with suppress(RuntimeError):
            run(Exchange(app, sending=sending).run())
        assert eventually(lambda: len(Body.freed_in) == count)  # noqa: B023
    assert set(Body.freed_in) == {"tallymark-http-pages"}


def test_a_crowd_shares_two_pages(registry: tm.Registry, run: Any) -> None:
    gate = Gate(registry)
    app = tm.asgi_app(registry)

    async def serve() -> list[Exchange]:
        exchanges = [Exchange(app) for _ in range(50)]

        async def opens() -> None:
            await until(lambda: [len(pages._batches) for pages in app._pages._loops.values()] == [50])
            gate.open.set()

        await together([*[exchange.run for exchange in exchanges], opens])
        return exchanges

    assert {exchange.status for exchange in run(serve())} == {200}
    assert len(gate.threads) == 2
    assert app._pages._loops == {}


def test_several_loops_are_served_at_once(registry: tm.Registry, run: Any) -> None:
    gate = Gate(registry)
    app = tm.asgi_app(registry)
    got: list[Exchange] = []
    threads = [threading.Thread(target=lambda: got.append(run(Exchange(app).run()))) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert eventually(lambda: len(app._pages._loops) == 5)
    gate.open.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert [exchange.status for exchange in got] == [200] * 5
    assert len(set(gate.threads)) == 1


def test_a_loop_that_ends_while_a_client_waits_is_forgotten(registry: tm.Registry) -> None:
    """It was closed without an end of its tasks, as `asyncio.run` would not do."""
    gate = Gate(registry)
    app = tm.asgi_app(registry)
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(Exchange(app).run())
    loop.run_until_complete(until(gate.asked.is_set))
    loop.close()
    ended = weakref.ref(loop)
    waiting._log_destroy_pending = False  # type: ignore[attr-defined]
    del loop, waiting
    gate.open.set()
    assert asyncio.run(Exchange(app).run()).status == 200
    gc.collect()
    assert app._pages._loops == {}
    assert ended() is None


def test_trio_in_a_loop_of_asyncio_is_seen_as_trio(registry: tm.Registry) -> None:
    app = tm.asgi_app(registry)

    async def host() -> Any:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        trio.lowlevel.start_guest_run(
            Exchange(app).run, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=done.set_result
        )
        return (await done).unwrap().status, (await Exchange(app).run()).status

    assert asyncio.run(host()) == (200, 200)


# Clients


def test_a_client_that_waits_too_long_is_told_so(registry: tm.Registry, run: Any) -> None:
    gate = Gate(registry)
    app = limited(registry, page=0.05)
    late = run(Exchange(app).run())
    assert (late.status, late.body) == (503, b"503 Service Unavailable\n")
    gate.open.set()
    assert run(Exchange(app).run()).status == 200


@pytest.mark.parametrize("moment", ["http.response.start", "http.response.body"])
def test_a_client_that_is_gone_is_let_go_of_in_silence(registry: tm.Registry, run: Any, moment: str) -> None:
    async def gone(message: Message) -> None:
        if message["type"] == moment:
            raise OSError("client disconnected")

    app = tm.asgi_app(large(registry))
    for path in ("/metrics", "/healthz"):
        exchange = run(Exchange(app, path=path, sending=gone).run())
        assert exchange.sent[-1]["type"] == moment
    assert app._pages._loops == {}
    assert run(Exchange(app).run()).status == 200


def test_a_task_that_is_cancelled_leaves_nothing_behind(registry: tm.Registry) -> None:
    gate = Gate(registry)
    app = tm.asgi_app(registry)

    async def serve() -> None:
        tasks = [asyncio.create_task(Exchange(app).run()) for _ in range(3)]
        await until(gate.asked.is_set)
        for task in tasks:
            task.cancel()
        assert {type(result) for result in await asyncio.gather(*tasks, return_exceptions=True)} == {asyncio.CancelledError}
        [pages] = app._pages._loops.values()
        assert not pages._batches
        gate.open.set()
        assert (await Exchange(app).run()).status == 200

    asyncio.run(serve())
    assert len(gate.threads) == 2  # nothing was made for the two that had to wait


def test_slow_clients_hold_few_pages_and_make_room_for_a_scrape(registry: tm.Registry, run: Any) -> None:
    app = limited(large(registry), pages=2, hold=0.05)

    async def serve() -> list[Exchange]:
        release = event_loops.running_loop().event()

        async def stall(message: Message) -> None:
            if message["type"] == "http.response.body":
                await release.wait()

        slow = [Exchange(app, sending=stall) for _ in range(5)]

        async def scrape() -> None:
            for exchange in slow:  # one after another, so that each has a page of its own
                await until(lambda: len(exchange.sent) == 2)  # noqa: B023
                [pages] = app._pages._loops.values()
                assert len(pages._sending) <= 2
            assert (await Exchange(app).run()).body.count(b"large_total{") == 2000
            release.set()

        async def one_after_another(number: int) -> None:
            if number:
                await until(lambda: len(slow[number - 1].sent) == 2)
            await slow[number].run()

        await together([*[lambda number=number: one_after_another(number) for number in range(5)], scrape])
        return slow

    ends = [exchange.sent[-1].get("more_body", True) for exchange in run(serve())]
    assert ends[0]  # let go of in the midst: what is missing is never said to be the end
    assert app._pages._loops == {}


# Lifespan, WebSocket, and others


def test_lifespan(registry: tm.Registry, run: Any) -> None:
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[Message] = []

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    run(tm.asgi_app(registry)({"type": "lifespan"}, receive, send))
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_a_websocket_is_refused_before_it_is_accepted(registry: tm.Registry, run: Any) -> None:
    received: list[int] = []
    sent: list[Message] = []

    async def receive() -> Message:
        received.append(1)
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    run(tm.asgi_app(registry)({"type": "websocket", "path": "/metrics"}, receive, send))
    assert (len(received), [message["type"] for message in sent]) == (1, ["websocket.close"])


def test_a_protocol_that_is_not_known_is_an_error(registry: tm.Registry, run: Any) -> None:
    with pytest.raises(ValueError, match="serves http, not 'mqtt'"):
        run(tm.asgi_app(registry)({"type": "mqtt"}, None, None))  # type: ignore[arg-type]


# The process


def test_the_thread_ends_when_the_app_is_forgotten(registry: tm.Registry, run: Any) -> None:
    gate = Gate(registry)
    gate.open.set()
    app: ASGIApp | None = tm.asgi_app(registry)
    run(Exchange(app).run())  # type: ignore[arg-type]
    app = None
    gc.collect()
    assert eventually(lambda: not gate.threads[0].is_alive())


def run_script(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in which every warning is an error."""
    return subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=PATIENCE)


SCRIPT = """
import asyncio, os, sys, threading, time, tallymark as tm

registry = tm.Registry()
asked, go = threading.Event(), threading.Event()
registry.gauge("slow", callback=lambda: asked.set() or go.wait(20) and 1)
app = tm.asgi_app(registry)

async def ask():
    sent = []
    async def send(message): sent.append(message)
    await app({"type": "http", "method": "GET", "path": "/metrics", "headers": []}, None, send)
    return sent[0]["status"]
"""


@pytest.mark.slow
def test_the_interpreter_exits_in_silence_after_the_page_that_is_being_made() -> None:
    script = """
go.set()
asked_late = threading.Event()
registry.gauge("late", callback=lambda: asked_late.set() or time.sleep(0.2) or print("made", flush=True) or 1)
async def leave():
    task = asyncio.create_task(ask())
    while not asked_late.is_set():
        await asyncio.sleep(0.001)
asyncio.run(leave())
"""
    result = run_script(SCRIPT + script)
    assert (result.returncode, result.stdout, result.stderr) == (0, "made\n", "")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(subprocess.os, "fork"), reason="this system has no fork")  # type: ignore[attr-defined]
def test_a_forked_child_serves_for_itself() -> None:
    script = """
import warnings; warnings.simplefilter("ignore", DeprecationWarning)
go.set()
print(asyncio.run(ask()), flush=True)
if os.fork() == 0:
    print(asyncio.run(ask()), flush=True)
    sys.exit()
print(os.waitstatus_to_exitcode(os.wait()[1]), asyncio.run(ask()))
"""
    result = run_script(SCRIPT + script)
    assert (result.returncode, result.stdout, result.stderr) == (0, "200\n200\n0 200\n", "")
