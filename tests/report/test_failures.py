"""What a backend may do to its reporter: refuse, reset, hang, answer nonsense. Nothing is lost, and the words are told."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
import trustme
from failing_server import (
    FailingServer,
    answer,
    byte_by_byte,
    failing_server,
    hang_up,
    refusing_port,
    reset,
    say,
    silent_port,
    too_large_above,
)
from http_backend import HTTPBackend, total

import tallymark as tm
from tallymark.backends import InfluxDB, Pushgateway, StatsD
from tallymark.report import delivery


@pytest.fixture(autouse=True)
def short_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallymark.report.rounds.ATTEMPT", 0.3)
    monkeypatch.setattr("tallymark.report.once.ATTEMPT", 0.3)
    assert delivery.ATTEMPT == 5.0


@pytest.fixture
def server() -> Iterator[FailingServer]:
    with failing_server() as running:
        yield running


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

TEMPORARY = {
    "resets": (reset, "closed the connection without an answer"),
    "hangs up": (hang_up, "closed the connection without an answer"),
    "500": (answer("500 Internal Server Error", body=b"disk\nis full"), r"answers 500: disk\\nis full"),
    "503": (answer("503 Service Unavailable"), "answers 503"),
    "429": (answer("429 Too Many Requests"), "answers 429"),
    "408": (answer("408 Request Timeout"), "answers 408"),
    "garbage": (say(b"\x00\xffSSH-2.0-OpenSSH\r\n", keeps=False), "does not answer in HTTP"),
    "huge": (say(b"HTTP/1.1 500 Oh\r\nX: " + b"x" * 2**20, keeps=False), "does not answer in HTTP"),
    "too slow": (byte_by_byte(OK, 0.2), "has not answered in time"),
    "only 1xx": (say(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, keeps=False), "no final answer"),
}


@pytest.mark.parametrize("how", TEMPORARY)
def test_what_fails_for_now_is_sent_again(
    how: str, server: FailingServer, registry: tm.Registry, caplog: pytest.LogCaptureFixture
) -> None:
    behaves, words = TEMPORARY[how]
    jobs = registry.counter("jobs")
    server.behaves = behaves
    with tm.report_to(HTTPBackend(server.url), 60, registry) as reporter:
        jobs.inc(3)
        assert reporter.report() is False
        server.behaves = answer()
        jobs.inc(4)
        assert reporter.flush(60) is True
    assert total(server.taken, "jobs") == 7
    assert re.search(f"reports do not arrive: .*{words}", caplog.text)


FOREVER = {
    "400": (answer("400 Bad Request", body=b"no such measurement"), "answers 400: no such measurement"),
    "401": (answer("401 Unauthorized"), "Are the credentials right?"),
    "404": (answer("404 Not Found"), "Is this its URL?"),
    "302": (answer("302 Found", "Location: http://elsewhere/"), "It redirects to http://elsewhere/; give the URL"),
}


@pytest.mark.parametrize("how", FOREVER)
def test_what_fails_for_ever_is_dropped_and_counted(how: str, server: FailingServer, registry: tm.Registry) -> None:
    behaves, words = FOREVER[how]
    registry.counter("jobs").inc()
    server.behaves = behaves
    with tm.report_to(HTTPBackend(server.url), 60, registry) as reporter:
        assert reporter.report() is False
        server.behaves = answer()
        assert reporter.report() is True
        found = registry.snapshot().find("tallymark_reports", backend="http", outcome="dropped")
        assert found is not None
        assert found.value == 1
    server.behaves = behaves
    registry.counter("jobs").inc()
    with pytest.raises(tm.ReportError) as raised:
        tm.report_once(HTTPBackend(server.url), registry, timeout=60)
    assert words in str(raised.value)
    assert total(server.taken, "jobs") == 0


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [
        ("Retry-After: 40", 40, 41),
        ("Retry-After: {in 1000 seconds}", 990, 1001),
        ("Retry-After: soon", 0, 1),
        ("Retry-After: -5", 0, 1),
        ("Retry-After: 99999999999999999999999", 3600, 3601),
    ],
)
def test_a_backend_that_asks_for_time_gets_it(
    field: str, least: float, most: float, server: FailingServer, registry: tm.Registry
) -> None:
    registry.counter("jobs").inc()
    field = field.replace("{in 1000 seconds}", formatdate(time.time() + 1000, usegmt=True))
    server.behaves = answer("429 Too Many Requests", field)
    with tm.report_to(HTTPBackend(server.url), 60, registry) as reporter:
        assert reporter.report() is False
        member = reporter._member
        assert member.delivery is not None
        assert least - 10 <= member.delivery.next_try - time.monotonic() <= most
        server.behaves = answer()


def test_what_is_too_large_is_split(server: FailingServer, registry: tm.Registry) -> None:
    for number in range(100):
        registry.counter(f"jobs_{number}").inc(number)
    server.behaves = too_large_above(300)
    with tm.report_to(HTTPBackend(server.url), 60, registry) as reporter:
        assert reporter.report() is True
        taken = len(server.taken)
        refused = len(server.bodies) - taken
        assert all(len(body) <= 300 for body in server.taken)
        assert [total(server.taken, f"jobs_{number}") for number in range(100)] == list(range(100))
        registry.counter("jobs_1").inc()
        assert reporter.report() is True
    assert len(server.bodies) - len(server.taken) - refused <= 1, "the next report fits at once"


def test_a_single_part_that_is_too_large_is_dropped(server: FailingServer, registry: tm.Registry) -> None:
    for name in ("a", "b" * 50, "c"):
        registry.counter(name).inc()
    server.behaves = too_large_above(20)
    with tm.report_to(HTTPBackend(server.url), 60, registry) as reporter:
        assert reporter.report() is False
        found = registry.snapshot().find("tallymark_reports", backend="http", outcome="dropped")
        assert found is not None
        assert found.value == 1
    assert (total(server.taken, "a"), total(server.taken, "b" * 50), total(server.taken, "c")) == (1, 0, 1)


def test_a_server_that_takes_little_gets_all_that_it_can(server: FailingServer, registry: tm.Registry) -> None:
    """All series are of one metric, and so in one part."""
    backend = InfluxDB(server.url.removesuffix("/write"), database="d", compress=False, include=["jobs"])
    server.behaves = too_large_above(200)
    for number in range(40):
        registry.counter("jobs").inc(number=str(number))
    tm.report_once(backend, registry)
    told = [line for body in server.taken for line in body.splitlines()]
    assert len(told) == len(set(told)) == 40
    registry.counter("jobs").inc(number="x" * 200)
    with pytest.raises(tm.ReportError, match="the report did not arrive: it answers 413"):
        tm.report_once(backend, registry)
    assert sum([len(body.splitlines()) for body in server.taken]) == 80, "all but the one that is too large alone"
    found = registry.snapshot().find("tallymark_reports", backend="influxdb", outcome="dropped")
    assert found is not None
    assert found.value == 1


def test_who_answers_too_large_before_all_was_read_is_heard(registry: tm.Registry) -> None:
    """As nginx does it: the answer comes while the body is still being sent, and the rest is not read."""
    import socket
    import threading

    seen: list[int] = []

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            read = connection.recv(1000)
            seen.append(int(read.lower().split(b"content-length: ")[1].split(b"\r")[0]))
            connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    class Large(HTTPBackend):
        most_bytes = 2**30

        def encode(self, snapshot: tm.Snapshot, since: float) -> Iterator[bytes]:
            yield b"x" * 2**23

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        registry.counter("jobs").inc()
        with pytest.raises(tm.ReportError, match="answers 413"):
            tm.report_once(Large(f"http://127.0.0.1:{listening.getsockname()[1]}/"), registry, timeout=60)
        thread.join(10)
    assert seen == [2**23]


def test_nobody_listens(registry: tm.Registry) -> None:
    registry.counter("jobs").inc()
    with pytest.raises(tm.ReportError, match=r"did not arrive within 0\.2 s: .*nobody listens there"):
        tm.report_once(HTTPBackend(f"http://127.0.0.1:{refusing_port()}/"), registry, timeout=0.2)


def test_nobody_answers(registry: tm.Registry) -> None:
    registry.counter("jobs").inc()
    with silent_port() as port, pytest.raises(tm.ReportError, match="has not answered in time"):
        tm.report_once(HTTPBackend(f"http://127.0.0.1:{port}/"), registry, timeout=0.4)


def test_a_host_that_does_not_resolve(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def fail(*args: Any, **options: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    registry.counter("jobs").inc()
    with pytest.raises(tm.ReportError, match=r"there is no host nowhere\.invalid"):
        tm.report_once(HTTPBackend("http://nowhere.invalid:1/"), registry, timeout=0.3)


def test_a_certificate_that_is_wrong(registry: tm.Registry) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    serving, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    theirs.issue_cert("127.0.0.1").configure_cert(serving)
    ours.configure_trust(trusting)
    registry.counter("jobs").inc()
    with failing_server(tls=serving) as server:
        with pytest.raises(tm.ReportError, match="has a certificate that is not trusted"):
            tm.report_once(HTTPBackend(server.url, tls=trusting), registry, timeout=0.5)
        theirs.configure_trust(trusting)
        tm.report_once(HTTPBackend(server.url, tls=trusting), registry)
        assert total(server.taken, "jobs") == 1


def test_secrets_are_in_no_message(server: FailingServer, registry: tm.Registry, caplog: pytest.LogCaptureFixture) -> None:
    registry.counter("jobs").inc()
    server.behaves = answer("401 Unauthorized")
    url = server.url.replace("//", "//user:hunter2@")
    backend = HTTPBackend(url, headers={"X-Token": "s3cret"})
    with tm.report_to(backend, 60, registry) as reporter:
        reporter.report()
    registry.counter("jobs").inc()
    with pytest.raises(tm.ReportError) as raised:
        tm.report_once(backend, registry, timeout=5)
    for text in (caplog.text, str(raised.value), repr(backend), repr(reporter)):
        assert "hunter2" not in text
        assert "s3cret" not in text
    assert b"Authorization: Basic" in server.heads[0]


@pytest.mark.parametrize(
    ("backend", "logged", "raised"),
    [
        (lambda port: HTTPBackend(f"http://127.0.0.1:{port}/a?b"), "", " within 0.2 s"),
        (lambda port: Pushgateway(f"http://127.0.0.1:{port}", job="j"), "", " within 0.2 s"),
        (lambda port: StatsD(f"127.0.0.1:{port}"), "what was sent is dropped: ", ""),
    ],
)
def test_an_address_is_told_once(
    backend: Any, logged: str, raised: str, registry: tm.Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.counter("jobs").inc()
    made = backend(refusing_port())
    words = "it cannot be reached: nobody listens there"
    with pytest.raises(tm.ReportError) as caught:
        tm.report_once(made, registry, timeout=0.2)
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{made.kind} {made.address}: reports do not arrive: {logged}{words}")
    assert record.getMessage().endswith("right? This is logged again when they do")
    assert str(caught.value).startswith(f"{made.kind} {made.address}: the report did not arrive{raised}: {words}")
