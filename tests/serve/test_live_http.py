"""The feed of the live page from `tm.serve`, over raw sockets."""

from __future__ import annotations

import base64
import json
import os
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from live_client import WATCH, Watcher
from raw_http import PATIENCE, Client, ask, eventually, get, parse

import tallymark as tm
from tallymark.serve.limits import Limits
from tallymark.serve.live import readings as readings_module
from tallymark.serve.server import Server, serve

SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def registry() -> tm.Registry:
    """A fresh registry. The record path is not near, so one engine will do."""
    return tm.Registry()


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make readings follow one another quickly, so that tests need not wait for seconds."""
    monkeypatch.setattr(readings_module, "EVERY", 0.02)
    monkeypatch.setattr(readings_module, "_MOST_OF_A_CORE", 1e9)
    monkeypatch.setattr(readings_module, "_MOST_OF_THE_TIME", 1e9)


@pytest.fixture
def server(registry: tm.Registry, tls: tm.TLS | None) -> Iterator[Server]:
    with serve(0, registry=registry, tls=tls) as server:
        yield server


def limited(registry: tm.Registry, tls: tm.TLS | None = None, **limits: float) -> Server:
    return Server(0, "127.0.0.1", registry, Limits(**limits), tls=tls)  # type: ignore[arg-type]


def viewers(server: Server) -> int:
    return len(server._endpoint.feed._viewers)


def large(registry: tm.Registry, size: int = 4000) -> None:
    """Fill a registry: by default with more than the kernel's buffers take, a document of 8 MB."""
    limits = tm.TagLimits(max_series=5000)
    for place in range(size):
        registry.counter("large", limits=limits).inc(place=place, **dict.fromkeys("abcdefghi", "x" * 200))


# What is answered


def test_events_are_sent_as_they_come(server: Server, registry: tm.Registry) -> None:
    hits = registry.counter("hits")
    hits.inc()
    with Watcher(server) as watcher:
        watcher.watch()
        assert watcher.fields["content-type"] == "text/event-stream"
        assert watcher.fields["cache-control"] == "no-store"
        assert watcher.fields["x-accel-buffering"] == "no"
        assert watcher.fields["x-content-type-options"] == "nosniff"
        assert "content-length" not in watcher.fields
        first = watcher.event()
        assert first["complete"]
        assert "hits" in [family["name"] for family in first["families"]]
        hits.inc(4)
        while not (told := watcher.event())["families"]:
            assert not told["complete"]
        assert {"name": "hits", "rows": [[0, 5.0]]} in told["families"]


def test_who_wants_no_events_gets_one_document(server: Server) -> None:
    for fields in ({}, {"accept": "application/json"}, {"accept": "application/json, text/event-stream;q=0.5"}):
        got = get(server, "/live", **fields)
        assert (got.status, got.fields["content-type"]) == (200, "application/json")
        assert got.fields["cache-control"] == "no-store"
        assert json.loads(got.body)["complete"]
    with Client(server) as client:  # whose connection goes on
        assert client.ask(b"GET /live HTTP/1.1\r\n\r\n").status == 200
        assert client.ask(SCRAPE).status == 200


def test_head_and_other_methods(server: Server) -> None:
    with Client(server) as client:
        client.send(WATCH.replace(b"GET", b"HEAD"))
        line, *fields = iter(client._file.readline, b"")
        assert line == b"HTTP/1.1 200 OK\r\n"
        assert b"Content-Type: text/event-stream\r\n" in fields
        assert fields[-1] == b"\r\n"  # and no body
        assert not [field for field in fields if field.startswith(b"Content-Length")]
    assert ask(server, WATCH.replace(b"GET", b"POST")).status == 405
    assert viewers(server) == 0


def test_a_client_of_http_1_0(server: Server) -> None:
    with Watcher(server) as watcher:
        assert watcher.watch(WATCH.replace(b"1.1\r\n", b"1.0\r\n", 1)).event()["complete"]


def test_rules_are_those_of_the_metrics(registry: tm.Registry) -> None:
    with serve(0, registry=registry, auth=tm.BasicAuth("u", "p")) as server:
        assert ask(server, WATCH).status == 401
        assert ask(server, WATCH.replace(b"localhost", b"evil.example.org")).status == 403
        assert ask(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 401
        assert get(server, "/live").status == 401
        with Watcher(server) as watcher:
            credentials = b"\r\nAuthorization: Basic " + base64.b64encode(b"u:p") + b"\r\n\r\n"
            assert watcher.watch(WATCH.removesuffix(b"\r\n\r\n") + credentials).event()["complete"]


def test_the_url_of_the_page(registry: tm.Registry) -> None:
    with serve(0, registry=registry) as server:
        assert server.page_url == f"http://127.0.0.1:{server.port}/"
    with serve(0, "0.0.0.0", registry=registry) as server:
        assert server.page_url == f"http://127.0.0.1:{server.port}/"


# What it costs


def test_nothing_is_read_while_nobody_looks(server: Server, registry: tm.Registry) -> None:
    readings: list[str] = []
    registry.gauge("asked", callback=lambda: readings.append(threading.current_thread().name) or 1.0)
    with Watcher(server) as watcher:
        watcher.watch().event()
        watcher.event()
    assert eventually(lambda: viewers(server) == 0)
    assert set(readings) == {"tallymark-http-pages"}  # the renderer's thread, not the event loop's
    assert server._endpoint.feed._timer is None
    assert not [timer for timer in server._endpoint.loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
    seen = len(readings)
    assert get(server, "/healthz").status == 200
    assert len(readings) == seen


@pytest.mark.slow
def test_a_hundred_stuck_viewers_keep_no_scraper_waiting(registry: tm.Registry) -> None:
    large(registry, 500)
    with limited(registry) as server, ExitStack() as stack, Client(server) as prometheus:
        assert prometheus.ask(SCRAPE).status == 200
        for _ in range(100):
            stack.enter_context(Client(server, receive_buffer=4096)).send(WATCH)
        assert eventually(lambda: viewers(server) == 100)
        refused = ask(server, WATCH)
        assert (refused.status, refused.fields["retry-after"]) == (503, "10")
        assert b"live page" in refused.body
        for _ in range(3):
            assert parse(prometheus.ask(SCRAPE).body)["large_total"] == 1
            assert get(server).status == 200


def test_viewers_make_room_for_scrapers(registry: tm.Registry) -> None:
    with limited(registry, connections=8) as server, ExitStack() as stack, Client(server) as prometheus:
        assert prometheus.ask(SCRAPE).status == 200
        watchers = [stack.enter_context(Watcher(server)).watch() for _ in range(4)]
        assert ask(server, WATCH).status == 503  # no more than half of the connections
        for watcher in watchers:
            watcher.event()
        others = [stack.enter_context(Client(server)) for _ in range(3)]
        for other in others:
            assert other.ask(SCRAPE).status == 200
        with Client(server) as late:
            assert late.ask(SCRAPE).status == 200
        assert prometheus.ask(SCRAPE).status == 200  # it was the one that had done nothing for longest
        assert eventually(lambda: viewers(server) < 4)


@pytest.mark.slow
def test_who_takes_nothing_loses_the_connection(registry: tm.Registry) -> None:
    large(registry)
    with limited(registry, response=0.2) as server, Client(server, receive_buffer=4096) as stuck:
        stuck.send(WATCH)
        assert eventually(lambda: viewers(server) == 1)
        assert eventually(lambda: viewers(server) == 0)
        assert eventually(lambda: not server._endpoint._connections)


@pytest.mark.slow
def test_who_waits_for_the_next_event_has_no_deadline(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings_module, "EVERY", 0.3)
    with limited(registry, response=0.1, head=0.1, idle=0.1, page=0.1) as server, Watcher(server) as watcher:
        watcher.watch()
        assert [watcher.event()["complete"] for _ in range(3)] == [True, False, False]


@pytest.mark.slow
def test_memory_is_bounded_with_stuck_viewers(registry: tm.Registry) -> None:
    large(registry)
    hits = registry.counter("hits")
    with limited(registry, hold=0.2, pages=2, response=60) as server, ExitStack() as stack:
        tracemalloc.start()
        try:
            for number in range(1, 25):  # each stuck in a document of its own
                hits.inc()
                stack.enter_context(Client(server, receive_buffer=4096)).send(WATCH)
                assert eventually(lambda number=number: (told := server._endpoint.feed._told) and told.number >= number)
            assert eventually(lambda: viewers(server) <= 8)
            size = len(get(server, "/live").body)
            assert size > 7_000_000
            assert tracemalloc.get_traced_memory()[1] < 16 * size
        finally:
            tracemalloc.stop()


def test_heartbeats_while_a_callback_does_not_return(registry: tm.Registry) -> None:
    asked, answer = threading.Event(), threading.Event()
    with limited(registry, heartbeat=0.02, close=0.1) as server, Watcher(server) as watcher:
        watcher.watch().event()
        registry.gauge("slow", callback=lambda: asked.set() or float(answer.wait(PATIENCE)))
        assert asked.wait(PATIENCE)
        while watcher.line() != b":":
            pass
        assert [watcher.line(), watcher.line()] == [b"", b":"]
        answer.set()
        watcher.line()
        assert watcher.event()


# How it ends


def test_closing_ends_the_streams(registry: tm.Registry, tls: tm.TLS | None) -> None:
    server = serve(0, registry=registry, tls=tls)
    with Watcher(server) as watcher:
        watcher.watch().event()
        server.close()
        assert watcher.has_ended()
    with serve(0, registry=registry, tls=tls) as server, Watcher(server) as watcher:
        watcher.watch().event()
        registry.close()
        assert watcher.has_ended()


def test_what_a_viewer_sends_is_discarded(server: Server) -> None:
    with Watcher(server) as watcher:
        watcher.watch().event()
        watcher.send(SCRAPE * 1000)
        assert watcher.event()["complete"] is False
        watcher.socket.close()
        watcher._file.close()
    assert eventually(lambda: viewers(server) == 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_leaves_the_streams_of_its_parent(server: Server, registry: tm.Registry) -> None:
    with Watcher(server) as watcher:
        watcher.watch().event()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                server.close()
                registry.close()
                with serve(0, registry=registry) as own, Watcher(own) as looking:
                    status = 0 if looking.watch().event()["service"]["pid"] == os.getpid() else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        for _ in range(3):
            assert watcher.event()["complete"] is False


def test_a_collector_that_fails_does_not_end_the_stream(server: Server, registry: tm.Registry) -> None:
    class Collector:
        def collect(self) -> Any:
            raise SystemExit

    registry.register(Collector())
    with Watcher(server) as watcher:
        assert watcher.watch().event()["complete"]
        assert watcher.event()["complete"] is False


# Attacks


@pytest.mark.slow
def test_a_swarm_of_viewers_that_come_and_go(registry: tm.Registry, caplog: pytest.LogCaptureFixture) -> None:
    with limited(registry, viewers=10) as server, Watcher(server) as steady:
        steady.watch().event()
        for attack in range(300):
            sock = socket.create_connection(("127.0.0.1", server.port))
            sock.sendall([WATCH, WATCH[: attack % len(WATCH)], os.urandom(100), WATCH * 3][attack % 4])
            if attack % 3:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset the connection
            sock.close()
        assert steady.event()
        assert get(server).status == 200
        assert eventually(lambda: viewers(server) == 1)
        assert eventually(lambda: len(server._endpoint._connections) == 1)
        assert steady.event()
    assert caplog.records == []
