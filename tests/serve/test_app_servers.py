"""The apps in the servers that services run in: uvicorn, gunicorn, and Starlette's routes."""

from __future__ import annotations

import asyncio
import gzip
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from raw_http import PATIENCE, Client, eventually, get, parse
from starlette.applications import Starlette
from starlette.routing import Mount, Route

import tallymark as tm


@pytest.fixture
def registry() -> tm.Registry:
    """A fresh registry. The record path is not near, so one engine will do."""
    return tm.Registry()


@dataclass(frozen=True)
class Address:
    port: int
    url: str = ""


@contextmanager
def served(app: Any) -> Iterator[Any]:
    """Serve an app with uvicorn, in a thread of its own."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    assert eventually(lambda: server.started)
    try:
        yield Address(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


@pytest.fixture
def silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No client can make the server log anything."""
    with caplog.at_level(logging.WARNING):
        yield
    assert caplog.records == []


def large(registry: tm.Registry) -> tm.Registry:
    """Fill a registry with more than the kernel's buffers take (6 MB at most, on Linux): 12 MB of text."""
    counter = registry.counter("large", limits=tm.TagLimits(max_series=20_000))
    padding = "x" * 200
    for number in range(20_000):
        counter.inc(number=number, a=padding, b=padding, c=padding)
    return registry


# uvicorn


@pytest.mark.usefixtures("silence")
def test_uvicorn_serves_the_pages(registry: tm.Registry) -> None:
    registry.counter("hits").inc()
    with served(tm.asgi_app(registry)) as server, Client(server) as client:
        for _ in range(3):
            got = client.ask(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (got.status, parse(got.body)["hits_total"]) == (200, 1)
        client.send(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read(body=False).fields["content-length"] == str(len(got.body))
        assert client.ask(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").body == b"ok\n"
        assert client.ask(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n").status == 404
        assert client.ask(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody").status == 405
        assert gzip.decompress(get(server, accept_encoding="gzip").body) == got.body


@pytest.mark.slow
@pytest.mark.usefixtures("silence")
def test_uvicorn_and_clients_that_leave_or_are_slow(registry: tm.Registry) -> None:
    app = tm.asgi_app(large(registry))
    with served(app) as server:
        stalled = Client(server, receive_buffer=4096)
        stalled.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert stalled.socket.recv(1)
        for _ in range(5):
            with Client(server, receive_buffer=4096) as client:
                client.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.socket.recv(1)
        assert get(server).body.count(b"large_total{") == 20_000
        assert eventually(lambda: [len(pages._batches) for pages in app._pages._loops.values()] == [1])  # the stalled one
        stalled.close()
        assert eventually(lambda: app._pages._loops == {})


def test_the_host_of_the_app_goes_on_while_a_page_is_made(registry: tm.Registry) -> None:
    asked, answer = threading.Event(), threading.Event()
    registry.gauge("slow", callback=lambda: asked.set() or float(answer.wait(PATIENCE)))

    async def hello(request: Any) -> Any:
        from starlette.responses import PlainTextResponse

        return PlainTextResponse("hello")

    application = Starlette(routes=[Route("/hello", hello), Mount("/metrics", tm.asgi_app(registry))])
    with served(application) as server, Client(server) as scraper:
        scraper.send(b"GET /metrics/ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert asked.wait(PATIENCE)
        assert get(server, "/hello").body == b"hello"
        answer.set()
        assert parse(scraper.read().body)["slow"] == 1


def test_in_starlette_as_a_mount_and_as_a_route(registry: tm.Registry) -> None:
    registry.counter("hits").inc()
    app = tm.asgi_app(registry)
    application = Starlette(routes=[Route("/metrics", app), Mount("/mounted", app)])
    with served(application) as server:
        for path in ("/metrics", "/mounted/", "/mounted/metrics"):
            got = get(server, path)
            assert (got.status, parse(got.body)["hits_total"]) == (200, 1)
        assert get(server, "/mounted").fields["location"].endswith("/mounted/")  # as Starlette does with all mounts
        assert get(server, "/mounted/healthz").body == b"ok\n"
        assert get(server, "/mounted/nothing").status == 404


# gunicorn


@pytest.mark.slow
@pytest.mark.parametrize("worker_class", ["sync", "gthread"])
def test_gunicorn_serves_the_pages(worker_class: str, tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text("import tallymark as tm\ntm.counter('hits').inc()\napp = tm.wsgi_app()\n")
    command = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "--worker-class", worker_class, "--no-control-socket"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, "service:app"], cwd=tmp_path, stderr=log)
    try:
        server: Any = Address(port_in(tmp_path / "log"))
        got = get(server)
        assert (got.status, parse(got.body)["hits_total"]) == (200, 1)
        with Client(server) as client:
            client.send(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert client.read(body=False).fields["content-length"] == str(len(got.body))
            assert client.is_closed()
        with Client(server) as client:
            posted = client.ask(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
        assert (posted.status, posted.fields["allow"]) == (405, "GET, HEAD")
    finally:
        process.terminate()
        process.wait(PATIENCE)
    assert "Traceback" not in (tmp_path / "log").read_text()


def port_in(log: Path) -> int:
    """Return the port that a server says in its log that it listens on."""
    end = time.monotonic() + PATIENCE
    while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())):
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)
    return int(found[1])
