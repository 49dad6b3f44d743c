"""The feed of the live page in servers of the service's own: asyncio, trio, uvicorn, gunicorn."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import uvicorn
from live_client import Watcher
from raw_http import PATIENCE, Client, eventually, get
from test_app_servers import Address, port_in, served

import tallymark as tm
from tallymark.serve import app_pages, event_loops
from tallymark.serve.app_pages import AppPages
from tallymark.serve.asgi import ASGIApp
from tallymark.serve.limits import Limits
from tallymark.serve.live import readings as readings_module

EVENTS = [(b"accept", b"text/event-stream")]


@pytest.fixture
def registry() -> tm.Registry:
    """A fresh registry. The record path is not near, so one engine will do."""
    return tm.Registry()


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings_module, "EVERY", 0.02)
    monkeypatch.setattr(readings_module, "_MOST_OF_A_CORE", 1e9)
    monkeypatch.setattr(readings_module, "_MOST_OF_THE_TIME", 1e9)


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine in an event loop of its own."""

    async def hand(work: Coroutine[Any, Any, Any]) -> Any:
        return await work

    return asyncio.run if request.param == "asyncio" else lambda work: trio.run(hand, work)


class Looking:
    """A request for events to an app, as a server makes it; the client leaves after some events."""

    def __init__(
        self, app: ASGIApp, leaves_after: int = 3, method: str = "GET", headers: Any = EVENTS, path: str = "/live"
    ) -> None:
        self.scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}
        self.app = app
        self.leaves_after = leaves_after
        self.sent: list[dict[str, Any]] = []
        self.sending: Callable[[bytes], Any] = lambda body: None

    async def run(self) -> Looking:
        self.left = event_loops.running_loop().event()
        await self.app(self.scope, self._receive, self._send)
        return self

    async def _receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await event_loops.running_loop().give_way()
        self.sent.append(message)
        if len(self.events) >= self.leaves_after:
            self.left.set()
        if message["type"] == "http.response.body" and (made := self.sending(message["body"])) is not None:
            await made

    @property
    def body(self) -> bytes:
        return b"".join([message["body"] for message in self.sent[1:]])

    @property
    def events(self) -> list[dict[str, Any]]:
        *lines, _ = self.body.split(b"\n\n")
        return [json.loads(line.removeprefix(b"data: ")) for line in lines if line.startswith(b"data: ")]


def limited(registry: tm.Registry, **limits: float) -> ASGIApp:
    app = tm.asgi_app(registry)
    app._pages = AppPages(registry, Limits(**limits))  # type: ignore[arg-type]
    return app


def test_a_viewer_is_sent_events_until_it_leaves(registry: tm.Registry, run: Any) -> None:
    registry.counter("hits").inc()
    app = tm.asgi_app(registry)
    got = run(Looking(app).run())
    assert got.sent[0]["status"] == 200
    fields = dict(got.sent[0]["headers"])
    assert fields[b"content-type"] == b"text/event-stream"
    assert b"content-length" not in fields
    assert got.body.startswith(b"retry: 2000\n\ndata: {")
    assert [event["complete"] for event in got.events[:3]] == [True, False, False]
    assert app._pages._feeds == {}
    assert registry._reporters == []


def test_head_and_too_many_viewers(registry: tm.Registry, run: Any) -> None:
    got = run(Looking(tm.asgi_app(registry), method="HEAD").run())
    assert got.body == b""
    assert b"content-length" not in dict(got.sent[0]["headers"])
    assert run(Looking(limited(registry, viewers=0)).run()).sent[0]["status"] == 503
    assert run(Looking(tm.asgi_app(registry, auth=tm.BearerAuth("t"))).run()).sent[0]["status"] == 401
    document = run(Looking(tm.asgi_app(registry), headers=[]).run())
    assert json.loads(document.body)["complete"]


def test_the_registry_closes(registry: tm.Registry, run: Any) -> None:
    looking = Looking(tm.asgi_app(registry), leaves_after=10**9)
    looking.sending = lambda body: registry.close() if len(looking.events) == 2 else None
    got = run(looking.run())
    assert got.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


def test_a_loop_that_is_closed_under_its_viewers_is_forgotten(registry: tm.Registry) -> None:
    pages, readings = AppPages(registry), readings_module.readings_of(registry)
    loop = asyncio.new_event_loop()

    class Present:
        def show(self, event: bytes) -> None: ...

        def abort(self) -> None: ...

    async def look() -> None:
        assert pages.feed_of(event_loops.running_loop()).join(Present())

    loop.run_until_complete(look())
    pages.forget_idle()
    assert (len(pages._feeds), readings._watchers, len(registry._reporters)) == (1, 1, 1)
    loop.close()
    pages.forget_idle()
    assert (len(pages._feeds), len(registry._reporters)) == (0, 0)
    assert eventually(lambda: readings._watchers == 0)


def test_a_server_that_is_about_to_end_is_not_kept_waiting(
    registry: tm.Registry, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping: list[bool] = []
    monkeypatch.setattr(app_pages, "is_stopping", lambda: bool(stopping))
    looking = Looking(tm.asgi_app(registry), leaves_after=10**9)
    looking.sending = lambda body: stopping.append(True) if len(looking.events) >= 2 else None
    assert run(looking.run()).sent[-1]["more_body"] is False


def test_a_signal_that_uvicorn_got_is_seen() -> None:
    server = uvicorn.Server(uvicorn.Config("nothing"))
    before = signal.signal(signal.SIGTERM, server.handle_exit)
    try:
        assert not event_loops.is_stopping()
        server.should_exit = True
        assert event_loops.is_stopping()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not event_loops.is_stopping()


def test_a_client_that_is_gone_ends_the_stream(registry: tm.Registry, run: Any) -> None:
    def fail(body: bytes) -> None:
        if len(looking.events) == 2:
            raise ConnectionResetError

    looking = Looking(tm.asgi_app(registry), leaves_after=10**9)
    looking.sending = fail
    assert len(run(looking.run()).events) == 2


def test_what_the_server_raises_is_raised(registry: tm.Registry, run: Any) -> None:
    def fail(body: bytes) -> None:
        raise ZeroDivisionError

    app = tm.asgi_app(registry)
    looking = Looking(app)
    looking.sending = fail
    with pytest.raises(ZeroDivisionError):
        run(looking.run())
    assert app._pages._feeds == {}


def test_a_stuck_viewer_holds_nothing_for_long(registry: tm.Registry, run: Any) -> None:
    async def stick(app: ASGIApp) -> list[Looking]:
        loop = event_loops.running_loop()
        gate = loop.event()
        lookings = [Looking(app, leaves_after=10**9) for _ in range(8)]
        for looking in lookings:
            looking.sending = lambda body: gate.wait() if body.startswith(b"data") else None  # type: ignore[return-value]
        quick = Looking(app, leaves_after=40)

        async def let_go() -> None:
            await quick.run()
            (feed,) = app._pages._feeds.values() or [None]
            assert feed is None or len(feed._viewers) <= 8
            gate.set()
            for looking in lookings:
                looking.left.set()

        await together([let_go, *[looking.run for looking in lookings]])
        return lookings

    app = limited(registry, hold=0.05, pages=1)
    assert all(looking.events[0]["complete"] for looking in run(stick(app)))
    assert app._pages._feeds == {}


async def together(works: list[Callable[[], Any]]) -> None:
    if event_loops.running_loop().key.__class__.__module__.startswith("trio"):
        async with trio.open_nursery() as nursery:
            for work in works:
                nursery.start_soon(work)
    else:
        await asyncio.gather(*[work() for work in works])


# WSGI


def poll(app: Any, **environ: str) -> tuple[str, dict[str, str], bytes]:
    started: list[Any] = []
    given = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/live", "QUERY_STRING": ""} | environ
    body = b"".join(app(given, lambda status, headers: started.append((status, dict(headers)))))
    return *started[0], body


def test_wsgi_answers_each_request_with_everything(registry: tm.Registry) -> None:
    app = tm.wsgi_app(registry)
    for accept in ("application/json", "text/event-stream", "*/*"):  # a viewer must not keep the thread
        status, headers, body = poll(app, HTTP_ACCEPT=accept)
        assert (status, headers["Content-Type"]) == ("200 OK", "application/json")
        assert headers["Cache-Control"] == "no-store"
        assert json.loads(body)["complete"]
    assert b"poll" in poll(app, PATH_INFO="/")[2]


def test_wsgi_reads_once_for_all_who_ask_at_a_time(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings_module, "EVERY", 100.0)
    readings: list[int] = []
    registry.gauge("asked", callback=lambda: readings.append(1) or 1.0)
    app = tm.wsgi_app(registry)
    bodies: list[bytes] = []
    threads = [threading.Thread(target=lambda: bodies.append(poll(app)[2])) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert (len(bodies), len(set(bodies)), len(readings)) == (20, 1, 1)


# Servers


def test_uvicorn_sends_events(registry: tm.Registry) -> None:
    app = tm.asgi_app(registry)
    with served(app) as server:
        for _ in range(3):
            with Watcher(server) as watcher:
                watcher.watch()
                assert [watcher.event()["complete"] for _ in range(3)] == [True, False, False]
        assert eventually(lambda: app._pages._feeds == {})  # it noticed that they left
        assert get(server).status == 200


SERVICE = """
import os, threading
import tallymark as tm
registry = tm.Registry(shared="registry.tally")
registry.counter("hits").inc()
asgi = tm.asgi_app(registry)
wsgi = tm.wsgi_app(registry)
"""


@contextmanager
def started(tmp_path: Path, *command: str) -> Iterator[Any]:
    (tmp_path / "service.py").write_text(SERVICE)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", *command], cwd=tmp_path, stderr=log, stdout=log)
    try:
        yield SimpleNamespace(process=process, address=Address(port_in(tmp_path / "log")))
    finally:
        process.kill()
        process.wait(PATIENCE)


@pytest.mark.slow
def test_uvicorn_stops_though_somebody_looks(tmp_path: Path) -> None:
    with started(tmp_path, "uvicorn", "--port", "0", "service:asgi") as service, Watcher(service.address) as watcher:
        watcher.watch().event()
        service.process.send_signal(signal.SIGTERM)
        assert watcher.has_ended()
        service.process.wait(PATIENCE)
        assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.slow
def test_gunicorn_answers_from_any_worker_also_when_some_are_killed(tmp_path: Path) -> None:
    options = ("--bind", "127.0.0.1:0", "--workers", "2", "--no-control-socket", "service:wsgi")
    with started(tmp_path, "gunicorn", *options) as service:

        def told() -> dict[str, Any]:
            got = get(service.address, "/live")
            assert (got.status, got.fields["content-type"]) == (200, "application/json")
            found: dict[str, Any] = json.loads(got.body)
            assert found["complete"]
            return found

        assert eventually(lambda: len(told()["processes"]) == 2)
        killed = told()["service"]["pid"]
        os.kill(killed, signal.SIGKILL)

        def is_replaced() -> bool:
            try:
                pids = {process["pid"] for process in told()["processes"]}
            except (ConnectionError, OSError):  # it was asked as it was killed
                return False
            return killed not in pids and len(pids) == 2

        assert eventually(is_replaced)
        assert eventually(
            lambda: {"hits": [[0, 3.0]]}.items() <= {one["name"]: one["rows"] for one in told()["families"]}.items()
        )
        processes = told()["processes"]
        assert all(process["cpu"] > 0 and process["rss"] > 0 and process["started"] > 0 for process in processes)
        with Client(service.address) as page:
            assert page.ask(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").status == 200
