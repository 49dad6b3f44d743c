"""`RemoteWrite`: what it sends over HTTP, and what it makes of the answers."""

from __future__ import annotations

import gc
import sys
import time
import weakref
from collections.abc import Iterator
from typing import Any

import cramjam
import pytest
from receiving_server import ReceivingServer, receiving

import tallymark as tm
from remote_write_messages import WriteRequest, ended, values
from tallymark.backends import RemoteWrite
from tallymark.client.deadline import Deadline
from tallymark.frozen import replace
from tallymark.report.errors import SendError, TooLargeError


@pytest.fixture
def server() -> Iterator[ReceivingServer]:
    with receiving() as server:
        yield server


def report(backend: RemoteWrite, registry: tm.Registry) -> int:
    try:
        return backend.send(list(backend.encode(backend.select(registry.snapshot()), 0.0)), Deadline(5, time.monotonic))
    finally:
        backend.close()


def received(server: ReceivingServer) -> Any:
    return WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(server.sent[-1].body)))


def test_a_report_is_a_request_as_the_specification_has_it(server: ReceivingServer, registry: tm.Registry) -> None:
    registry.counter("requests").inc(2, route="/")
    backend = RemoteWrite(f"{server.url}/api/v1/write?x=1", headers={"X-Scope-OrgID": "team"}, auth=("user", "password"))
    size = report(backend, registry)
    (sent,) = server.sent
    assert (sent.method, sent.path, len(sent.body)) == ("POST", "/api/v1/write?x=1", size)
    assert sent.headers["Content-Encoding"] == "snappy"
    assert sent.headers["Content-Type"] == "application/x-protobuf"
    assert sent.headers["X-Prometheus-Remote-Write-Version"] == "0.1.0"
    assert sent.headers["User-Agent"].startswith("tallymark/")
    assert sent.headers["X-Scope-OrgID"] == "team"
    assert sent.headers["Authorization"] == "Basic dXNlcjpwYXNzd29yZA=="
    assert values(received(server))["requests_total", frozenset({("route", "/")})] == 2.0


def test_settings_that_all_backends_have(server: ReceivingServer, registry: tm.Registry) -> None:
    registry.counter("a.requests").inc(env="test")
    registry.counter("a.other").inc()
    registry.gauge("depth").set(1)
    backend = RemoteWrite(
        server.url, prefix="shop.", include=["a.*", "depth"], exclude=["*.other"], tags={"env": "prod", "job": "j"}
    )
    report(backend, registry)
    assert values(received(server)) == {
        ("shop_a_requests_total", frozenset({("env", "test"), ("job", "j")})): 1.0,
        ("shop_depth", frozenset({("env", "prod"), ("job", "j")})): 1.0,
    }


def test_a_series_that_was_removed_is_said_to_have_ended_once(server: ReceivingServer, registry: tm.Registry) -> None:
    requests = registry.counter("requests")
    requests.inc(route="a")
    backend = RemoteWrite(server.url)
    report(backend, registry)
    requests.with_tags(route="a").remove()
    report(backend, registry)
    assert ("requests_total", frozenset({("route", "a")})) in ended(received(server))
    report(backend, registry)
    assert ended(received(server)) == set()


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([50.0, 50.0, 50.0002, 50.001], [50_000, 50_001, 50_002, 50_003]),
        ([50.0, 49.5], [50_000, 50_001]),
        ([50.0, 40.0, 41.0], [50_000, 40_000, 41_000]),
        ([1_700_000_000.4996, 1_700_000_000.4999], [1_700_000_000_500, 1_700_000_000_501]),
    ],
)
def test_each_report_is_later_than_the_one_before_unless_the_clock_was_set_back(
    times: list[float], expected: list[int]
) -> None:
    registry = tm.Registry(self_metrics=False)
    registry.counter("c").inc()
    backend = RemoteWrite("http://127.0.0.1:9090/api/v1/write")
    found = [b"".join(backend.encode(replace(registry.snapshot(), time=time), 0.0)) for time in times]
    assert [WriteRequest.FromString(one).timeseries[0].samples[0].timestamp for one in found] == expected


@pytest.mark.parametrize(
    ("status", "headers", "again", "after"),
    [
        (400, {}, False, 0.0),
        (401, {}, False, 0.0),
        (404, {}, False, 0.0),
        (409, {}, False, 0.0),
        (415, {}, False, 0.0),
        (301, {"Location": "http://elsewhere/"}, False, 0.0),
        (429, {}, True, 0.0),
        (429, {"Retry-After": "7"}, True, 7.0),
        (500, {}, True, 0.0),
        (503, {"Retry-After": "3"}, True, 3.0),
    ],
)
def test_only_what_may_succeed_later_is_to_be_sent_again(
    server: ReceivingServer, registry: tm.Registry, status: int, headers: dict[str, str], again: bool, after: float
) -> None:
    registry.counter("c").inc()
    server.answers.append((status, headers, b"out of order sample\n"))
    with pytest.raises(SendError, match="out of order sample") as caught:
        report(RemoteWrite(server.url, auth="s3cret"), registry)
    assert (caught.value.again, caught.value.after) == (again, after)
    assert "s3cret" not in str(caught.value)


def test_a_request_that_is_too_large_is_said_to_be(server: ReceivingServer, registry: tm.Registry) -> None:
    registry.counter("c").inc()
    server.answers.append((413, {}, b"too large"))
    with pytest.raises(TooLargeError):
        report(RemoteWrite(server.url), registry)


def test_a_server_that_is_not_there_may_be_there_later(registry: tm.Registry) -> None:
    registry.counter("c").inc()
    with receiving() as server:
        backend = RemoteWrite(server.url)
    with pytest.raises(SendError, match="nobody listens there") as caught:
        report(backend, registry)
    assert caught.value.again


@pytest.mark.parametrize("status", [400, 500])
def test_a_server_that_has_native_histograms_disabled_gets_classic_buckets_from_then_on(
    server: ReceivingServer, registry: tm.Registry, status: int
) -> None:
    registry.histogram("spread", exponential=True).observe(3)
    backend = RemoteWrite(server.url)
    server.answers.append((status, {}, b"native histograms are disabled\n"))
    with pytest.raises(SendError, match="give native_histograms=False, or start Prometheus with --enable-feature") as caught:
        report(backend, registry)
    assert not caught.value.again
    assert any(one.histograms for one in received(server).timeseries)
    report(backend, registry)
    assert {name for name, _ in values(received(server))} >= {"spread_bucket", "spread_sum", "spread_count"}
    assert ended(received(server)) == set()


def test_native_histograms_can_be_left_out(server: ReceivingServer, registry: tm.Registry) -> None:
    registry.histogram("spread", exponential=True).observe(3)
    report(RemoteWrite(server.url, native_histograms=False), registry)
    assert values(received(server))["spread_count", frozenset()] == 1.0


def test_nothing_is_kept_of_series_that_are_gone(registry: tm.Registry) -> None:
    backend = RemoteWrite("http://127.0.0.1:9090/api/v1/write", tags={"env": "prod"})
    requests = registry.counter("requests")
    for i in range(50):
        requests.inc(only_in_this_test=str(i))
    list(backend.encode(registry.snapshot(), 0.0))
    tags = [weakref.ref(series.tags) for series in requests.series() if series.tags]
    assert len(tags) == 50
    for series in list(requests.series()):
        series.remove()
    del series
    for _ in range(2):
        list(backend.encode(registry.snapshot(), 0.0))
    gc.collect()
    assert [one() for one in tags if one() is not None] == []


def test_nothing_secret_is_shown() -> None:
    backend = RemoteWrite("http://user:s3cret@127.0.0.1:9090/api/v1/write")
    assert backend.address == "http://127.0.0.1:9090/api/v1/write"
    assert "s3cret" not in repr(backend)


def test_a_compressor_that_is_missing_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cramjam", None)
    with pytest.raises(ImportError, match=r"pip install 'tallymark\[remote-write\]'"):
        RemoteWrite("http://127.0.0.1:9090/api/v1/write")


@pytest.mark.parametrize(
    ("url", "settings", "error"),
    [
        ("not a url", {}, ValueError),
        (None, {}, TypeError),
        ("http://h/", {"native_histograms": "no"}, TypeError),
        ("http://h/", {"include": "a*"}, TypeError),
        ("http://h/", {"auth": 1}, TypeError),
    ],
)
def test_settings_that_cannot_be_meant_are_errors_at_once(url: Any, settings: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        RemoteWrite(url, **settings)
