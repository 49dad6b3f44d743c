"""The metrics endpoint with clients that are slow, broken, many or hostile: it answers the others, and logs nothing."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
from raw_http import PATIENCE, Client, Response, ask, eventually, get

import tallymark as tm
from tallymark.serve.limits import Limits
from tallymark.serve.server import Server, serve


@pytest.fixture(autouse=True)
def silence(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No client can make the server log or print anything."""
    with caplog.at_level("INFO"):
        yield
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def server(registry: tm.Registry, tls: tm.TLS | None) -> Iterator[Server]:
    with serve(0, registry=registry, tls=tls) as server:
        yield server
        assert get(server, "/healthz").status == 200


def limited(registry: tm.Registry, tls: tm.TLS | None, **limits: float) -> Server:
    return Server(0, "127.0.0.1", registry, Limits(**limits), tls=tls)  # type: ignore[arg-type]


def open_connections(server: Server) -> int:
    return len(server._endpoint._connections)


def large(registry: tm.Registry) -> tm.Registry:
    """Fill a registry with more than the kernel's buffers take (6 MB at most, on Linux): 12 MB of text."""
    counter = registry.counter("large", limits=tm.TagLimits(max_series=20_000))
    padding = "x" * 200
    for number in range(20_000):
        counter.inc(number=number, a=padding, b=padding, c=padding)
    return registry


# Malformed requests


@pytest.mark.parametrize(
    "data",
    [
        b"GET\r\n\r\n", b"GET /metrics\r\n\r\n", b"GET /metrics\r\n", b"GET  /metrics HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1 \r\n",
        b" GET / HTTP/1.1\r\n\r\n", b"GET /a b HTTP/1.1\r\n\r\n", b"GET / HTTP/x.y\r\n\r\n", b"GET / http/1.1\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n", b"G\xc3\x89T / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", b"GET / HTTP/1.1\r\n: x\r\n\r\n", b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", b"GET / HTTP/1.1\r\nA: b\x00c\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: \r\n\r\n", b"\x00", b"\xff\xfe", b'{"json": true}',
    ],
)  # fmt: skip
def test_what_is_malformed_is_rejected_and_never_repeated(server: Server, data: bytes) -> None:
    with Client(server) as client:
        response = client.ask(data)
        assert (response.status, response.body) == (400, b"400 Bad Request\n")
        assert response.fields["connection"] == "close"
        assert client.is_closed()


def test_tls_is_rejected_at_once(server: Server) -> None:
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random.Random(1).randbytes(500)
    assert ask(server, hello).status == 400


def test_another_major_version_is_rejected(server: Server) -> None:
    assert ask(server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").status == 505


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nA: " + b"x" * 16_384 + b"\r\n\r\n", b"GET /" + b"x" * 100_000, b"A" * 16_384,
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200_000,
    ],
)  # fmt: skip
def test_a_head_that_is_too_long_is_rejected_and_the_response_arrives(server: Server, data: bytes) -> None:
    with Client(server) as client:
        assert client.ask(data).status == 431
        assert client.is_closed()


def test_the_limit_of_a_head_is_exact(server: Server) -> None:
    def request(length: int) -> bytes:
        return b"GET / HTTP/1.1\r\nA: %b\r\n\r\n" % (b"x" * (length - 23))

    assert len(request(16_384)) == 16_384
    assert ask(server, request(16_384)).status == 200
    assert ask(server, request(16_385)).status == 431


def test_a_body_is_ignored_however_long(server: Server) -> None:
    with Client(server) as client:
        client.send(b"POST / HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n" + b"GET / HTTP/1.1\r\n\r\n" * 166_667)
        assert client.read().status == 405
        assert client.is_closed()


@pytest.mark.parametrize("tls", ["plain"], indirect=True)  # Python's TLS sockets cannot end one direction
def test_garbage_never_gets_through(server: Server) -> None:
    seeded = random.Random(7)
    words = [b"GET ", b"/metrics", b" HTTP/1.1", b"\r\n", b"\r\n\r\n", b"Accept-Encoding: ", b"Content-Length: ", b"\x00"]
    for _ in range(300):
        pieces = [seeded.choice([*words, seeded.randbytes(seeded.randrange(40))]) for _ in range(seeded.randrange(1, 12))]
        data = b"".join(pieces)
        with Client(server) as client:
            client.send(data)
            client.socket.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: client.socket.recv(65_536), b""))
        assert answer == b"" or answer.startswith(b"HTTP/1.1 "), data
    assert get(server).status == 200


# Clients that leave


def reset(client: Client) -> None:
    """Close a connection in a way that its peer sees as an error."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("data", [b"", b"GET", b"GET /metrics HTTP/1.1\r\n\r\n", b"\x00", b"GET / HTTP/1.0\r\n\r\n" * 5])
@pytest.mark.parametrize("leave", [Client.close, reset])
def test_clients_that_leave_at_any_point(server: Server, data: bytes, leave: object) -> None:
    for _ in range(20):
        client = Client(server)
        client.send(data)
        leave(client)  # type: ignore[operator]
    assert eventually(lambda: open_connections(server) == 0)


@pytest.mark.slow
@pytest.mark.parametrize("leave", [Client.close, reset])
@pytest.mark.parametrize("option", [b"close", b"keep-alive"])
def test_clients_that_leave_in_the_middle_of_a_large_response(
    registry: tm.Registry, tls: tm.TLS | None, option: bytes, leave: object
) -> None:
    with serve(0, registry=large(registry), tls=tls) as server:
        for _ in range(3):
            client = Client(server, receive_buffer=4096)
            client.send(b"GET /metrics HTTP/1.1\r\nConnection: %b\r\n\r\n" % option)
            assert client.socket.recv(1000)
            leave(client)  # type: ignore[operator]
        assert eventually(lambda: open_connections(server) == 0)
        body = get(server).body
        assert body.count(b"large_total{") == 20_000


# Clients that are slow


def test_slow_clients_do_not_hold_up_a_scrape(server: Server) -> None:
    clients = [Client(server) for _ in range(50)]
    for client in clients:
        client.send(b"GET /metrics HTTP/1.1\r\nX: ")
    assert get(server).status == 200
    for client in clients:
        client.send(b"\r\n\r\n")
        assert client.read().status == 200
        client.close()


@pytest.mark.slow
@pytest.mark.parametrize("data", [b"GET /", b"\r\n", b""])
def test_dripping_bytes_does_not_extend_the_deadline_of_a_head(registry: tm.Registry, tls: tm.TLS | None, data: bytes) -> None:
    with limited(registry, tls, head=0.6) as server, Client(server) as client:
        assert drips_until_closed(client, data)
    with limited(registry, tls, head=0.6) as server, Client(server) as client:
        assert client.ask(b"GET / HTTP/1.1\r\n\r\n").status == 200
        client.send(b"\r\n")  # the next one has begun
        assert drips_until_closed(client, data)


def drips_until_closed(client: Client, data: bytes) -> bool:
    end = time.monotonic() + PATIENCE
    client.socket.settimeout(0.02)
    while time.monotonic() < end:
        try:
            client.send(data)
            if client.socket.recv(1) == b"":
                return True
        except TimeoutError:
            pass
        except ConnectionError:
            return True
    return False


@pytest.mark.slow
def test_reading_a_little_does_not_extend_the_deadline_of_a_response(registry: tm.Registry, tls: tm.TLS | None) -> None:
    with limited(large(registry), tls, response=0.5) as server, Client(server, receive_buffer=4096) as client:
        client.send(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert client.socket.recv(100)
        assert eventually(lambda: client.socket.recv(1) == b"" or open_connections(server) == 0)


def test_a_client_that_never_reads_cannot_make_the_server_hold_more_than_one_response(
    registry: tm.Registry, tls: tm.TLS | None
) -> None:
    asked = []
    registry.gauge("asked", callback=lambda: asked.append(1) or len(asked))
    with serve(0, registry=large(registry), tls=tls) as server, Client(server, receive_buffer=4096) as client:
        client.send(b"GET /metrics HTTP/1.1\r\n\r\n" * 100)
        assert eventually(lambda: len(asked) == 1)
        assert get(server, "/healthz").status == 200
        assert len(asked) == 1


def test_an_idle_connection_is_closed_in_the_end(registry: tm.Registry, tls: tm.TLS | None) -> None:
    with limited(registry, tls, idle=0.1, head=60) as server, Client(server) as client:
        assert client.ask(b"GET / HTTP/1.1\r\n\r\n").status == 200
        assert client.is_closed()


@pytest.mark.slow
def test_an_idle_connection_outlives_the_deadline_of_a_head(registry: tm.Registry, tls: tm.TLS | None) -> None:
    with limited(registry, tls, idle=60, head=1, response=1) as server, Client(server) as client:
        assert client.ask(b"GET / HTTP/1.1\r\n\r\n").status == 200
        time.sleep(1.5)
        assert client.ask(b"GET / HTTP/1.1\r\n\r\n").status == 200


def test_a_client_that_does_not_close_after_the_last_response_is_closed(registry: tm.Registry, tls: tm.TLS | None) -> None:
    with limited(registry, tls, response=0.2) as server, Client(server) as client:
        assert client.ask(b"GET / HTTP/1.0\r\n\r\n").status == 200
        assert eventually(lambda: open_connections(server) == 0)


# Clients that are many


def test_beyond_the_limit_the_connection_that_has_waited_longest_is_closed(registry: tm.Registry, tls: tm.TLS | None) -> None:
    with limited(registry, tls, connections=4) as server:
        busy, *others = clients = [Client(server) for _ in range(4)]
        assert eventually(lambda: open_connections(server) == 4)
        assert busy.ask(b"GET / HTTP/1.1\r\n\r\n").status == 200
        newcomers = [Client(server) for _ in range(3)]
        assert all(newcomer.ask(b"GET / HTTP/1.1\r\n\r\n").status == 200 for newcomer in newcomers)
        assert all(other.is_closed() for other in others)
        assert busy.ask(b"GET / HTTP/1.1\r\n\r\n").status == 200
        for client in clients + newcomers:
            client.close()


@pytest.mark.slow
def test_a_flood_of_connections_does_not_keep_a_scrape_out(server: Server) -> None:
    flood = [Client(server) for _ in range(300)]
    for client in flood:
        client.send(b"GET /metrics HTTP/1.1\r\n")
    assert get(server).status == 200
    assert open_connections(server) <= 256
    for client in flood:
        client.close()


@pytest.mark.slow
def test_scrapes_at_the_same_time(registry: tm.Registry, tls: tm.TLS | None) -> None:
    responses: list[Response] = []
    with serve(0, registry=large(registry), tls=tls) as server:
        threads = [threading.Thread(target=lambda: responses.append(get(server))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert [response.body.count(b"large_total{") for response in responses] == [20_000] * 6
