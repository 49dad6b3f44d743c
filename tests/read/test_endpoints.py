"""Endpoints of all sorts: each gives numbers, or one line that says what is wrong and what to do."""

from __future__ import annotations

import gzip
import socket
import ssl
import sys
import time
from collections.abc import Iterator

import pytest
import trustme
from hostile_server import Answer, hostile_server, page, path_of
from prometheus_client import CollectorRegistry, Counter, start_http_server

import tallymark as tm
from tallymark.read import ReadError, open_source

PAGE = page(b"# TYPE x_total counter\nx_total 5\n", "Content-Type: text/plain; version=0.0.4")


def value(source_text: str, **options: object) -> float:
    with open_source(source_text, **options) as source:  # type: ignore[arg-type]
        return next(iter(source.snapshot()["x_total"])).value


def trouble(source_text: str, **options: object) -> str:
    """Return the message of what goes wrong."""
    with pytest.raises(ReadError) as raised:
        value(source_text, **options)
    message = str(raised.value)
    assert message.isprintable()
    assert len(message) < 300
    return message


# Real ones


def test_our_own(registry: tm.Registry) -> None:
    registry.counter("x").inc(5)
    with tm.serve(port=0, registry=registry) as server:
        for text in (server.url, f"http://127.0.0.1:{server.port}", f"127.0.0.1:{server.port}", f":{server.port}/metrics"):
            with open_source(text) as source:
                assert next(iter(source.snapshot()["x_total"])).value == 5
                assert source.name == server.url
                assert source.processes == ()


@pytest.mark.slow
def test_that_of_prometheus_client() -> None:
    registry = CollectorRegistry()
    Counter("x", "X.", registry=registry).inc(5)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        assert value(f"127.0.0.1:{server.server_port}") == 5
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_snapshot_has_the_time_at_which_it_was_asked_for() -> None:
    with hostile_server(PAGE) as server, open_source(server.url, clock=lambda: 17.0) as source:
        assert source.snapshot().time == 17.0


# Credentials


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("http://me:p%40ss@127.0.0.1:{}", {}),
        ("127.0.0.1:{}", {"basic_auth": ("me", "p@ss")}),
        ("http://other:one@127.0.0.1:{}", {"basic_auth": ("me", "p@ss")}),
        ("127.0.0.1:{}", {"headers": {"authorization": "Basic bWU6cEBzcw=="}}),
    ],
)
def test_a_user_and_a_password(text: str, options: dict[str, object]) -> None:
    registry = tm.Registry()
    registry.counter("x").inc(5)
    with tm.serve(port=0, registry=registry, auth=tm.BasicAuth("me", "p@ss")) as server:
        assert value(text.format(server.port), **options) == 5
        message = trouble(f"http://me:wr0ng@127.0.0.1:{server.port}")
    assert "401" in message
    assert "credentials" in message
    assert "wr0ng" not in message


def test_a_token() -> None:
    registry = tm.Registry()
    registry.counter("x").inc(5)
    with tm.serve(port=0, registry=registry, auth=tm.BearerAuth("secret")) as server:
        assert value(server.url, bearer_token="secret") == 5
        assert "a bearer token" in trouble(server.url)


def test_a_token_and_a_password_are_one_too_many() -> None:
    with pytest.raises(ValueError, match="not both"):
        open_source("localhost:1", basic_auth=("a", "b"), bearer_token="c")


def test_secrets_that_http_cannot_carry_are_not_shown() -> None:
    assert "pass" not in trouble("localhost:1", bearer_token="pass\nX: y")
    assert "pass" not in trouble("http://me:pass\n@localhost:1/")
    assert "pass" not in trouble("ftp://me:pass@localhost:1/")


def test_what_is_meant_for_one_host_is_not_sent_to_another() -> None:
    with hostile_server(PAGE) as other:
        with hostile_server(page(b"", f"Location: {other.url}/metrics", status="302 Found")) as server:
            url = server.url.replace("//", "//me:secret@")
            assert value(url, headers={"X-Key": "secret"}) == 5
        (first,), (second,) = server.requests, other.requests
    assert b"Authorization: Basic" in first
    assert b"X-Key" in first
    assert b"Authorization" not in second
    assert b"X-Key" not in second


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls_server(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tm.Server]:
    folder = tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    registry = tm.Registry()
    registry.counter("x").inc(5)
    with tm.serve(port=0, host="localhost", registry=registry, tls=tm.TLS(folder / "cert.pem", folder / "key.pem")) as server:
        yield server


def test_a_certificate_that_is_trusted(tls_server: tm.Server, authority: trustme.CA) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    assert value(f"https://localhost:{tls_server.port}", tls=context) == 5


def test_one_that_is_not(tls_server: tm.Server) -> None:
    message = trouble(f"https://localhost:{tls_server.port}")
    assert "certificate" in message
    assert "not trusted" in message


def test_one_of_another_host(tls_server: tm.Server, authority: trustme.CA) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    assert "127.0.0.1" in trouble(f"https://127.0.0.1:{tls_server.port}", tls=context)


def test_a_server_that_speaks_no_tls() -> None:
    with hostile_server(b"HTTP/1.1 400 Bad Request\r\n\r\n", until=b"") as server:
        message = trouble(f"https://127.0.0.1:{server.port}")
    assert "does not speak TLS" in message
    assert "try http://" in message


def test_a_server_that_speaks_tls_only(tls_server: tm.Server) -> None:
    assert "https://" in trouble(f"http://localhost:{tls_server.port}")


# Bodies


def chunked(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n" % (len(body), body)


GOOD = {
    "plain": PAGE,
    "without a length": b"HTTP/1.0 200 OK\r\n\r\nx_total 5\n",
    "chunked": chunked(b"x_total 5\n") + b"0\r\n\r\n",
    "gzip": page(gzip.compress(b"x_total 5\n"), "Content-Encoding: gzip"),
    "gzip in two members": page(gzip.compress(b"# x\n") + gzip.compress(b"x_total 5\n"), "Content-Encoding: gzip"),
    "large gzip": page(gzip.compress(b"x_total 5\n" + b"# comment\n" * 200_000), "Content-Encoding: gzip"),
    "an unknown type": page(b"x_total 5\n", "Content-Type: application/octet-stream"),
}


@pytest.mark.parametrize("answer", GOOD.values(), ids=GOOD.keys())
def test_a_good_body(answer: bytes) -> None:
    with hostile_server(answer) as server:
        assert value(server.url) == 5


BAD = {
    "nothing": (b"", "closed the connection without an answer"),
    "cut off": (page(b"x_total 5\n", length=100), "before its page was complete"),
    "cut off chunk": (chunked(b"x_total 5\n")[:-8], "before its page was complete"),
    "cut off chunks": (chunked(b"x_total 5\n"), "before its page was complete"),
    "cut off gzip": (page(gzip.compress(b"x_total 5\n" * 10)[:-9], "Content-Encoding: gzip"), "before its page was complete"),
    "gzip and more": (page(gzip.compress(b"x_total 5\n") + b"more", "Content-Encoding: gzip"), "which it is not"),
    "no gzip": (page(b"x_total 5\n", "Content-Encoding: gzip"), "which it is not"),
    "brotli": (page(b"x_total 5\n", "Content-Encoding: br"), "compressed by br"),
    "no http": (b"SSH-2.0-OpenSSH_9.2\r\n", "does not answer in HTTP"),
    "no status": (b"HTTP/1.1 \x1b[31m OK\r\n\r\n", "does not answer in HTTP"),
    "endless fields": (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n", "does not answer in HTTP"),
    "a long field": (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000 + b"\r\n\r\n", "does not answer in HTTP"),
    "a bad length": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "before its page was complete"),
    "binary": (page(bytes(range(256))), "not UTF-8"),
    "html": (page(b"<!DOCTYPE html><p>x 5", "Content-Type: text/html"), "web page"),
    "html without a type": (page(b"\n<html>"), "web page"),
    "json": (page(b'{"x": 5}', "Content-Type: application/json"), "application/json"),
    "json without a type": (page(b'{"x": 5}'), "line 1 is not Prometheus text"),
    "protobuf": (page(b"abc", "Content-Type: application/vnd.google.protobuf; x=y"), "application/vnd.google.protobuf"),
    "broken text": (page(b"x 5\nx{ 5\n"), "line 2 is not Prometheus text: x{ 5"),
    "colours": (page(b"\x1b[31mred 5\n"), "\\x1b[31mred"),
    "not there": (page(b"x_total 5\n", status="404 Not Found"), "is not there (404)"),
    "not allowed": (page(b"", status="403 Forbidden"), "403 Forbidden: it lets nobody in"),
    "failed": (page(b"", status="500 \x1b[31m"), "500 \\x1b[31m: it has failed"),
    "elsewhere": (page(b"", status="302 Found"), "redirects to nowhere"),
    "round and round": (page(b"", "Location: /metrics", status="301 Moved"), "more than 5 times"),
    "to another scheme": (page(b"", "Location: file:///etc/passwd", status="301 Moved"), "file:///etc/passwd, which is not"),
}


@pytest.mark.parametrize(("answer", "what"), BAD.values(), ids=BAD.keys())
def test_a_bad_answer(answer: bytes, what: str) -> None:
    with hostile_server(answer) as server:
        message = trouble(server.url)
    assert what in message
    assert f"127.0.0.1:{server.port}" in message


def test_a_path_that_has_a_web_page_leads_to_the_metrics_below_it() -> None:
    def answer(connection: socket.socket, request: bytes) -> None:
        connection.sendall(PAGE if path_of(request) == "/app/metrics?a=b" else page(b"<p>", "Content-Type: text/html"))

    with hostile_server(answer) as server:
        with open_source(f"{server.url}/app/?a=b") as source:
            for _ in range(2):
                assert next(iter(source.snapshot()["x_total"])).value == 5
            assert source.name == f"{server.url}/app/metrics?a=b"
        assert list(map(path_of, server.requests)) == ["/app/?a=b", "/app/metrics?a=b", "/app/metrics?a=b"]


def test_it_asks_for_text_and_takes_gzip() -> None:
    with hostile_server(PAGE) as server:
        value(server.url)
    (request,) = server.requests
    assert b"\r\nAccept: text/plain;version=0.0.4, " in request
    assert b"\r\nAccept-Encoding: gzip\r\n" in request


# Limits


def endlessly(*parts: bytes, pause: float = 0.0) -> Answer:
    def answer(connection: socket.socket, request: bytes) -> None:
        connection.sendall(parts[0])
        while True:
            connection.sendall(parts[1])
            time.sleep(pause)

    return answer


def silently(first: bytes) -> Answer:
    """Send something, and then nothing more until the reader goes."""

    def answer(connection: socket.socket, request: bytes) -> None:
        connection.sendall(first)
        connection.recv(1)

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        endlessly(b"HTTP/1.0 200 OK\r\n\r\n", b"x_total 5\n" * 1000),
        endlessly(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"a\r\nx_total 5\n\r\n" * 1000),
        page(gzip.compress(bytes(10_000_000)), "Content-Encoding: gzip"),
    ],
    ids=["endless", "endless chunks", "bomb"],
)
def test_a_page_without_end_is_given_up(answer: bytes | Answer) -> None:
    with hostile_server(answer) as server:
        assert "more than 1,000,000 bytes" in trouble(server.url, max_bytes=1_000_000)


@pytest.mark.parametrize(
    "answer",
    [
        silently(b""),
        endlessly(b"HTTP/1.1 200 OK\r\n", b"A", pause=0.02),
        endlessly(b"HTTP/1.0 200 OK\r\n\r\n", b"#", pause=0.02),
        silently(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"),
    ],
    ids=["silent", "slow fields", "slow body", "nothing of a body"],
)
def test_a_slow_page_is_given_up(answer: Answer) -> None:
    with hostile_server(answer) as server:
        assert "has not answered completely after 0.2 s" in trouble(server.url, timeout=0.2)


# Addresses


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("http://", "is not a URL"), ("http://[::1", "is not a URL"), ("http://localhost:99999/", "is not a URL"),
        ("localhost:99999", "is not a URL"), ("http://localhost/a b", "is not a URL"), ("http://loc\x1bal/", "is not a URL"),
        ("ftp://localhost/", "only http:// and https://"), ("file:///etc/passwd", "only http:// and https://"),
        ("http://no-such-host.invalid/", "there is no host no-such-host.invalid"), ("http://127.0.0.1:1/", "nobody listens"),
        ("/no/such/file", "no such file"), ("localhost", "no such file"), ("", "is not a file"),
        ("/etc/passwd", "is not a file"), ("/tmp", "is not a file"), ("no\x1bfile", "no\\x1bfile: no such file"),
    ],
)  # fmt: skip
def test_what_is_no_source(text: str, what: str) -> None:
    assert what in trouble(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://me:se/cret@host/",
        "http://me:cret/se@host/",
        "http://me:se@cret@ho st/",
        "ftp://me:se/@cret@host/",
        "http://me:se\ncret@h",
    ],
)
def test_a_password_that_breaks_the_url_is_not_told(text: str) -> None:
    assert "cret" not in trouble(text)


@pytest.mark.parametrize("text", ["[::1]:9464", "http://[::1]:9464/metrics", "LOCALHOST:80", "https://localhost"])
def test_what_is_one(text: str) -> None:
    with open_source(text) as source:
        assert source.name.endswith("/metrics")


def test_without_prometheus_client_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client.parser", None)
    with pytest.raises(ReadError, match=r"pip install 'tallymark\[top\]'"):
        open_source("localhost:9464")
