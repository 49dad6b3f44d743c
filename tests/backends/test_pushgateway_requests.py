"""`Pushgateway`: what it sends over HTTP, and what it makes of the answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pushgateway_server import messages
from receiving_server import ReceivingServer, receiving

import tallymark as tm
from tallymark.backends import Pushgateway
from tallymark.client.deadline import Deadline
from tallymark.export import protobuf
from tallymark.report.errors import ReportError, SendError

URL = "http://127.0.0.1:9091"


@pytest.fixture
def server() -> Iterator[ReceivingServer]:
    with receiving() as server:
        yield server


@pytest.fixture
def text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has installed the package protobuf."""
    monkeypatch.setattr(protobuf, "available", lambda: False)


def report(backend: Pushgateway, registry: tm.Registry) -> int:
    try:
        return backend.send(list(backend.encode(backend.select(registry.snapshot()), 0.0)), Deadline(5, time.monotonic))
    finally:
        backend.close()


def samples(server: ReceivingServer) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(server.sent[-1].body.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("url", "job", "grouping", "path"),
    [
        (URL, "nightly", {}, "/metrics/job/nightly"),
        (f"{URL}/", "nightly", {}, "/metrics/job/nightly"),
        (f"{URL}/push/gateway/", "nightly", {}, "/push/gateway/metrics/job/nightly"),
        ("127.0.0.1:9091", "nightly", {}, "/metrics/job/nightly"),
        (URL, "back up", {"instance": "a+b"}, "/metrics/job/back%20up/instance/a%2Bb"),
        (URL, "a/b", {"path": "/var/tmp"}, "/metrics/job@base64/YS9i/path@base64/L3Zhci90bXA="),  # the server's own example
        (URL, "j", {"empty": ""}, "/metrics/job/j/empty@base64/="),
        (URL, "j", {"a": ".", "b": ".."}, "/metrics/job/j/a@base64/Lg==/b@base64/Li4="),
        (
            URL,
            "Προμηθεύς",
            {"x": "\ud800?#%\n"},
            "/metrics/job/%CE%A0%CF%81%CE%BF%CE%BC%CE%B7%CE%B8%CE%B5%CF%8D%CF%82/x/%3F%3F%23%25%0A",
        ),
        (URL, "j", {"x": "…/ü>?"}, "/metrics/job/j/x@base64/4oCmL8O8Pj8="),
    ],
)
def test_a_group_has_its_path(url: str, job: str, grouping: dict[str, str], path: str) -> None:
    backend = Pushgateway(url, job=job, grouping=grouping)
    assert backend.address == f"{URL}{path}"
    assert backend.keeps == "latest"


@pytest.mark.parametrize(("method", "verb"), [("push", "PUT"), ("add", "POST")])
@pytest.mark.usefixtures("text")
def test_a_report_is_one_request_of_text(server: ReceivingServer, registry: tm.Registry, method: Any, verb: str) -> None:
    registry.counter("rows").inc(3, table="a")
    registry.histogram("spread", exponential=True).observe(3)
    backend = Pushgateway(server.url, job="nightly", method=method, auth="token", prefix="etl_", tags={"env": "prod"})
    size = report(backend, registry)
    (sent,) = server.sent
    assert (sent.method, sent.path, len(sent.body)) == (verb, "/metrics/job/nightly", size)
    assert sent.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert sent.headers["Authorization"] == "Bearer token"
    assert samples(server)["etl_rows_total", frozenset({("table", "a"), ("env", "prod")})] == 3.0
    assert samples(server)["etl_spread_count", frozenset({("env", "prod")})] == 1.0


def test_with_protobuf_exponential_histograms_are_native_and_have_classic_buckets_too(
    server: ReceivingServer, registry: tm.Registry
) -> None:
    registry.histogram("spread", exponential=True).observe(3)
    report(Pushgateway(server.url, job="nightly", include=["spread"]), registry)
    (sent,) = server.sent
    assert sent.headers["Content-Type"] == protobuf.CONTENT_TYPE
    (family,) = messages(sent.body)
    histogram = family.metric[0].histogram
    assert (family.name, histogram.schema, list(histogram.positive_delta)) == ("spread", 8, [1])
    assert histogram.bucket[-1].cumulative_count == 1


def test_the_servers_words_are_in_the_error(server: ReceivingServer, registry: tm.Registry) -> None:
    registry.counter("c").inc()
    server.answers.append((400, {}, b"pushed metrics are invalid or inconsistent with existing metrics: ..."))
    with pytest.raises(SendError, match="invalid or inconsistent with existing metrics") as caught:
        report(Pushgateway(server.url, job="j"), registry)
    assert not caught.value.again
    server.answers.append((500, {}, b""))
    with pytest.raises(SendError) as caught:
        report(Pushgateway(server.url, job="j"), registry)
    assert caught.value.again


def test_a_group_can_be_deleted(server: ReceivingServer) -> None:
    backend = Pushgateway(server.url, job="nightly", grouping={"instance": "a"}, auth=("user", "password"))
    backend.delete()
    (sent,) = server.sent
    assert (sent.method, sent.path, sent.body) == ("DELETE", "/metrics/job/nightly/instance/a", b"")
    assert sent.headers["Authorization"].startswith("Basic ")
    server.answers.append((403, {}, b"admin API is off"))
    with pytest.raises(ReportError, match=r"the group was not deleted: .*admin API is off"):
        backend.delete()


def test_a_group_of_nobody_cannot_be_deleted() -> None:
    with receiving() as server:
        backend = Pushgateway(server.url, job="nightly")
    with pytest.raises(ReportError, match="nobody listens there"):
        backend.delete(timeout=1.0)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"job": ""}, ValueError, "job must not be empty"),
        ({"job": 7}, TypeError, "job"),
        ({"job": "j", "grouping": [("a", "b")]}, TypeError, "not list"),
        ({"job": "j", "grouping": {"a": 1}}, TypeError, "'a' in grouping"),
        ({"job": "j", "grouping": {1: "a"}}, TypeError, "each name of grouping"),
        ({"job": "j", "grouping": {"a-b": "c"}}, ValueError, "'a-b'"),
        ({"job": "j", "grouping": {"__a": "c"}}, ValueError, "'__a'"),
        ({"job": "j", "grouping": {"job": "c"}}, ValueError, "job="),
        ({"job": "j", "method": "delete"}, ValueError, r"call delete\(\)"),
        ({"job": "j", "url": f"{URL}/?a=b"}, ValueError, "no query"),
        ({"job": "j", "url": "nonsense"}, ValueError, "http://"),
    ],
)
def test_settings_that_cannot_be_meant_are_errors_at_once(settings: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Pushgateway(settings.pop("url", URL), **settings)


def test_nothing_secret_is_shown() -> None:
    assert "s3cret" not in repr(Pushgateway("http://user:s3cret@127.0.0.1:9091", job="j"))
