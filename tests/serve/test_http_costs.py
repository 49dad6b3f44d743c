"""The metrics endpoint and what it costs its host: memory, descriptors and time are bounded, whatever clients do."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from raw_http import PATIENCE, Client, eventually, get

import tallymark as tm
from tallymark.serve import endpoint as endpoint_module
from tallymark.serve import renderer as renderer_module
from tallymark.serve.connection import Connection
from tallymark.serve.limits import Limits
from tallymark.serve.server import Server, serve

SCRAPE = b"GET /metrics HTTP/1.1\r\n\r\n"


def limited(registry: tm.Registry, tls: tm.TLS | None, **limits: float) -> Server:
    return Server(0, "127.0.0.1", registry, Limits(**limits), tls=tls)  # type: ignore[arg-type]


def connections(server: Server) -> list[Connection]:
    return list(server._endpoint._connections)


class Gate:
    """A callback that holds each scrape until the test opens the gate."""

    def __init__(self, registry: tm.Registry) -> None:
        self.asked = threading.Event()
        self.open = threading.Event()
        self.calls = 0
        registry.gauge("gate", callback=self)

    def __call__(self) -> float:
        self.calls += 1
        self.asked.set()
        assert self.open.wait(PATIENCE)
        return self.calls


@pytest.fixture
def gate(registry: tm.Registry) -> Iterator[Gate]:
    gate = Gate(registry)
    yield gate
    gate.open.set()


@contextmanager
def traced() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def large(registry: tm.Registry) -> None:
    """Fill a registry with more than the kernel's buffers take (6 MB at most, on Linux): 12 MB of text."""
    counter = registry.counter("large", limits=tm.TagLimits(max_series=20_000))
    padding = "x" * 200
    for number in range(20_000):
        counter.inc(number=number, a=padding, b=padding, c=padding)


# Memory


@pytest.mark.slow
def test_a_crowd_that_does_not_read_shares_two_pages(registry: tm.Registry, tls: tm.TLS | None, gate: Gate) -> None:
    large(registry)
    with serve(0, registry=registry, tls=tls) as server:
        clients = [Client(server, receive_buffer=4096) for _ in range(60)]
        for client in clients:
            client.send(SCRAPE)
        assert eventually(lambda: len(server._endpoint.pages._batches) == 60)
        gate.open.set()
        assert eventually(lambda: all(connection._blocked for connection in connections(server)))
        assert gate.calls == 2
        held = {id(connection._unsent.obj) for connection in connections(server)}
        assert len(held) == 2
        sizes = [connection._transport.get_write_buffer_size() for connection in connections(server)]
        assert max(sizes) <= server._endpoint.limits.piece
        for client in clients:
            client.close()
        assert eventually(lambda: not server._endpoint.pages._batches)


@pytest.mark.slow
def test_slow_readers_make_room_for_a_scrape(registry: tm.Registry, tls: tm.TLS | None) -> None:
    large(registry)
    with limited(registry, tls, pages=2, hold=0.05) as server:
        slow = [Client(server, receive_buffer=4096) for _ in range(6)]
        for client in slow:  # one after another, so that each has a page of its own
            client.send(SCRAPE)
            assert client.socket.recv(1)
            assert len(server._endpoint.pages._sending) <= 2
        assert get(server).body.count(b"large_total{") == 20_000
        assert eventually(lambda: len(connections(server)) <= 2)
        for client in slow:
            client.close()


def test_idle_connections_hold_no_page(registry: tm.Registry, tls: tm.TLS | None) -> None:
    counter = registry.counter("large")
    for number in range(500):
        counter.inc(number=number, a="x" * 200, b="x" * 200)
    with tm.serve(0, registry=registry, tls=tls) as server, ExitStack() as clients:
        size = len(clients.enter_context(Client(server)).ask(SCRAPE).body)  # and imports what it needs
        assert size > 200_000
        with traced():
            for _ in range(6):
                clients.enter_context(Client(server)).ask(SCRAPE)
            assert len(connections(server)) == 7
            assert eventually(lambda: tracemalloc.get_traced_memory()[0] < 2 * size)


@pytest.mark.slow
def test_a_large_page_arrives_whole_whoever_shares_it(registry: tm.Registry, tls: tm.TLS | None, gate: Gate) -> None:
    large(registry)
    with serve(0, registry=registry, tls=tls) as server:
        clients = [Client(server) for _ in range(5)]
        for client in clients:
            client.send(SCRAPE)
        assert eventually(lambda: len(server._endpoint.pages._batches) == 5)
        gate.open.set()
        bodies = [client.read().body for client in clients]
        assert {value for body in bodies for value in re.findall(rb"^gate (.*)$", body, re.MULTILINE)} == {b"1.0", b"2.0"}
        assert {body.count(b"large_total{") for body in bodies} == {20_000}
        for client in clients:
            client.close()


def test_a_connection_holds_no_more_than_it_received_at_once(registry: tm.Registry, tls: tm.TLS | None, gate: Gate) -> None:
    with serve(0, registry=registry, tls=tls) as server, Client(server) as client:
        client.send(b"GET /metrics HTTP/1.1\r\n\r\n" * 20_000)
        assert gate.asked.wait(PATIENCE)
        [connection] = connections(server)
        assert len(connection._heads) <= server._endpoint.limits.head_bytes
        gate.open.set()


# Time


def test_health_does_not_wait_for_a_scrape(registry: tm.Registry, tls: tm.TLS | None, gate: Gate) -> None:
    with serve(0, registry=registry, tls=tls) as server, Client(server) as scraper:
        scraper.send(SCRAPE)
        assert gate.asked.wait(PATIENCE)
        assert get(server, "/healthz").body == b"ok\n"
        assert get(server, "/nowhere").status == 404
        gate.open.set()
        assert scraper.read().status == 200


def test_a_scrape_that_takes_too_long_is_told_so_and_the_connection_goes_on(
    registry: tm.Registry, tls: tm.TLS | None, gate: Gate
) -> None:
    with limited(registry, tls, page=0.05) as server, Client(server) as client:
        assert client.ask(SCRAPE).status == 503
        assert client.ask(b"GET /healthz HTTP/1.1\r\n\r\n").status == 200
        gate.open.set()
        assert eventually(lambda: get(server).status == 200)
        assert client.ask(b"GET /healthz HTTP/1.1\r\n\r\n").body == b"ok\n"


def test_all_pages_are_made_in_one_thread(registry: tm.Registry, tls: tm.TLS | None) -> None:
    threads: list[threading.Thread] = []
    registry.gauge("thread", callback=lambda: threads.append(threading.current_thread()) or 1)
    with serve(0, registry=registry, tls=tls) as server:
        for _ in range(3):
            get(server)
        assert len(set(threads)) == 1
    assert not threads[0].is_alive()


def test_a_thread_that_cannot_be_started_fails_only_that_scrape(
    registry: tm.Registry, tls: tm.TLS | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Unstartable(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    with serve(0, registry=registry, tls=tls) as server:
        with monkeypatch.context() as broken, caplog.at_level(logging.ERROR, "tallymark"):
            broken.setattr(renderer_module.threading, "Thread", Unstartable)
            assert get(server).status == 500
        assert ["can't start new thread" in record.getMessage() for record in caplog.records] == [True]
        assert get(server).status == 200


# Descriptors


@pytest.fixture
def descriptors(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How many descriptors the system allows, as the endpoint sees it."""
    allowed = [float("inf")]
    monkeypatch.setattr(endpoint_module, "most_descriptors", lambda: allowed[0])
    return allowed


def test_connections_take_no_more_than_their_share(registry: tm.Registry, tls: tm.TLS | None, descriptors: list[float]) -> None:
    descriptors[0] = 4000.0
    with limited(registry, tls, share=0.002) as server:  # 8
        clients = []
        for _ in range(20):
            clients.append(Client(server))
            assert clients[-1].ask(b"GET /healthz HTTP/1.1\r\n\r\n").status == 200
            assert len(connections(server)) <= 8
        assert clients[-1].ask(SCRAPE).status == 200
        descriptors[0] = 2500.0  # the process may lower its limit: 5
        assert get(server).status == 200
        assert len(connections(server)) <= 5
        for client in clients:
            client.close()


def test_when_few_descriptors_are_free_a_new_connection_replaces_the_oldest(
    registry: tm.Registry, tls: tm.TLS | None, descriptors: list[float]
) -> None:
    with limited(registry, tls, share=0.5) as server:
        clients = [Client(server) for _ in range(5)]
        assert eventually(lambda: len(connections(server)) == 5)
        descriptors[0] = 1.5 * min(connection.fileno() for connection in connections(server))  # the last half is in use
        clients += [Client(server) for _ in range(5)]
        assert all(client.is_closed() for client in clients[:5])
        assert clients[-1].ask(b"GET /healthz HTTP/1.1\r\n\r\n").status == 200
        assert len(connections(server)) == 5
        for client in clients:
            client.close()


def test_a_few_connections_are_always_possible(registry: tm.Registry, tls: tm.TLS | None, descriptors: list[float]) -> None:
    descriptors[0] = 1.0
    with serve(0, registry=registry, tls=tls) as server:
        clients = [Client(server) for _ in range(4)]
        assert eventually(lambda: len(connections(server)) == 4)
        assert all(client.ask(b"GET /healthz HTTP/1.1\r\n\r\n").status == 200 for client in clients)
        for client in clients:
            client.close()


def test_a_flood_of_silent_connections_does_not_cut_a_scrape_off(registry: tm.Registry, tls: tm.TLS | None, gate: Gate) -> None:
    with limited(registry, tls, connections=4) as server, Client(server) as scraper:
        scraper.send(SCRAPE)
        assert gate.asked.wait(PATIENCE)
        flood = [Client(server) for _ in range(10)]
        assert all(client.is_closed() for client in flood[:7])
        gate.open.set()
        assert scraper.read().status == 200
        for client in flood:
            client.close()


@pytest.mark.slow
def test_a_client_that_reads_is_not_cut_off_for_those_that_do_not(registry: tm.Registry, tls: tm.TLS | None) -> None:
    large(registry)
    with (
        limited(registry, tls, connections=12) as server,
        Client(server, receive_buffer=65_536) as reader,
        ExitStack() as flood,
    ):
        reader.send(SCRAPE)
        # One newcomer for each 0.7 MB. 11 of them are let in while the client takes 8 MB, which is more than the kernel holds.
        for _ in range(17):
            newcomer = flood.enter_context(Client(server))
            assert newcomer.ask(b"GET /healthz HTTP/1.1\r\n\r\n").status == 200
            assert len(reader._file.read(700_000)) == 700_000


def test_a_flood_of_scrapes_does_not_keep_a_newcomer_out(registry: tm.Registry, tls: tm.TLS | None, gate: Gate) -> None:
    with limited(registry, tls, connections=4) as server, ExitStack() as flood:
        flood.callback(gate.open.set)  # a server that closes waits for the page that is being made
        clients = [flood.enter_context(Client(server)) for _ in range(4)]
        for number, client in enumerate(clients, 1):  # one after the other, so that the first one has waited for longest
            client.send(SCRAPE)
            assert eventually(lambda number=number: len(server._endpoint.pages._batches) == number)
        assert get(server, "/healthz").status == 200
        assert clients[0].is_closed()
        gate.open.set()
        assert clients[-1].read().status == 200


APPLICATION = """
import os, resource, sys, tallymark as tm
server = tm.serve(0)
used = len(os.listdir("/proc/self/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (used + 60, used + 60))
print(server.port, flush=True)
sys.stdin.readline()
files = [open(os.devnull) for _ in range(30)]
print("opened", flush=True)
sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
@pytest.mark.slow
def test_idle_clients_leave_the_application_its_descriptors() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", APPLICATION], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as application:
        assert application.stdin
        assert application.stdout
        assert application.stderr
        server = type("Address", (), {"port": int(application.stdout.readline()), "url": ""})
        idle = [Client(server) for _ in range(80)]  # type: ignore[arg-type]
        assert get(server, "/healthz").status == 200  # type: ignore[arg-type]
        application.stdin.write("\n")
        application.stdin.flush()
        assert application.stdout.readline() == "opened\n"
        assert get(server).status == 200  # type: ignore[arg-type]
        application.stdin.close()
        assert application.stderr.read() == ""
        for client in idle:
            client.close()
