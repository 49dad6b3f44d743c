"""`report_to`: reports that are due, asked for, failed; close; what it may be called with."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from recording_backend import RecordingBackend

import tallymark as tm
from tallymark.report.delivery import Delivery
from tallymark.report.errors import SendError
from tallymark.report.member import Member


@pytest.fixture
def backend() -> RecordingBackend:
    return RecordingBackend("delta")


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "tallymark-reports"], "a reporter was left"


def test_a_report_is_made_when_it_is_asked_for(registry: tm.Registry, backend: RecordingBackend) -> None:
    jobs = registry.counter("jobs")
    with tm.report_to(backend, 60, registry) as reporter:
        jobs.inc(3, queue="a")
        assert reporter.report() is True
        jobs.inc(4, queue="a")
        assert reporter.report() is True
        assert [row["value"] for row in backend.rows() if row["tags"]] == [3.0, 4.0]


def test_what_is_recorded_to_a_series_that_is_removed_at_once_is_reported(registry: tm.Registry) -> None:
    """Nobody waits for the reporters' thread to be ready."""
    backend = RecordingBackend("delta")
    hits = registry.counter("hits")
    with tm.report_to(backend, 60, registry) as reporter:
        hits.inc(1, k=1)
        hits.with_tags(k=1).remove()
        hits.inc(3, k=1)
        assert reporter.report()
    assert backend.total("hits", k="1") == 4


def test_reports_are_made_on_schedule(registry: tm.Registry, backend: RecordingBackend) -> None:
    arrived = threading.Semaphore(0)
    backend.after = lambda body: arrived.release()
    registry.counter("jobs").inc()
    with tm.report_to(backend, 0.02, registry):
        for _ in range(3):
            assert arrived.acquire(timeout=60)


def test_closing_makes_a_last_report_and_ends_the_thread(registry: tm.Registry, backend: RecordingBackend) -> None:
    reporter = tm.report_to(backend, 60, registry)
    registry.counter("jobs").inc(5)
    assert reporter.close() is True
    assert backend.total("jobs") == 5
    assert backend.closed == 1
    assert reporter.close() is True
    assert backend.attempts == 1
    assert reporter.report() is False
    assert reporter.flush() is False


def test_closing_the_registry_closes_its_reporters(registry: tm.Registry, backend: RecordingBackend) -> None:
    tm.report_to(backend, 60, registry)
    registry.counter("jobs", callback=lambda: 7)
    registry.close()
    assert backend.total("jobs") == 7


@pytest.mark.slow
def test_what_failed_is_sent_again_as_the_same_bytes(registry: tm.Registry, backend: RecordingBackend) -> None:
    jobs = registry.counter("jobs")
    attempts: list[bytes] = []

    def fail_twice(body: bytes) -> None:
        attempts.append(body)
        if len(attempts) < 3:
            raise SendError("it is down")

    backend.before = fail_twice
    with tm.report_to(backend, 60, registry) as reporter:
        jobs.inc(3)
        assert reporter.report() is False
        jobs.inc(4)
        assert reporter.flush(60) is True
    assert attempts[0] == attempts[1] == attempts[2]
    assert backend.total("jobs") == 7


def test_trouble_is_logged_once_and_so_is_its_end(
    registry: tm.Registry, backend: RecordingBackend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "tallymark")  # what Python shows where nothing is configured

    def fail(body: bytes) -> None:
        raise SendError("it is down")

    registry.counter("jobs").inc()
    with tm.report_to(backend, 60, registry) as reporter:
        backend.before = fail
        assert [reporter.report() for _ in range(4)] == [False] * 4
        backend.before = len
        assert reporter.report() is True
        assert reporter.report() is True
    assert [record.getMessage() for record in caplog.records] == [
        "recording here: reports do not arrive: it is down. This is logged again when they do",
        "recording here: reports arrive again",
    ]


def test_a_failure_of_our_own_names_the_backend_and_is_logged_once(
    registry: tm.Registry, backend: RecordingBackend, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, fails = Member.look, [True, True]

    def broken(member: Member, now: float) -> Delivery | None:
        if fails:
            fails.pop()
            raise RuntimeError("ours")
        return look(member, now)

    registry.counter("jobs").inc(3)
    with tm.report_to(backend, 60, registry) as reporter:
        monkeypatch.setattr(Member, "look", broken)
        while not reporter.report():
            pass
    assert backend.total("jobs") == 3
    words = "a report failed. It is tried again, and not logged again until that succeeds"
    assert caplog.messages == [f"recording: {words}"]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"backend": RecordingBackend}, TypeError, r"must be made first: RecordingBackend\(\.\.\.\)"),
        ({"backend": "127.0.0.1:8125"}, TypeError, r"such as tallymark.backends.StatsD\('127.0.0.1:8125'\), not str"),
        ({"every": 0}, ValueError, "every must be a positive number of seconds"),
        ({"every": float("nan")}, ValueError, "every must be a positive number of seconds"),
        ({"every": 0.001}, ValueError, "every must be 0.01 seconds or more"),
        ({"every": "10"}, TypeError, "every must be a number of seconds, not str"),
        ({"every": True}, TypeError, "every must be a number of seconds, not bool"),
        ({"registry": "default"}, TypeError, "registry must be a Registry, not str"),
        ({"max_queue_bytes": 0}, ValueError, "max_queue_bytes must be a number of bytes, 1 or more"),
        ({"max_queue_bytes": 1.5}, TypeError, "max_queue_bytes must be an int"),
    ],
)
def test_a_wrong_argument_is_named_with_its_remedy(arguments: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        tm.report_to(**{"backend": RecordingBackend(), **arguments})


def test_health_is_in_the_registry(registry: tm.Registry, backend: RecordingBackend) -> None:
    def fail(body: bytes) -> None:
        raise SendError("it is down")

    registry.counter("jobs").inc()
    began = time.time()
    with tm.report_to(backend, 60, registry) as reporter:
        reporter.report()
        backend.before = fail
        reporter.report()
        snapshot = registry.snapshot()
        backend.before = len

    def value(name: str, **tags: str) -> float:
        found = snapshot.find(name, backend="recording", **tags)
        assert found is not None, name
        return found.count if found.kind == "timer" else found.value

    assert value("tallymark_reports", outcome="success") == 1
    assert value("tallymark_reports", outcome="failure") == 1
    assert value("tallymark_report_bytes") == len(backend.bodies[0])
    assert value("tallymark_report_duration") == 2
    assert began <= value("tallymark_report_last_success") <= time.time()
    assert value("tallymark_report_queue") > 0


def test_a_registry_without_metrics_of_its_own_gets_none(engine: Any, backend: RecordingBackend) -> None:
    registry = tm.Registry(engine=engine.name, self_metrics=False)
    registry.counter("jobs").inc()
    with tm.report_to(backend, 60, registry) as reporter:
        assert reporter.report() is True
        assert [family.name for family in registry.snapshot().families] == ["jobs"]


def test_a_null_registry_reports_nothing(backend: RecordingBackend) -> None:
    registry = tm.NullRegistry()
    registry.counter("jobs").inc()
    with tm.report_to(backend, 60, registry) as reporter:
        assert reporter.report() is True
    assert backend.attempts == 0


@pytest.mark.parametrize("timeout", [1e10, 1e300, 10**400])
def test_any_time_may_be_waited(timeout: float, registry: tm.Registry, backend: RecordingBackend) -> None:
    registry.counter("jobs").inc()
    with tm.report_to(backend, timeout, registry) as reporter:
        assert reporter.flush(timeout) is True
        assert reporter.close(timeout) is True
    tm.report_once(backend, registry, timeout=timeout)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_after_the_thread_was_killed_another_reporter_has_a_new_one(registry: tm.Registry, backend: RecordingBackend) -> None:
    def kill(body: bytes) -> None:
        raise KeyboardInterrupt

    registry.counter("jobs").inc()
    killing = RecordingBackend(name="killing")
    killing.before = kill
    with tm.report_to(killing, 60, registry) as killed, tm.report_to(backend, 60, tm.Registry()):
        (thread,) = [one for one in threading.enumerate() if one.name == "tallymark-reports"]
        assert killed.flush(60) is False
    with tm.report_to(backend, 60, registry) as reporter:
        assert reporter.flush(60) is True
    thread.join(60)
    assert backend.total("jobs") == 1
