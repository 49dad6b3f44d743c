"""The metrics endpoint: its responses to valid requests."""

from __future__ import annotations

import gzip
import logging
import socket
from collections.abc import Iterator

import pytest
from raw_http import Client, get, parse

import tallymark as tm
from tallymark.export.prometheus import CONTENT_TYPE
from tallymark.serve.dashboard import dashboard
from tallymark.serve.server import Server, serve


@pytest.fixture
def server(registry: tm.Registry, tls: tm.TLS | None) -> Iterator[Server]:
    registry.counter("http_requests", description="Requests served.").inc(3, route='/a"b\\c\n', method="GET")
    registry.timer("latency").record(0.2)
    with serve(0, registry=registry, tls=tls) as server:
        yield server


# Pages


def test_metrics_are_served_as_prometheus_text(server: Server) -> None:
    response = get(server)
    assert response.status == 200
    assert response.fields["content-type"] == CONTENT_TYPE
    assert response.fields["vary"] == "Accept, Accept-Encoding"
    assert "content-encoding" not in response.fields
    samples = parse(response.body)
    assert samples["http_requests_total"] == 3
    assert samples["latency_seconds_count"] == 1


def test_each_scrape_is_fresh(server: Server, registry: tm.Registry) -> None:
    gauge = registry.gauge("depth")
    for depth in (1, 2):
        gauge.set(depth)
        assert parse(get(server).body)["depth"] == depth


@pytest.mark.parametrize(
    "target",
    ["/metrics", "/metrics/", "/metrics?name[]=up", "/metrics/?", "http://example.org/metrics", "HTTP://[::1]:1/metrics?x"],
)
def test_targets_that_mean_the_metrics(server: Server, target: str) -> None:
    response = get(server, target)
    assert (response.status, response.fields["content-type"]) == (200, CONTENT_TYPE)


def test_health(server: Server) -> None:
    response = get(server, "/healthz")
    assert (response.status, response.body) == (200, b"ok\n")


@pytest.mark.parametrize("target", ["/", "/?x", "http://example.org"])
def test_the_live_page_is_at_the_root(server: Server, target: str) -> None:
    response = get(server, target)
    assert response.status == 200
    assert response.body == dashboard("events").body


@pytest.mark.parametrize("target", ["/nothing", "/metrics/x", "/metricsx", "//metrics", "*", "metrics", "/%6detrics", "/\xff"])
def test_other_paths_are_not_found(server: Server, target: str) -> None:
    response = get(server, target)
    assert (response.status, response.body) == (404, b"404 Not Found\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "get", "X-Y"])
def test_other_methods_are_not_allowed(server: Server, method: str) -> None:
    with Client(server) as client:
        response = client.ask(f"{method} /metrics HTTP/1.1\r\n\r\n".encode())
        assert (response.status, response.fields["allow"]) == (405, "GET, HEAD")
        assert client.ask(b"GET /healthz HTTP/1.1\r\n\r\n").status == 200


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/", "/nothing"])
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_head_has_the_fields_of_get_and_no_body(server: Server, path: str, encoding: str) -> None:
    request = f"{{}} {path} HTTP/1.1\r\nAccept-Encoding: {encoding}\r\n\r\n"
    with Client(server) as client:
        client.send(request.format("HEAD").encode())
        head = client.read(body=False)
        full = client.ask(request.format("GET").encode())  # would be misread if a body had come
    assert head.status == full.status
    assert head.fields | {"date": ""} == full.fields | {"date": ""}


# Negotiation


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip", True), ("GZip", True), ("x-gzip", True), ("deflate, gzip;q=1.0, *;q=0.5", True), ("gzip; q=0.001", True),
        ("*", True), ("br;q=1,*;q=0.1", True), ("gzip;q=0.5, identity;q=0.5", True), ("gzip;Q=1", True),
        ("", False), ("identity", False), ("br, deflate", False), ("gzip;q=0", False), ("gzip;q=0.000", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False), ("gzip;q=0.5, identity", False), ("gzip;q=nan", False), ("gzip;q=", False), ("gzip;q=2", False),
        ("gzip;level=9", False), (";;;,,=\xff", False),
    ],
)  # fmt: skip
def test_gzip_only_where_it_is_asked_for(server: Server, accepted: str, compressed: bool) -> None:
    response = get(server, accept_encoding=accepted)
    assert response.fields.get("content-encoding") == ("gzip" if compressed else None)
    assert response.fields["vary"] == "Accept, Accept-Encoding"
    body = gzip.decompress(response.body) if compressed else response.body
    assert parse(body)["http_requests_total"] == 3


@pytest.mark.parametrize(
    "accepted",
    [
        "",
        ";",
        "*/*;q=abc",
        ",,,",
        "text/plain;version",
        "application/openmetrics-text;version=2.0.0;q=0.5,*/*;q=0.1",
        "\x01\xff\t",
    ],
)
def test_any_accept_is_tolerated(server: Server, accepted: str) -> None:
    response = get(server, accept=accepted)
    assert (response.status, response.fields["content-type"]) == (200, CONTENT_TYPE)


# Connections that are kept


def test_a_connection_serves_many_requests(server: Server) -> None:
    with Client(server) as client:
        for _ in range(20):
            response = client.ask(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (response.status, response.fields["connection"]) == (200, "keep-alive")


@pytest.mark.parametrize(
    "request_text",
    [
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "GET / HTTP/1.1\r\nConnection: x\r\nconnection: TE, Close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody", "GET / HTTP/1.1\r\nContent-Length: 04\r\n\r\nbody",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    ],
)  # fmt: skip
def test_a_connection_is_closed_after_the_response(server: Server, request_text: str) -> None:
    with Client(server) as client:
        response = client.ask(request_text.encode())
        assert response.status == (405 if request_text.startswith("POST") else 200)
        assert response.fields["connection"] == "close"
        assert client.is_closed()


@pytest.mark.parametrize(
    "request_text",
    [
        "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.1\nHost: x\n\n", "\r\n\r\nGET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.2\r\n\r\n",
    ],
)  # fmt: skip
def test_a_connection_is_kept(server: Server, request_text: str) -> None:
    with Client(server) as client:
        for _ in range(2):
            response = client.ask(request_text.encode())
            assert (response.status, response.fields["connection"]) == (200, "keep-alive")


@pytest.mark.parametrize("tls", ["plain"], indirect=True)  # Python's TLS sockets cannot end one direction
def test_pipelined_requests_are_answered_in_order_even_after_the_client_ended_its_side(server: Server) -> None:
    with Client(server) as client:
        client.send(b"".join(b"GET %b HTTP/1.1\r\n\r\n" % path for path in [b"/healthz", b"/nothing"] * 50))
        client.socket.shutdown(socket.SHUT_WR)
        assert [client.read().status for _ in range(100)] == [200, 404] * 50
        assert client.is_closed()


def test_a_request_may_come_byte_by_byte(server: Server) -> None:
    with Client(server) as client:
        for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n":
            client.send(bytes([byte]))
        assert client.read().status == 200


# Failures


def test_a_failing_callback_does_not_fail_the_scrape(server: Server, registry: tm.Registry) -> None:
    registry.gauge("broken", callback=lambda: 1 // 0)
    registry.gauge("fine", callback=lambda: 7)
    response = get(server)
    assert response.status == 200
    assert parse(response.body)["fine"] == 7


@pytest.mark.parametrize("failure", [RuntimeError, SystemExit, KeyboardInterrupt, MemoryError])
def test_a_failure_to_render_is_logged_but_not_sent(caplog: pytest.LogCaptureFixture, failure: type[BaseException]) -> None:
    class Broken(tm.Registry):
        def snapshot(self) -> tm.Snapshot:
            raise failure("a secret")

    with serve(0, registry=Broken()) as server, Client(server) as client, caplog.at_level(logging.ERROR, "tallymark"):
        response = client.ask(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert (response.status, response.body) == (500, b"500 Internal Server Error\n")
        assert client.ask(b"GET /healthz HTTP/1.1\r\n\r\n").status == 200
    assert [record.name for record in caplog.records] == ["tallymark"]
    assert "a secret" in caplog.text
