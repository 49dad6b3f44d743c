"""The pages of metrics in each format: what a scraper asks for, it gets; and whatever it asks for, it gets an answer."""

from __future__ import annotations

import gzip
import zlib
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from raw_http import Client

import tallymark as tm
from tallymark.serve import pages
from tallymark.serve.pages import Page, PageRequest, page, variant
from tallymark.serve.server import serve

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def ask(registry: tm.Registry, query: str = "", **headers: str) -> Page:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return page(PageRequest("GET", "/metrics", query, named), registry)


@pytest.fixture
def counted(registry: tm.Registry) -> tm.Registry:
    registry.counter("http.requests").inc(3, **{"http.route": "/"})
    registry.timer("took").record(0.2)
    registry.info("build", version="1.2")
    return registry


def families(got: Page) -> list[str]:
    """Return the names of the families of a page, as a parser of others reads them."""
    kind = dict(got.headers)["Content-Type"]
    body = gzip.decompress(got.body) if ("Content-Encoding", "gzip") in got.headers else got.body
    parse: Any = parse_openmetrics if kind.startswith("application/openmetrics-text") else parse_text
    return [family.name for family in parse(body.decode())]


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize(
    ("accept", "content_type", "first"),
    [
        ("", tm.PROMETHEUS_CONTENT_TYPE, "http_requests"),
        ("application/openmetrics-text", OPENMETRICS, "http_requests"),
        (PROMETHEUS_3, f"{OPENMETRICS}; escaping=allow-utf-8", "http.requests"),
    ],
)
def test_a_page_is_what_its_content_type_says(
    counted: tm.Registry, accept: str, content_type: str, first: str, encoding: str
) -> None:
    got = ask(counted, accept=accept, accept_encoding=encoding)
    assert dict(got.headers)["Content-Type"] == content_type
    assert dict(got.headers)["Vary"] == "Accept, Accept-Encoding"
    assert families(got)[0] == first


# name[]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name[]=http_requests_total", ["http_requests"]),
        ("name%5B%5D=http_requests", ["http_requests"]),
        ("name[]=took_seconds_count&name[]=build_info", ["took_seconds", "build_info"]),
        ("name[]=http%2Erequests_total&x=1", ["http_requests"]),
        ("x=y&name[]=%62uild_info&name[]=nobody", ["build_info"]),
        ("name[]=", []),
        ("name[]", []),
        ("name[]=nobody", []),
        ("name[]=%FF%00&name[]=%", []),
        ("name[]=http_requests_total+", []),
    ],
)
def test_a_query_names_the_metrics_that_are_wanted(counted: tm.Registry, query: str, found: list[str]) -> None:
    got = ask(counted, query)
    assert (got.status, families(got)) == (200, found)
    assert len(families(ask(counted, query, accept=PROMETHEUS_3))) == len(found)


# gzip


@pytest.mark.parametrize("size", [0, 1, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 200_000])
def test_a_page_of_any_size_is_one_file_that_gzip_reads(size: int) -> None:
    body = bytes(i * i % 251 for i in range(size))
    compressed = pages._gzipped(body)
    assert gzip.decompress(compressed) == body
    assert compressed[:4] + compressed[4:8] == b"\x1f\x8b\x08\0" + bytes(4)  # no name, no time
    reader = zlib.decompressobj(31)
    reader.decompress(compressed)
    assert reader.eof
    assert reader.unused_data == b""


def test_no_more_than_a_piece_is_compressed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    class Compressor:
        def compress(self, data: memoryview) -> bytes:
            assert isinstance(data, memoryview)  # the body is not copied
            sizes.append(len(data))
            return b""

        def flush(self) -> bytes:
            return b""

    monkeypatch.setattr(zlib, "compressobj", lambda *options: Compressor())
    pages._gzipped(bytes(300_000))
    assert max(sizes) == 64 * 1024
    assert sum(sizes) == 300_000


# Over a socket


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text;version=1.0.0", PROMETHEUS_3])
def test_clients_that_want_different_formats_at_once_each_get_their_own(counted: tm.Registry, accept: str) -> None:
    target = "/metrics?name[]=build_info"
    with serve(0, registry=counted) as server, ExitStack() as open_ones:
        clients = {one: open_ones.enter_context(Client(server)) for one in ("", "application/openmetrics-text", accept)}
        for one, client in clients.items():
            client.send(f"GET {target} HTTP/1.1\r\nAccept: {one}\r\nAccept: x/y;q=0.1\r\n\r\n".encode())
        for one, client in clients.items():
            response = client.read()
            assert response.fields["content-type"] == dict(ask(counted, accept=one).headers)["Content-Type"]
            assert response.body == ask(counted, "name[]=build_info", accept=one).body
        clients[accept].send(f"HEAD {target} HTTP/1.1\r\nAccept: {accept}\r\n\r\n".encode())
        head = clients[accept].read(body=False)
        assert (head.status, int(head.fields["content-length"])) == (200, len(response.body))


PIECES = st.sampled_from(
    ["gzip", "q=", "0.5", ",", ";", "=", "*", "*/*", " ", "\t", "é", "\xff", "\x01", "%", "%5B%5D", "[]", "&", "name", "+", "?",
     "text/plain", "application/openmetrics-text", "version=1.0.0", "escaping=", "allow-utf-8", "identity", '"',
     "http_requests", "/"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=12).map("".join) | st.text(st.characters(codec="latin-1"), max_size=20)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(accept=TEXTS, encoding=TEXTS, query=TEXTS)
def test_whatever_a_client_asks_for_it_gets_a_page_that_it_can_read(
    counted: tm.Registry, accept: str, encoding: str, query: str
) -> None:
    got = ask(counted, query, accept=accept, accept_encoding=encoding)
    assert got.status == 200
    assert set(families(got)) <= {"http_requests", "http.requests", "took_seconds", "build", "build_info", "tallymark_series",
                                  "http_dot_requests", "U__http_2e_requests"}  # fmt: skip
    assert all(name.isascii() and value.isascii() and value.isprintable() for name, value in got.headers)
    assert variant(PageRequest("GET", "/metrics", query, {"accept": accept, "accept-encoding": encoding})) is not None
