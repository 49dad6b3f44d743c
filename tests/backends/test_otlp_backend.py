"""OTLP against a server that receives it, over HTTP and over gRPC: what arrives is what was recorded."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import trustme
from otlp_server import Received, attributes_of, grpc_receiver, http_receiver

import tallymark as tm
from everything import everything
from tallymark.backends import OTLP
from tallymark.client.deadline import Deadline
from tallymark.export.otlp import parts, request
from tallymark.metric.data import ExponentialHistogramData, HistogramData, SumData, SummaryData
from tallymark.metric.snapshot import Snapshot
from tallymark.report.errors import SendError

Receiver = Callable[..., AbstractContextManager[Received]]
PROTOCOLS: list[Any] = ["http/protobuf", pytest.param("grpc", marks=pytest.mark.slow)]


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def receiver(protocol: str) -> Receiver:
    return grpc_receiver if protocol == "grpc" else http_receiver


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what the environment of the tests may have."""
    import os

    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


def soon(seconds: float = 10.0) -> Deadline:
    return Deadline(seconds, time.monotonic)


def url_of(received: Received, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{received.port}"


class Reports:
    """Reports of one registry, sent as a reporter sends them: what did not arrive is sent again, before what is newer."""

    def __init__(self, backend: OTLP, registry: tm.Registry) -> None:
        self.backend = backend
        self.registry = registry
        self.waiting: list[list[bytes]] = []
        self.before: tm.Snapshot | None = None

    def report(self) -> bool:
        """Take a snapshot, and send what waits; return True if all of it arrived."""
        now = self.registry.snapshot()
        told, since = now, 0.0
        if self.backend.temporality == "delta" and self.before is not None:
            told, since = increase(self.before, now), self.before.time
        if self.backend.keeps == "latest":
            self.waiting.clear()
        self.waiting.append(list(self.backend.encode(told, since)))
        self.before = now
        with contextlib.suppress(SendError):
            while self.waiting:
                self.backend.send(self.waiting[0], soon())
                del self.waiting[0]
        return not self.waiting


def increase(before: tm.Snapshot, after: tm.Snapshot) -> tm.Snapshot:
    """Return what was added to what only grows, and all else as it is."""
    added = {one.name: one for one in tm.delta(before, after).families}
    return Snapshot(tuple([added[one.name] if grows(one.data) else one for one in after.families]), after.time)


def grows(data: Any) -> bool:
    return isinstance(data, HistogramData | ExponentialHistogramData | SummaryData) or (
        isinstance(data, SumData) and data.monotonic
    )


@pytest.fixture
def backend(protocol: Any, receiver: Receiver) -> Iterator[tuple[OTLP, Received]]:
    with receiver() as received:
        made = OTLP(url_of(received), protocol=protocol, resource={"service.name": "shop", "n": 3, "on": True, "share": 0.5})
        yield made, received
        made.close()


def test_everything_arrives_as_it_was_encoded(backend: tuple[OTLP, Received]) -> None:
    otlp, received = backend
    sent = otlp.send(list(otlp.encode(everything(), 0.0)), soon())
    expected = request(list(parts(everything())), {}, tm.__version__)
    (arrived,) = received.requests
    assert sent > len(expected)
    ((scope,),) = [one.scope_metrics for one in arrived.resource_metrics]
    assert (scope.scope.name, scope.scope.version) == ("tallymark", tm.__version__)
    wanted = type(arrived).FromString(expected).resource_metrics[0].scope_metrics[0].metrics
    # As bytes: NaN differs from itself.
    assert [one.SerializeToString() for one in scope.metrics] == [one.SerializeToString() for one in wanted]


def test_the_resource_tells_who_reports(backend: tuple[OTLP, Received]) -> None:
    otlp, received = backend
    otlp.send(list(otlp.encode(everything(), 0.0)), soon())
    found = received.resource()
    assert found["service.name"] == "shop"
    assert (found["n"], found["on"], found["share"]) == (3, True, 0.5)
    assert found["host.name"] == "vm"  # the tag of target_info
    assert (found["telemetry.sdk.name"], found["telemetry.sdk.language"]) == ("tallymark", "python")
    assert found["telemetry.sdk.version"] == tm.__version__
    assert len(found["service.instance.id"]) == 36
    otlp.send(list(otlp.encode(Snapshot((), 1.0), 0.0)), soon())
    assert received.resource()["service.instance.id"] == found["service.instance.id"]


def test_all_kinds_of_a_registry_arrive(backend: tuple[OTLP, Received]) -> None:
    otlp, received = backend
    registry = tm.Registry(tags={"region": "eu"})
    trace = {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"}
    registry.counter("http.requests", unit="bytes", description="Sent.").inc(2.5, route="/", exemplar=trace)
    registry.gauge("queue").set(-3)
    registry.timer("took", buckets=[1.0]).record(0.5, exemplar=trace)
    registry.histogram("size", exponential=True).observe(3, exemplar=trace)
    registry.info("build", {"version": "1"})
    registry.state("worker", ["on", "off"]).set("on")
    assert Reports(otlp, registry).report()
    found = received.metrics()
    (point,) = found["http.requests"].sum.data_points
    assert (point.as_double, attributes_of(point.attributes)) == (2.5, {"region": "eu", "route": "/"})
    assert (found["http.requests"].unit, found["http.requests"].description) == ("By", "Sent.")
    assert (point.exemplars[0].trace_id.hex(), point.exemplars[0].span_id.hex()) == (trace["trace_id"], trace["span_id"])
    assert found["queue"].gauge.data_points[0].as_double == -3
    took = found["took"].histogram.data_points[0]
    assert (found["took"].unit, took.count, list(took.bucket_counts), took.exemplars[0].as_double) == ("s", 1, [1, 0], 0.5)
    size = found["size"].exponential_histogram.data_points[0]
    assert (size.count, size.sum, sum(size.positive.bucket_counts), size.exemplars[0].as_double) == (1, 3.0, 1, 3.0)
    assert attributes_of(found["build_info"].sum.data_points[0].attributes) == {"region": "eu", "version": "1"}
    states = {attributes_of(one.attributes)["state"]: one.as_double for one in found["worker"].sum.data_points}
    assert states == {"on": 1.0, "off": 0.0}


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_totals_are_right_when_a_server_was_killed_and_started_again(
    protocol: Any, receiver: Receiver, temporality: Any
) -> None:
    registry = tm.Registry(self_metrics=False)
    counter, timer = registry.counter("c"), registry.timer("t")

    def record() -> None:
        counter.inc(2, at="a")
        timer.record(0.5)

    with receiver() as received:
        otlp = OTLP(url_of(received), protocol=protocol, temporality=temporality)
        reports = Reports(otlp, registry)
        record()
        assert reports.report()
        record()
        assert reports.report()
    for _ in range(3):
        record()
        assert not reports.report()
    counter.inc(1, at="b")
    with receiver(received.port, received):
        assert reports.report()
    otlp.close()
    expected = {("c", (("at", "a"),)): 10.0, ("c", (("at", "b"),)): 1.0, ("t", ()): 5.0}
    assert received.totals() == expected


def test_a_request_has_its_headers_and_its_credentials(protocol: Any, receiver: Receiver) -> None:
    with receiver() as received:
        address = f"http://user:pass%20word@127.0.0.1:{received.port}"
        otlp = OTLP(address, protocol=protocol, headers={"X-Scope": "team"}, compression="gzip")
        otlp.send(list(otlp.encode(everything(), 0.0)), soon())
        otlp.close()
        assert received.headers[0]["authorization"] == "Basic dXNlcjpwYXNzIHdvcmQ="
        assert received.headers[0]["x-scope"] == "team"
        assert "pass" not in f"{otlp!r}{otlp.address}"
        for auth, expected in (("t0ken", "Bearer t0ken"), (("user", "x"), "Basic dXNlcjp4")):
            otlp = OTLP(url_of(received), protocol=protocol, auth=auth)
            otlp.send(list(otlp.encode(everything(), 0.0)), soon())
            otlp.close()
            assert received.headers[-1]["authorization"] == expected


def test_over_http_a_request_may_be_compressed_and_goes_to_the_path_of_the_url() -> None:
    with http_receiver() as received:
        sent = []
        for compression in ("none", "gzip"):
            otlp = OTLP(f"{url_of(received)}/mine?a=b", compression=compression)  # type: ignore[arg-type]
            sent.append(otlp.send(list(otlp.encode(everything(), 0.0)), soon()))
            otlp.close()
    assert sent == received.bodies
    assert sent[1] < sent[0] * 0.7
    assert received.requests[0].resource_metrics[0].scope_metrics[0].ByteSize() == (
        received.requests[1].resource_metrics[0].scope_metrics[0].ByteSize()
    )
    plain, compressed = received.headers
    assert plain[":path"] == "/mine?a=b"
    assert plain["content-type"] == "application/x-protobuf"
    assert plain["user-agent"] == f"tallymark/{tm.__version__}"
    assert (plain.get("content-encoding"), compressed["content-encoding"]) == (None, "gzip")


def test_one_connection_is_kept() -> None:
    with http_receiver() as received:
        otlp = OTLP(url_of(received))
        for _ in range(3):
            otlp.send(list(otlp.encode(everything(), 0.0)), soon())
        assert len(received.requests) == 3
        assert received.connections == 1
        otlp.close()


@pytest.mark.slow
def test_a_certificate_can_be_trusted_and_another_one_shown(
    protocol: Any, receiver: Receiver, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    own, server = authority.issue_cert("client@example.org"), authority.issue_cert("127.0.0.1", "localhost")
    names = {"certificate": authority.cert_pem, "client_key": own.private_key_pem, "client_certificate": own.cert_chain_pems[0]}
    files = {name: str(tmp_path / name) for name in names}
    for name, pem in names.items():
        pem.write_to_path(files[name])
    with secure(receiver, authority, server) as received:
        otlp = OTLP(url_of(received, "https"), protocol=protocol, **files)  # type: ignore[arg-type]
        otlp.send(list(otlp.encode(everything(), 0.0)), soon())
        otlp.close()
        for name, path in files.items():
            monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name.upper()}", path)
        otlp = OTLP(url_of(received, "https"), protocol=protocol)
        otlp.send(list(otlp.encode(everything(), 0.0)), soon())
        otlp.close()
        for name in files:
            monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name.upper()}")
        with pytest.raises(SendError) as caught:
            OTLP(url_of(received, "https"), protocol=protocol).send(list(otlp.encode(everything(), 0.0)), soon())
        assert caught.value.again
        assert len(received.requests) == 2


@contextlib.contextmanager
def secure(receiver: Receiver, authority: Any, server: Any) -> Iterator[Received]:
    """Receive with TLS, from those who have a certificate of the authority."""
    import ssl

    if receiver is http_receiver:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.configure_cert(context)
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        with http_receiver(tls=context) as received:
            yield received
        return
    import grpc

    pair = server.private_key_pem.bytes(), server.cert_chain_pems[0].bytes()
    credentials = grpc.ssl_server_credentials([pair], authority.cert_pem.bytes(), require_client_auth=True)
    with grpc_receiver(credentials=credentials) as received:
        yield received
