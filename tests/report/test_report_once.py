"""`report_once`: it returns when the report has arrived, or raises with the backend's own words."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from recording_backend import RecordingBackend

import tallymark as tm
from tallymark.client.deadline import Deadline
from tallymark.engine.lock import has_gil
from tallymark.report.delivery import Delivery
from tallymark.report.errors import SendError, TooLargeError


def test_it_arrives(registry: tm.Registry) -> None:
    backend = RecordingBackend(own=True)
    registry.counter("jobs").inc(3)
    tm.report_once(backend, registry)
    assert [row["name"] for row in backend.rows()] == ["jobs", "tallymark_series"], "and nothing of the reporter's own"
    assert backend.closed == 1


def test_the_current_registry_is_reported(registry: tm.Registry) -> None:
    backend = RecordingBackend()
    with tm.use(registry):
        tm.counter("jobs").inc(3)
        tm.report_once(backend)
    assert backend.total("jobs") == 3


def test_what_fails_is_tried_again(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = RecordingBackend()
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", lambda seconds: waits.append(seconds))
    monkeypatch.setattr("tallymark.report.once.ATTEMPT", 5.0)

    def fail(body: bytes) -> None:
        if backend.attempts < 3:
            raise SendError("not yet")

    backend.before = fail
    registry.counter("jobs").inc()
    tm.report_once(backend, registry)
    assert backend.attempts == 3
    assert len(waits) >= 2


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SendError("disk full"), r" within 0\.2 s: disk full$"),
        (SendError("no such bucket", again=False), r": no such bucket$"),
        (SendError("busy", after=1000), r" within 0\.2 s: busy$"),
        (TooLargeError("too much"), r": too much$"),
        (OSError(5, "Input/output error"), r" within 0\.2 s: .*Input/output error$"),
        (ZeroDivisionError("mine"), r": .*mine"),
    ],
)
def test_what_does_not_arrive_is_raised_with_the_backends_words(error: Exception, words: str, registry: tm.Registry) -> None:
    def fail(body: bytes) -> None:
        raise error

    backend = RecordingBackend("delta")
    backend.before = fail
    registry.counter("jobs").inc(3)
    with pytest.raises(tm.ReportError, match=f"^recording here: the report did not arrive{words}"):
        tm.report_once(backend, registry, timeout=0.2)
    backend.before = len
    tm.report_once(backend, registry)
    assert backend.total("jobs") == 3


def test_a_slow_backend_is_waited_for_half_of_the_time_that_is_left(
    registry: tm.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    limits: list[float] = []

    class Slow(RecordingBackend):
        def send(self, parts: Sequence[bytes], deadline: Deadline) -> int:
            nonlocal now
            limits.append(round(deadline.left(), 3))
            now += limits[-1]
            raise SendError("has not answered in time")

    monkeypatch.setattr("tallymark.report.once.time", SimpleNamespace(monotonic=lambda: now, sleep=lambda seconds: None))
    monkeypatch.setattr("tallymark.report.once.Delivery", partial(Delivery, clock=lambda: now, random=lambda: 0.0))
    registry.counter("jobs").inc()
    with pytest.raises(tm.ReportError, match="did not arrive within 64 s: has not answered in time"):
        tm.report_once(Slow(), registry, timeout=64.0)
    assert limits == [32.0, 16.0, 8.0, 5.0, 3.0]


def test_the_words_are_not_those_of_an_attempt_that_had_no_time(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    class Distrusted(RecordingBackend):
        def send(self, parts: Sequence[bytes], deadline: Deadline) -> int:
            nonlocal now
            if deadline.left() < 1.0:
                now += deadline.left()
                raise SendError("has not answered in time")
            now += 1.0
            raise SendError("has a certificate that is not trusted")

    monkeypatch.setattr("tallymark.report.once.time", SimpleNamespace(monotonic=lambda: now, sleep=lambda seconds: None))
    monkeypatch.setattr("tallymark.report.once.Delivery", partial(Delivery, clock=lambda: now, random=lambda: 0.0))
    registry.counter("jobs").inc()
    for timeout, words in ((3.5, "has a certificate that is not trusted"), (0.5, "has not answered in time")):
        now = 0.0
        with pytest.raises(tm.ReportError, match=f"within {timeout} s: {words}"):
            tm.report_once(Distrusted(), registry, timeout=timeout)


def test_where_a_reporter_runs_it_is_the_one_that_reports(registry: tm.Registry) -> None:
    """Two threads would use one connection, and tell the same increments twice."""
    backend = RecordingBackend("delta")
    threads: list[str] = []
    backend.before = lambda body: threads.append(threading.current_thread().name)
    with tm.report_to(backend, 60, registry):
        for _ in range(3):
            registry.counter("jobs").inc()
            tm.report_once(RecordingBackend("delta"), registry)
    assert backend.total("jobs") == 3
    assert threads[:3] == ["tallymark-reports"] * 3


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SendError("no such bucket", again=False), ": no such bucket$"),
        (SendError("busy", after=1000), r" within 0\.3 s: busy$"),
    ],
)
def test_why_the_reporter_that_runs_failed_is_raised(error: Exception, words: str, registry: tm.Registry) -> None:
    def fail(body: bytes) -> None:
        raise error

    backend = RecordingBackend("delta")
    backend.before = fail
    registry.counter("jobs").inc(3)
    with tm.report_to(backend, 60, registry):
        with pytest.raises(tm.ReportError, match=f"^recording here: the report did not arrive{words}"):
            tm.report_once(backend, registry, timeout=0.3)
        backend.before = len


def test_who_interrupts_a_report_has_it_told_by_the_next_one(registry: tm.Registry) -> None:
    def interrupt(body: bytes) -> None:
        raise KeyboardInterrupt

    backend = RecordingBackend("delta")
    backend.before = interrupt
    registry.counter("jobs").inc(3)
    with pytest.raises(KeyboardInterrupt):
        tm.report_once(backend, registry)
    backend.before = len
    tm.report_once(backend, registry)
    assert backend.total("jobs") == 3


class Unanswered(RecordingBackend):
    at_least_once = False


def test_where_nobody_answers_what_may_have_arrived_is_not_told_again(registry: tm.Registry) -> None:
    def fail(body: bytes) -> None:
        raise SendError("full, after it took a part")

    backend = Unanswered("delta")
    registry.counter("jobs").inc(3)
    backend.after = fail
    with pytest.raises(tm.ReportError, match="full, after it took a part"):
        tm.report_once(backend, registry, timeout=0.2)
    backend.after = len
    registry.counter("jobs").inc(4)
    tm.report_once(backend, registry)
    assert [row["value"] for row in backend.rows() if row["name"] == "jobs"] == [3, 4]


def test_a_backend_of_deltas_is_told_nothing_twice(registry: tm.Registry) -> None:
    backend = RecordingBackend("delta")
    for number in range(3):
        registry.counter("jobs").inc(number)
        tm.report_once(backend, registry)
    with tm.report_to(backend, 60, registry):
        registry.counter("jobs").inc(10)
    assert [row["value"] for row in backend.rows()] == [0, 1, 2, 10]


@pytest.mark.skipif(not has_gil() or not hasattr(__import__("os"), "memfd_create"), reason="registries share on Linux alone")
def test_while_another_process_reports_a_shared_registry_it_waits(tmp_path: Path) -> None:
    registries = [tm.Registry(shared=tmp_path / "metrics") for _ in range(2)]
    backend = RecordingBackend("delta")
    registries[0].counter("jobs").inc(3)
    with tm.report_to(backend, 60, registries[0]) as reporter:
        assert reporter.report() is True
        with pytest.raises(tm.ReportError, match="another process that shares the registry reports to it"):
            tm.report_once(backend, registries[1], timeout=0.1)
    registries[1].counter("jobs").inc(2)
    tm.report_once(backend, registries[1])
    assert backend.total("jobs") == 5


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"backend": RecordingBackend}, TypeError, "must be made first"),
        ({"backend": None}, TypeError, "must be a backend"),
        ({"registry": 3}, TypeError, "registry must be a Registry, not int"),
        ({"timeout": -1}, ValueError, "timeout must be a positive number of seconds"),
        ({"timeout": "1"}, TypeError, "timeout must be a number of seconds"),
    ],
)
def test_a_wrong_argument_is_named(arguments: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        tm.report_once(**{"backend": RecordingBackend(), **arguments})


@pytest.mark.parametrize(("answers", "told"), [(True, 2), (False, 1)])
def test_what_failed_is_told_again_only_where_somebody_answers(answers: bool, told: int, registry: tm.Registry) -> None:
    backend = RecordingBackend("delta")
    backend.most_bytes = 1
    backend.at_least_once = answers  # type: ignore[misc]
    for name in ("a", "b"):
        registry.counter(name).inc()

    def fail_the_second(body: bytes) -> None:
        if backend.attempts == 2:
            raise SendError("it is gone", again=False)

    backend.before = fail_the_second
    with pytest.raises(tm.ReportError, match="it is gone"):
        tm.report_once(backend, registry)
    tm.report_once(backend, registry)
    assert backend.total("a") == told
