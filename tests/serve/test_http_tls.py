"""The metrics endpoint over TLS: who is let in, what strangers and old protocols are told, and what handshakes may cost.

What holds of the endpoint in general is tested over TLS too, in the files beside this one that ask for `tls`.
"""

from __future__ import annotations

import gc
import random
import socket
import ssl
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import trustme
from raw_http import PATIENCE, Client, anyone, ask, eventually, get

import tallymark as tm
from tallymark.serve.limits import Limits
from tallymark.serve.server import Server

REQUEST = b"GET /healthz HTTP/1.1\r\n\r\n"


@pytest.fixture
def registry() -> tm.Registry:
    """A fresh registry. The record path is not near, so one engine will do."""
    return tm.Registry()


@pytest.fixture(autouse=True)
def silence(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No client can make the server log or print anything."""
    with caplog.at_level("INFO"):
        yield
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def settings(certificates: Any) -> tm.TLS:
    return tm.TLS(certificates.cert, certificates.key)


@pytest.fixture
def server(registry: tm.Registry, settings: tm.TLS) -> Iterator[Server]:
    with tm.serve(0, registry=registry, tls=settings) as server:
        yield server
        assert get(server, "/healthz").status == 200


@pytest.fixture
def private(registry: tm.Registry, certificates: Any) -> Iterator[Server]:
    """A server that lets in only those who have a certificate."""
    with tm.serve(0, registry=registry, tls=tm.TLS(certificates.cert, certificates.key, certificates.client_ca)) as server:
        yield server


class Plain:
    """A client that has only a socket."""

    def __init__(self, server: Server) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)

    def __enter__(self) -> socket.socket:
        return self.socket

    def __exit__(self, *exc_info: object) -> None:
        self.socket.close()


def rest_of(plain: socket.socket) -> bytes:
    """Return all that comes until the server closes."""
    return b"".join(iter(lambda: plain.recv(65_536), b""))


def connections(server: Server) -> int:
    return len(server._endpoint._connections)


def test_a_client_that_checks_certificates_is_served(server: Server, certificates: Any) -> None:
    context = ssl.create_default_context(cafile=str(certificates.client_ca))
    with Client(server, context=context) as client:
        assert server.url == f"https://127.0.0.1:{server.port}/metrics"
        for _ in range(3):
            assert client.ask(b"GET /metrics HTTP/1.1\r\n\r\n").status == 200
        shown: Any = client.socket
        assert shown.version() == "TLSv1.3"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_versions_that_are_spoken(server: Server, version: ssl.TLSVersion) -> None:
    context = anyone()
    context.minimum_version = context.maximum_version = version
    assert ask(server, REQUEST, context).status == 200


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_an_old_version_is_refused_with_an_alert(server: Server) -> None:
    context = anyone()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError) as caught:
        Client(server, context=context)
    assert caught.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


def test_http_1_is_what_clients_agree_on_that_know_others(server: Server) -> None:
    context = anyone()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with Client(server, context=context) as client:
        shown: Any = client.socket
        assert shown.selected_alpn_protocol() == "http/1.1"


IMPORTS = """
import socket, ssl, sys, tallymark as tm
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with tm.serve(0, tls=tm.TLS(*sys.argv[1:])) as server, socket.socket() as plain:
    before = set(sys.modules)
    plain.connect(("127.0.0.1", server.port))
    with context.wrap_socket(plain) as client:
        client.sendall(b"GET /healthz HTTP/1.0\\r\\n\\r\\n")
        print(client.recv(15).decode(), sorted(set(sys.modules) - before))
"""


def test_the_first_client_imports_nothing(certificates: Any) -> None:
    """It may come when no descriptor is free, and no file can be read."""
    command = [sys.executable, "-W", "error", "-c", IMPORTS, certificates.cert, certificates.key]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == ("HTTP/1.1 200 OK []\n", "")


# Strangers


def with_certificate(authority: trustme.CA) -> ssl.SSLContext:
    context = anyone()
    authority.issue_cert("prometheus.example.org").configure_cert(context)
    return context


def test_who_has_a_certificate_of_the_authority_is_let_in(private: Server, certificates: Any) -> None:
    assert ask(private, b"GET /metrics HTTP/1.1\r\n\r\n", with_certificate(certificates.authority)).status == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("stranger", ["none", "another authority"])
def test_strangers_are_refused_with_an_alert_and_others_are_served(
    private: Server, certificates: Any, stranger: str, version: ssl.TLSVersion
) -> None:
    context = anyone() if stranger == "none" else with_certificate(trustme.CA())
    context.minimum_version = context.maximum_version = version
    with pytest.raises(ssl.SSLError) as caught:
        ask(private, REQUEST, context)  # even the page that needs no credentials
    assert "ALERT" in str(caught.value.reason)
    assert ask(private, REQUEST, with_certificate(certificates.authority)).status == 200
    assert eventually(lambda: connections(private) == 0)


# What is not TLS


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"PUT"])
def test_plain_http_is_told_what_this_port_speaks(server: Server, method: bytes) -> None:
    with Plain(server) as plain:
        plain.sendall(method + b" /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = rest_of(plain)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.endswith(b"\r\n\r\n400 Bad Request: this port speaks TLS. Use https://\n")
    assert b"Connection: close\r\n" in answer


@pytest.mark.parametrize(
    "data", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00" * 100, b"\xff" * 1000, b'{"json": true}', b"\x15\x03\x01\x00\x02\x02\x28"]
)
def test_what_is_not_tls_is_closed_at_once(registry: tm.Registry, settings: tm.TLS, data: bytes) -> None:
    with Server(0, "127.0.0.1", registry, Limits(head=600), tls=settings) as server:
        with Plain(server) as plain:
            plain.sendall(data)
            assert not rest_of(plain).startswith(b"HTTP")
        assert eventually(lambda: connections(server) == 0)


def hello() -> bytes:
    """Return the first bytes that a client of TLS sends."""
    outgoing = ssl.MemoryBIO()
    client = anyone().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_garbage_never_gets_through(server: Server) -> None:
    seeded = random.Random(11)
    start = hello()
    for _ in range(150):
        kept = start[: seeded.randrange(len(start) + 1)]
        data = kept + seeded.randbytes(seeded.randrange(1, 600))
        with Plain(server) as plain:
            plain.sendall(data)
            plain.shutdown(socket.SHUT_WR)
            try:
                answer = rest_of(plain)
            except ConnectionError:
                answer = b""
        assert b"HTTP" not in answer, data
    assert eventually(lambda: connections(server) == 0)


def test_garbage_after_the_handshake_ends_that_connection(server: Server) -> None:
    with Client(server) as client:
        assert client.ask(REQUEST).status == 200
        with socket.socket(fileno=socket.dup(client.socket.fileno())) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with pytest.raises(ssl.SSLError):
                client.socket.recv(1)


# Handshakes that stall


def test_a_handshake_that_stalls_has_the_deadline_of_a_head(registry: tm.Registry, settings: tm.TLS) -> None:
    with Server(0, "127.0.0.1", registry, Limits(head=0.1, response=60, idle=60), tls=settings) as server:
        for data in (b"", hello()[:50], hello()):
            with Plain(server) as plain:
                plain.sendall(data)
                with suppress(ConnectionError):
                    rest_of(plain)
        assert connections(server) == 0


def test_handshakes_that_stall_keep_nobody_waiting(server: Server) -> None:
    stalled = [Plain(server) for _ in range(20)]
    for number, plain in enumerate(stalled):
        plain.socket.sendall(hello()[: number * 20])
    assert eventually(lambda: connections(server) == 20)
    assert get(server).status == 200
    for plain in stalled:
        plain.socket.close()


def test_handshakes_that_stall_make_room_for_newcomers(registry: tm.Registry, settings: tm.TLS) -> None:
    with Server(0, "127.0.0.1", registry, Limits(connections=4), tls=settings) as server:
        stalled = [Plain(server) for _ in range(10)]
        assert get(server).status == 200
        assert connections(server) <= 4
        for plain in stalled[:6]:
            with suppress(ConnectionError):
                assert rest_of(plain.socket) == b""
        for plain in stalled:
            plain.socket.close()


def test_closing_ends_handshakes_too(registry: tm.Registry, settings: tm.TLS) -> None:
    server = tm.serve(0, registry=registry, tls=settings)
    with Plain(server) as plain:
        plain.sendall(hello())
        assert plain.recv(10)
        server.close()
        with suppress(ConnectionError):
            rest_of(plain)
    assert connections(server) == 0


# Ends


def test_the_last_response_is_followed_by_the_end_of_tls(server: Server) -> None:
    """A client can tell that nothing is missing."""
    with Plain(server) as plain, anyone().wrap_socket(plain, suppress_ragged_eofs=False) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        answer = rest_of(client)
    assert answer.endswith(b"\r\n\r\nok\n")
    assert eventually(lambda: connections(server) == 0)


def test_a_client_that_ends_tls_is_closed(server: Server) -> None:
    with Client(server) as client:
        assert client.ask(REQUEST).status == 200
        client.socket.unwrap()  # type: ignore[attr-defined]
    assert eventually(lambda: connections(server) == 0)


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    with Client(server) as client:
        client.send(b"".join(b"GET %b HTTP/1.1\r\n\r\n" % path for path in [b"/healthz", b"/nothing"] * 500))
        assert [client.read().status for _ in range(1000)] == [200, 404] * 500


def test_requests_that_arrive_while_another_is_answered_wait_for_their_turn(registry: tm.Registry, settings: tm.TLS) -> None:
    asked, answer = threading.Event(), threading.Event()
    registry.gauge("slow", callback=lambda: asked.set() or float(answer.wait(PATIENCE)))
    with tm.serve(0, registry=registry, tls=settings) as server, Client(server) as client:
        client.send(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert asked.wait(PATIENCE)
        for _ in range(10):
            client.send(REQUEST)  # a record of TLS each; the server finds all of them at once
        answer.set()
        assert [client.read().body for _ in range(11)][1:] == [b"ok\n"] * 10


# Memory


def test_while_the_kernel_takes_nothing_nothing_is_read(server: Server) -> None:
    """TLS answers some messages by itself. A client that sends nothing else, and reads nothing, costs no memory."""
    with Client(server) as client:
        assert client.ask(REQUEST).status == 200
        [connection] = list(server._endpoint._connections)
        transport: Any = connection._transport
        for blocked in (True, False):
            change = transport.pause_writing if blocked else transport.resume_writing
            server._endpoint.loop.call_soon_threadsafe(change)
            assert eventually(lambda: transport.is_reading() and transport._socket.is_reading() is not blocked)  # noqa: B023
        assert client.ask(REQUEST).status == 200


def test_what_a_closed_connection_held_is_freed_without_a_collection_of_cycles(server: Server) -> None:
    """What OpenSSL holds is hidden from Python, which would collect only after hundreds of connections, or never."""

    def use() -> weakref.ref[Any]:
        with Client(server) as client:
            assert client.ask(REQUEST).status == 200
            [connection] = list(server._endpoint._connections)
            return weakref.ref(connection._transport)

    gc.disable()
    try:
        transport = use()
        assert eventually(lambda: transport() is None)
    finally:
        gc.enable()


def test_what_a_connection_holds_does_not_grow_with_what_its_client_sends(registry: tm.Registry, settings: tm.TLS) -> None:
    with tm.serve(0, registry=registry, tls=settings) as server, Client(server) as client:
        client.socket.settimeout(0.3)
        requests = b"GET / HTTP/1.1\r\n\r\n" * 1_000_000
        with pytest.raises(TimeoutError):  # it never reads, so the server reads no further
            client.send(requests)
        [connection] = list(server._endpoint._connections)
        transport: Any = connection._transport
        most = server._endpoint.limits.head_bytes
        assert len(connection._heads) <= most
        assert transport._incoming.pending <= most
        assert transport._outgoing.pending == 0
        assert transport.get_write_buffer_size() <= server._endpoint.limits.piece
