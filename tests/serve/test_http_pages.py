"""The pages: a request and a registry make a status, headers and a body. No socket is near."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Mapping
from typing import Any

import pytest

import tallymark as tm
from tallymark.export import PROTOBUF_CONTENT_TYPE, render_protobuf
from tallymark.export.prometheus import CONTENT_TYPE
from tallymark.serve.dashboard import dashboard
from tallymark.serve.pages import ROUTES, Page, PageRequest, error_page, page, variant

NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
TEXT = (("Content-Type", "text/plain; charset=utf-8"), NO_SNIFFING)
METRICS = (("Content-Type", CONTENT_TYPE), NO_SNIFFING, ("Vary", "Accept, Accept-Encoding"))
PATHS = ["/", "/metrics", "/metrics/", "/healthz"]
BROWSERS = [
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange",
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "text/html", "text/html;charset=utf-8", "text/html, */*;q=0.1", "TEXT/HTML",
]  # fmt: skip
SCRAPERS = [
    "", "*/*", "text/plain", "application/json", "text/html;q=0, */*", "text/html;q=0.5,text/plain", "text/*, text/html",
    "nonsense", "text/html, */*",
    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",  # Prometheus 2
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;q=0.4,*/*;q=0.2",
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;q=0.3",
    "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",  # Java's HttpURLConnection, until version 20
    "text/html, image/gif, image/jpeg, */*; q=0.2",  # and from there on
]  # fmt: skip
"""What scrapers send, and other programs: `curl`, `requests`, Java."""


def get(registry: tm.Registry, path: str, method: str = "GET", query: str = "", **headers: str) -> Page:
    return page(PageRequest(method, path, query, {name.replace("_", "-"): value for name, value in headers.items()}), registry)


@pytest.fixture
def counted(registry: tm.Registry) -> tm.Registry:
    registry.counter("requests").inc(3, route="/")
    return registry


def test_there_are_these_routes() -> None:
    assert list(ROUTES) == ["/", "/live", "/metrics", "/metrics/", "/healthz"]


@pytest.mark.parametrize("path", ["/metrics", "/metrics/"])
def test_metrics_are_rendered_from_the_registry_at_that_moment(counted: tm.Registry, path: str) -> None:
    assert get(counted, path) == Page(200, METRICS, tm.render_prometheus(counted.snapshot()))
    counted.counter("requests").inc(4, route="/")
    assert b'requests_total{route="/"} 7.0\n' in get(counted, path).body


@pytest.mark.parametrize("accept", BROWSERS + SCRAPERS)
def test_health_says_ok_and_the_live_page_is_at_the_root_whoever_asks(counted: tm.Registry, accept: str) -> None:
    assert get(counted, "/healthz", accept=accept) == Page(200, TEXT, b"ok\n")
    assert get(counted, "/", accept=accept) == dashboard("events")


# Below a prefix


def below(registry: tm.Registry, path: str, accept: str, prefix: str = "/a/metrics") -> Page:
    return page(PageRequest("GET", path, "", {"accept": accept}, prefix, "poll"), registry)


@pytest.mark.parametrize("accept", BROWSERS)
def test_a_browser_finds_the_live_page_at_the_prefix(counted: tm.Registry, accept: str) -> None:
    found = below(counted, "/", accept)
    assert (found.status, found.body) == (200, dashboard("poll").body)
    assert found.headers == (*dashboard("poll").headers, ("Vary", "Accept"))
    assert variant(PageRequest("GET", "/", "", {"accept": accept}, "/m")) is None


@pytest.mark.parametrize("path", ["", "/"])
@pytest.mark.parametrize("accept", SCRAPERS)
def test_nothing_that_scrapes_gets_html_at_the_prefix(counted: tm.Registry, path: str, accept: str) -> None:
    assert below(counted, path, accept) == get(counted, "/metrics", accept=accept)
    request = PageRequest("GET", path, "", {"accept": accept}, "/m")
    assert variant(request) == variant(PageRequest("GET", "/metrics", "", {"accept": accept}))


@pytest.mark.parametrize(
    ("prefix", "target"),
    [("/metrics", "./metrics/"), ("/a/b", "./b/"), ("/a:b", "./a%3Ab/"), ("/x\r\ny", "./x%0D%0Ay/"), ("/\udc80", "./%3F/")],
)
def test_a_browser_is_led_to_where_the_page_finds_its_feed(counted: tm.Registry, prefix: str, target: str) -> None:
    found = below(counted, "", BROWSERS[0], prefix)
    assert found.status == 307
    assert {"Location": target, "Vary": "Accept"}.items() <= dict(found.headers).items()


@pytest.mark.parametrize("path", PATHS)
def test_head_is_the_page_of_get_whose_body_the_server_leaves_out(counted: tm.Registry, path: str) -> None:
    assert get(counted, path, "HEAD") == get(counted, path)


@pytest.mark.parametrize("path", PATHS)
def test_a_query_that_names_no_metric_changes_nothing(counted: tm.Registry, path: str) -> None:
    for query in ("name=requests&x", "&&=", "x[]=a", "%", "name[=a"):
        assert get(counted, path, query=query) == get(counted, path)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "get", "Head", "", "GET "])
@pytest.mark.parametrize("path", [*PATHS, "/nowhere"])
def test_other_methods_are_not_allowed(counted: tm.Registry, path: str, method: str) -> None:
    assert get(counted, path, method) == Page(405, (*TEXT, ("Allow", "GET, HEAD")), b"405 Method Not Allowed\n")


@pytest.mark.parametrize(
    "path", ["/nowhere", "/metrics/x", "/METRICS", "//metrics", "/metrics ", "", "*", "/<script>", "/\udc80", "/healthz/"]
)
def test_another_path_is_not_found_and_is_not_repeated(counted: tm.Registry, path: str) -> None:
    assert get(counted, path) == get(counted, path, "HEAD") == Page(404, TEXT, b"404 Not Found\n")


@pytest.mark.parametrize(("status", "text"), [(400, b"400 Bad Request\n"), (431, b"431 Request Header Fields Too Large\n")])
def test_an_error_has_a_page(status: int, text: bytes) -> None:
    assert error_page(status, ("A", "b")) == Page(status, (*TEXT, ("A", "b")), text)


# gzip


@pytest.mark.parametrize(
    "accepts",
    [
        "gzip", "GZIP", "x-gzip", "*", "gzip, deflate, br", "deflate;q=0.5, gzip;q=1.0", "gzip;q=0.001", "gzip ; q=1",
        "gzip;q=1.000",
        "identity;q=0.5, gzip", "identity, gzip", "*;q=0.1", "br,gzip", " gzip ", "gzip;q=0,gzip", "gzip;q=0.5",
    ],
)  # fmt: skip
def test_gzip_is_sent_where_it_is_asked_for(counted: tm.Registry, accepts: str) -> None:
    wanted = tm.render_prometheus(counted.snapshot())
    got = get(counted, "/metrics", accept_encoding=accepts)
    assert (got.status, got.headers) == (200, (*METRICS, ("Content-Encoding", "gzip")))
    assert gzip.decompress(got.body) == wanted
    assert got.body[4:8] == bytes(4)  # no time is in it


@pytest.mark.parametrize(
    "accepts",
    [
        "", "identity", "deflate, br", "gzip;q=0", "gzip;q=0.000", "identity;q=0", "gzip;q=0.5, identity", "*;q=0",
        "gzip;q=0, *",
        "gzip;q=2", "gzip;q=-1", "gzip;q=0.0001", "gzip;q=x", "gzip;q=", "gzip;level=9", "gzip;q=1;q=1", "gzipped", "g zip",
        ";", ",,",
        "identity;q=1, gzip;q=0.9", "x" * 10_000, "gzip;q=1e0", "gzip;q=١",
    ],
)  # fmt: skip
def test_plain_text_is_sent_where_gzip_is_not_asked_for(counted: tm.Registry, accepts: str) -> None:
    got = get(counted, "/metrics", accept_encoding=accepts)
    assert got == Page(200, METRICS, tm.render_prometheus(counted.snapshot()))


@pytest.mark.parametrize("path", ["/", "/healthz", "/nowhere"])
def test_small_pages_are_plain_whoever_asks(counted: tm.Registry, path: str) -> None:
    assert get(counted, path, accept_encoding="gzip") == get(counted, path)


# Failures


@pytest.mark.parametrize("error", [RuntimeError("secret"), MemoryError("secret")], ids=repr)
def test_a_failure_is_logged_and_the_client_is_told_no_more_than_that(
    registry: tm.Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    def fail() -> Any:
        raise error

    monkeypatch.setattr(registry, "snapshot", fail)
    with caplog.at_level(logging.ERROR, logger="tallymark"):
        assert get(registry, "/metrics") == Page(500, TEXT, b"500 Internal Server Error\n")
    [record] = caplog.records
    assert record.getMessage().startswith("the metrics endpoint could not render a page")
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert get(registry, "/healthz").status == 200


def test_a_failure_is_logged_once_until_a_page_could_be_made(
    registry: tm.Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> Any:
        raise RuntimeError(next(reasons))

    reasons = iter(["a", "a", "b", "b", "b"])
    with caplog.at_level(logging.ERROR, logger="tallymark"):
        for times in (3, 2):
            with monkeypatch.context() as failing:
                failing.setattr(registry, "snapshot", fail)
                statuses = [get(registry, "/metrics").status for _ in range(times)]
            assert set(statuses) == {500}
            assert get(registry, "/metrics").status == 200
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["a", "b", "b"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()], ids=repr)
def test_what_is_meant_for_the_thread_is_not_swallowed(
    registry: tm.Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    def interrupt() -> Any:
        raise error

    monkeypatch.setattr(registry, "snapshot", interrupt)
    with pytest.raises(type(error)):
        get(registry, "/metrics")
    assert caplog.records == []


# Variants


def kind(path: str = "/metrics", method: str = "GET", encoding: str = "", accept: str = "", query: str = "") -> str | None:
    return variant(PageRequest(method, path, query, {"accept-encoding": encoding, "accept": accept}))


@pytest.mark.parametrize("path", ["/metrics", "/metrics/"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_requests_of_one_variant_have_one_page(path: str, method: str) -> None:
    assert kind(path, method) == kind(encoding="br") == kind(accept="text/html, */*") == kind(query="x=1")
    assert kind(path, method, "gzip") == kind(encoding="*;q=0.1") != kind()
    assert kind(query="name[]=a&name[]=b") == kind(query="name%5B%5D=b&x&name[]=a&name[]=b")
    assert kind(accept="application/openmetrics-text") == kind(accept="application/openmetrics-text;version=1.0.0, */*;q=0.1")


def test_requests_that_have_different_pages_are_of_different_variants() -> None:
    accepts = ["", "text/plain;version=1.0.0", "text/plain;version=1.0.0;escaping=dots"]
    accepts += [f"application/openmetrics-text;version={rest}" for rest in ("0.0.1", "1.0.0", "1.0.0;escaping=allow-utf-8")]
    queries = ["", "name[]=", "name[]=a", "name[]=b", "name[]=a&name[]=b", "name[]=a%27,%20%27b"]
    kinds = {kind(encoding=one, accept=accept, query=query) for one in ("", "gzip") for accept in accepts for query in queries}
    assert len(kinds) == 2 * len(accepts) * len(queries)


@pytest.mark.parametrize(("path", "method"), [("/", "GET"), ("/healthz", "GET"), ("/nowhere", "GET"), ("/metrics", "POST")])
def test_what_does_not_read_the_registry_is_of_no_variant(path: str, method: str) -> None:
    assert kind(path, method) is None


def test_headers_may_be_any_mapping(counted: tm.Registry) -> None:
    class Headers(Mapping[str, str]):
        def __getitem__(self, name: str) -> str:
            return {"accept-encoding": "gzip"}[name]

        def __iter__(self) -> Any:
            return iter(["accept-encoding"])

        def __len__(self) -> int:
            return 1

    assert ("Content-Encoding", "gzip") in page(PageRequest("GET", "/metrics", "", Headers()), counted).headers


def test_requests_and_pages_are_values() -> None:
    request = PageRequest("GET", "/", "", {})
    assert request == PageRequest("GET", "/", "", {})
    for one, name in ((request, "path"), (error_page(404), "status")):
        with pytest.raises(AttributeError):
            setattr(one, name, "x")


class Fixed:
    """A registry whose snapshot is always the same."""

    def __init__(self, snapshot: tm.Snapshot) -> None:
        self.snapshot = lambda: snapshot


@pytest.mark.parametrize(
    ("query", "classic"),
    [
        ("", False),
        ("classic_histograms=true", True),
        ("a=b&classic%5Fhistograms=true", True),
        ("name[]=n&classic_histograms=true", True),
        ("classic_histograms=false", False),
        ("classic_histograms", False),
    ],
)
def test_classic_buckets_beside_native_ones_come_on_request(query: str, classic: bool) -> None:
    one = (1.0,)
    data = tm.ExponentialHistogramData((tm.TagSet(),), one, (0,), (0,), ((0, (1,)),), ((0, ()),), one, one, one)
    registry: Any = Fixed(tm.Snapshot((tm.FamilySnapshot("n", "histogram", "", "", data),), 0.0))
    accept = PROTOBUF_CONTENT_TYPE.replace(" ", "")
    got = get(registry, "/metrics", query=query, accept=accept)
    assert ("Content-Type", PROTOBUF_CONTENT_TYPE) in got.headers
    assert got.body == render_protobuf(registry.snapshot(), classic=classic)
    asked, plain = (variant(PageRequest("GET", "/metrics", each, {"accept": accept})) for each in (query, ""))
    assert (asked != plain) == classic
