"""`HTTPClient`: one connection that is kept while both sides want it; whatever a server answers, it is told apart in time."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from failing_server import FailingServer, answer, byte_by_byte, failing_server, say, silent_port

from tallymark.client.address import Address
from tallymark.client.connect import connect
from tallymark.client.deadline import Deadline
from tallymark.client.errors import ClientError
from tallymark.client.http import Answer, HTTPClient


@pytest.fixture
def server() -> Iterator[FailingServer]:
    with failing_server() as running:
        yield running


@pytest.fixture
def client(server: FailingServer) -> Iterator[HTTPClient]:
    made = HTTPClient(Address.parse(server.url))
    yield made
    made.close()


def post(client: HTTPClient, body: bytes = b"x", seconds: float = 30.0) -> Answer:
    return client.request("POST", client.address.target, body, {}, Deadline(seconds, time.monotonic))


def test_a_connection_is_kept(client: HTTPClient, server: FailingServer) -> None:
    assert [post(client, body).status for body in (b"one", b"two", b"three")] == [204] * 3
    assert (server.connections, server.bodies) == (1, [b"one", b"two", b"three"])


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n\r\nok",  # without a length, it ends with the connection
    ],
)
def test_a_connection_that_the_server_does_not_keep_is_opened_again(
    raw: bytes, client: HTTPClient, server: FailingServer
) -> None:
    server.behaves = say(raw, keeps=False)
    assert [post(client).body for _ in range(3)] == [b"ok"] * 3
    assert server.connections == 3


def test_a_connection_that_was_closed_meanwhile_is_opened_again(client: HTTPClient, server: FailingServer) -> None:
    server.behaves = say(b"HTTP/1.1 204 No Content\r\n\r\n", keeps=False)
    assert [post(client, bytes([65 + number])).status for number in range(3)] == [204] * 3
    assert server.bodies == [b"A", b"B", b"C"]


def test_what_a_server_says_unasked_is_not_the_next_answer(client: HTTPClient, server: FailingServer) -> None:
    late = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
    server.behaves = say(b"HTTP/1.1 204 No Content\r\n\r\n" + late)
    assert [post(client).status for _ in range(2)] == [204, 204]


@pytest.mark.parametrize("before", ["100 Continue", "102 Processing", "103 Early Hints\r\nLink: </x>"])
def test_an_answer_before_the_final_one_is_passed_over(before: str, client: HTTPClient, server: FailingServer) -> None:
    server.behaves = say(f"HTTP/1.1 {before}\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\n!".encode())
    assert [(post(client).status, server.connections) for _ in range(2)] == [(201, 1)] * 2


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_an_answer_without_a_body_is_complete_at_once(status: str, client: HTTPClient, server: FailingServer) -> None:
    server.behaves = say(f"HTTP/1.1 {status}\r\nContent-Length: 100\r\n\r\n".encode())
    assert post(client).body == b""


def test_a_body_in_chunks_is_read(client: HTTPClient, server: FailingServer) -> None:
    server.behaves = say(b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n")
    assert [post(client).body for _ in range(2)] == [b"no"] * 2
    assert server.connections == 1


def test_of_a_huge_body_the_beginning_is_read(client: HTTPClient, server: FailingServer) -> None:
    server.behaves = answer("500 Oh", body=b"y" * 2**20)
    assert [len(post(client).body) for _ in range(2)] == [65536] * 2
    assert server.connections == 2


def test_a_chunk_with_a_length_below_nothing_takes_no_more_memory(client: HTTPClient, server: FailingServer) -> None:
    body = b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + b"y" * 2**22
    server.behaves = say(b"HTTP/1.1 500 Oh\r\n" + body, keeps=False)
    tracemalloc.start()
    try:
        assert post(client).status == 500
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "rest", [b"Content-Length: 10\r\n\r\nonly", b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"Content-Length: 2\r\n\r\n"]
)
def test_the_status_counts_though_the_body_is_broken(rest: bytes, client: HTTPClient, server: FailingServer) -> None:
    server.behaves = say(b"HTTP/1.1 202 Accepted\r\n" + rest, keeps=b"2\r\n\r\n" in rest)
    assert post(client, seconds=0.3).status == 202
    server.behaves = answer()
    assert post(client).status == 204


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9\r\n", b"", b"\0" * 100, b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 99999 x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000 + b"\r\n", b"HTTP/1.1 200 " + b"x" * 70000,
    ],
    ids=["ssh", "nothing", "zeros", "no status", "odd status", "many fields", "a long line"],
)  # fmt: skip
def test_what_is_no_answer_is_one_error(raw: bytes, client: HTTPClient, server: FailingServer) -> None:
    server.behaves = say(raw, keeps=False)
    with pytest.raises(ClientError) as raised:
        post(client)
    assert str(raised.value).startswith(server.url)
    assert str(raised.value).isprintable()
    server.behaves = answer()
    assert post(client).status == 204


@pytest.mark.parametrize("pause", [0.05, 0.2])
def test_a_server_that_is_slow_does_not_exceed_the_deadline(pause: float, client: HTTPClient, server: FailingServer) -> None:
    server.behaves = byte_by_byte(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", pause)
    began = time.monotonic()
    with pytest.raises(ClientError, match="has not answered in time"):
        post(client, seconds=0.3)
    assert time.monotonic() - began < 20


def test_a_deadline_may_be_moved_while_an_answer_is_waited_for() -> None:
    deadline = Deadline(1000, time.monotonic)
    with silent_port() as port:
        client = HTTPClient(Address.parse(f"http://127.0.0.1:{port}/"))
        timer = threading.Timer(0.1, deadline.cut, (0.1,))
        timer.start()
        with pytest.raises(ClientError, match="has not answered in time"):
            client.request("POST", "/", b"x" * 2**24, {}, deadline)
        timer.join()


def test_a_name_that_is_looked_up_for_long_does_not_exceed_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    may, asked = threading.Event(), []

    def wait(*args: Any, **options: Any) -> list[Any]:
        asked.append(args)
        may.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    client = HTTPClient(Address.parse("http://slow.example/"))
    for _ in range(2):
        with pytest.raises(ClientError, match="has not answered in time"):
            post(client, seconds=0.1)
    assert asked == [("slow.example", 80)], "the second asks the same, and waits for the first one's answer"
    may.set()


def test_a_lookup_without_a_thread_is_done_all_the_same(server: FailingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the end of the process, when no thread can be started."""

    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

    client = HTTPClient(Address.parse(server.url.replace("127.0.0.1", "localhost")))
    monkeypatch.setattr("tallymark.client.lookup.threading", SimpleNamespace(Thread=NoThread, Event=threading.Event))
    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 0, "", _address(server))])
        connect(client.address, Deadline(30, time.monotonic)).close()


def _address(server: FailingServer) -> tuple[str, int]:
    return "127.0.0.1", server.port


def test_the_first_address_that_can_be_reached_is_used(server: FailingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = socket.create_server(("127.0.0.1", 0))
    port = refused.getsockname()[1]
    refused.close()
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", one)) for one in (port, server.port)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    client = HTTPClient(Address.parse("http://two.example/"))
    assert post(client).status == 204
    client.close()


def test_an_address_of_ipv6_is_asked() -> None:
    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("there is no IPv6")
    with listening:
        heard: list[bytes] = []

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        client = HTTPClient(Address.parse(f"http://[::1]:{listening.getsockname()[1]}/w"))
        assert post(client).status == 204
        client.close()
        thread.join()
    assert b"Host: [::1]:" in heard[0]


def test_redirects_are_not_followed(client: HTTPClient, server: FailingServer) -> None:
    server.behaves = answer("307 Temporary Redirect", "Location: http://127.0.0.1:1/")
    assert post(client).status == 307


def test_who_answers_while_a_body_is_sent_is_heard(client: HTTPClient) -> None:
    """The rest is neither read nor sent; the connection is not used again."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = threading.Event()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
                done.wait(30)

        thread = threading.Thread(target=serve)
        thread.start()
        client = HTTPClient(Address.parse(f"http://127.0.0.1:{listening.getsockname()[1]}/"))
        assert post(client, b"x" * 2**25).status == 413
        assert client._socket is None
        done.set()
        thread.join()


# Fields


def test_who_says_something_before_the_final_answer_gets_the_whole_body() -> None:
    """RFC 9110, 15.2: a client must be able to parse such answers even if it does not expect one."""
    got: list[int] = []
    body = b"x" * 2**22

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
            while sum(got) < len(body) and (some := connection.recv(2**18)):
                got.append(len(some))
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        client = HTTPClient(Address.parse(f"http://127.0.0.1:{listening.getsockname()[1]}/"))
        assert post(client, body, seconds=2).status == 204
        client.close()
        thread.join()


def test_fields_win_in_order(server: FailingServer) -> None:
    client = HTTPClient(Address.parse(server.url.replace("//", "//u:p@")), {"authorization": "Bearer t", "X-Own": "1"})
    client.request("POST", "/", b"", {"x-own": "2"}, Deadline(30, time.monotonic))
    head = server.heads[0].decode().lower()
    assert (head.count("authorization"), head.count("x-own")) == (1, 1)
    assert "authorization: bearer t" in head
    assert "x-own: 2" in head
    client.close()


@pytest.mark.parametrize(
    ("headers", "error", "words"),
    [
        ({"X-Token": "s3cret\r\nX-Evil: 1"}, ValueError, "the value of 'X-Token' has characters"),
        ({"X-Token": "s3cret\n"}, ValueError, "the value of 'X-Token' has characters"),
        ({"X-Token": "s3cret\0"}, ValueError, "the value of 'X-Token' has characters"),
        ({"X-Token": "s3cret☃"}, ValueError, "the value of 'X-Token' has characters"),
        ({"X-Token": b"s3cret"}, TypeError, "the value of 'X-Token' must be a str, not bytes"),
        ({"X Token": "s3cret"}, ValueError, "'X Token' cannot be the name of a field"),
        ({"X-Token: 1\r\nY": "s3cret"}, ValueError, "cannot be the name of a field"),
        ({"": "s3cret"}, ValueError, "cannot be the name of a field"),
        ({"content-length": "5"}, ValueError, "'content-length' is set for each request"),
        ({"Transfer-Encoding": "chunked"}, ValueError, "is set for each request"),
        ("X-Token: s3cret", TypeError, "headers must be a mapping"),
    ],
)
def test_a_field_that_cannot_be_sent_is_an_error_at_once(headers: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as raised:
        HTTPClient(Address.parse("http://127.0.0.1:1/"), headers)
    assert "s3cret" not in str(raised.value)


# TLS


def test_a_kept_connection_with_tls() -> None:
    import trustme

    authority = trustme.CA()
    serving, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    authority.configure_trust(trusting)
    with failing_server(tls=serving) as server:
        client = HTTPClient(Address.parse(server.url), tls=trusting)
        assert [post(client, b"z" * size).status for size in (1, 2**22, 1)] == [204] * 3
        assert [len(body) for body in server.bodies] == [1, 2**22, 1]
        client.close()


@pytest.mark.parametrize(
    ("name", "days", "words"),
    [
        ("127.0.0.1", (-2, 2), None),
        ("elsewhere.example", (-2, 2), r"mismatch.*'127\.0\.0\.1'\); use a name that is in it"),
        ("127.0.0.2", (-2, 2), "mismatch.*; use a name that is in it"),
        ("127.0.0.1", (-4, -2), "expired.*; it must be renewed, unless the clock of this machine is wrong"),
        ("127.0.0.1", (2, 4), "not yet valid.*; is the clock of this machine right"),
    ],
)
def test_what_is_wrong_with_a_certificate(name: str, days: tuple[int, int], words: str | None) -> None:
    import trustme

    authority = trustme.CA()
    serving, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    begins, ends = [datetime.now(UTC) + timedelta(days=number) for number in days]
    authority.issue_cert(name, not_before=begins, not_after=ends).configure_cert(serving)
    authority.configure_trust(trusting)
    with failing_server(tls=serving) as server:
        client = HTTPClient(Address.parse(server.url), tls=trusting)
        if words is None:
            assert post(client).status == 204
            client.close()
            return
        with pytest.raises(ClientError, match=f"has a certificate that is not trusted .*{words}"):
            post(client)


def test_who_asks_for_a_certificate_does_speak_tls() -> None:
    """To try http:// then would show the report, and what it is sent with, to all on the way."""
    import trustme

    authority = trustme.CA()
    serving, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    authority.configure_trust(trusting)
    authority.configure_trust(serving)
    serving.verify_mode, serving.maximum_version = ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_2
    with failing_server(tls=serving) as server:
        client = HTTPClient(Address.parse(server.url), tls=trusting)
        with pytest.raises(ClientError, match=r"refuses our TLS .*ALERT.*; does it ask for a certificate of ours") as error:
            post(client)
        assert "http://" not in str(error.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_does_not_shake_hands_is_left_in_time(scheme: str) -> None:
    with silent_port() as port:
        client = HTTPClient(Address.parse(f"{scheme}://127.0.0.1:{port}/"))
        with pytest.raises(ClientError, match="has not answered in time"):
            post(client, seconds=0.1)


def test_plain_http_where_tls_is_spoken_and_the_reverse() -> None:
    with failing_server() as server:
        client = HTTPClient(Address.parse(server.url.replace("http:", "https:")))
        server.behaves = say(b"HTTP/1.1 400 Bad\r\n\r\n", keeps=False)
        with pytest.raises(ClientError, match=r"does not speak TLS|has not answered|closed the connection"):
            post(client, seconds=0.3)
