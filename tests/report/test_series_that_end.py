"""What was recorded to series that are removed, unregistered or expire is reported, whoever reads the registry meanwhile."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from recording_backend import RecordingBackend

import tallymark as tm
from tallymark.metric.departures import numbered
from tallymark.report.errors import SendError


@pytest.fixture
def backend() -> RecordingBackend:
    return RecordingBackend("delta")


def record_all(registry: tm.Registry, tag: str) -> None:
    registry.counter("jobs").inc(3, tag=tag)
    registry.histogram("sizes", buckets=[1, 2]).observe(1.5, tag=tag)
    registry.timer("spans", exponential=True).record(0.5, tag=tag)


@pytest.mark.parametrize("how", ["remove", "unregister"])
def test_what_was_recorded_before_a_series_is_removed_is_reported(
    how: str, registry: tm.Registry, backend: RecordingBackend
) -> None:
    with tm.report_to(backend, 60, registry) as reporter:
        for _ in range(3):
            record_all(registry, "a")
            if how == "unregister":
                for name in ("jobs", "sizes", "spans"):
                    registry.unregister(name)
            else:
                registry.counter("jobs").with_tags(tag="a").remove()
                registry.histogram("sizes").with_tags(tag="a").remove()
                registry.timer("spans").with_tags(tag="a").remove()
            record_all(registry, "a")
            assert reporter.report() is True
    assert [backend.total(name, tag="a") for name in ("jobs", "sizes", "spans")] == [18, 6, 6]


def test_what_a_callback_tells_no_longer_is_reported(registry: tm.Registry, backend: RecordingBackend) -> None:
    told = [({"tag": "a"}, 5), ({"tag": "b"}, 7)]
    registry.counter("jobs", callback=lambda: told)
    with tm.report_to(backend, 60, registry) as reporter:
        registry.snapshot()
        del told[0]
        assert reporter.report() is True
    assert (backend.total("jobs", tag="a"), backend.total("jobs", tag="b")) == (5, 7)


def test_nothing_is_noted_while_nobody_needs_it(registry: tm.Registry) -> None:
    cumulative = RecordingBackend()
    with tm.report_to(cumulative, 60, registry):
        assert registry._reader().departures is None
    with tm.report_to(RecordingBackend("delta"), 60, registry):
        assert registry._reader().departures is not None
    assert registry._reader().departures is None
    assert registry._families.hooks.leaving == []


def test_series_for_which_there_is_no_room_are_counted(registry: tm.Registry, backend: RecordingBackend) -> None:
    def down(body: bytes) -> None:
        raise SendError("it is down")

    jobs = registry.counter("jobs", limits=tm.TagLimits(max_series=5000))
    backend.before = down
    with tm.report_to(backend, 60, registry, max_queue_bytes=1) as reporter:
        jobs.inc()
        reporter.report()
        for number in range(1100):
            jobs.inc(tag=str(number))
            jobs.with_tags(tag=str(number)).remove()
        backend.before = len
        assert reporter.flush(60) is True
        found = registry.snapshot().find("tallymark_rejected", metric="tallymark_reports", reason="queue")
        assert found is not None
    assert sum(row["value"] for row in backend.rows() if row["name"] == "jobs") == 1 + 1000


@pytest.mark.slow
@pytest.mark.parametrize("shared", [False, True])
def test_nothing_is_missed_whoever_reads(shared: bool, engine: Any, backend: RecordingBackend, tmp_path: Path) -> None:
    if shared and engine.name != "native":
        pytest.skip("the reference engine cannot share")
    registry = tm.Registry(engine=engine.name, shared=shared and tmp_path / "metrics")
    jobs = registry.counter("jobs", ttl=0.03)
    chance = random.Random(3)
    is_up = False

    def fail(body: bytes) -> None:
        if not is_up and chance.random() < 0.3:
            raise SendError("it is down")

    backend.before = fail
    recorded = [0, 0, 0]
    end = time.monotonic() + 1

    def record(who: int) -> None:
        own = random.Random(who)
        while time.monotonic() < end:
            tag = f"{who} {own.randrange(20)}"
            jobs.inc(tag=tag)
            recorded[who] += 1
            what = own.random()
            if what < 0.1:
                jobs.with_tags(tag=tag).remove()
            elif what < 0.2:
                time.sleep(own.random() * 0.08)

    def scrape() -> None:
        while time.monotonic() < end:
            registry.snapshot()
            time.sleep(0.002)

    with tm.report_to(backend, 0.02, registry) as reporter:
        threads = [threading.Thread(target=record, args=(who,)) for who in range(3)]
        threads += [threading.Thread(target=scrape) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        is_up = True
        assert reporter.flush(60) is True
    assert sum(row["value"] for row in backend.rows() if row["name"] == "jobs") == sum(recorded)


def test_series_that_end_together_are_looked_up_together(
    registry: tm.Registry, backend: RecordingBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To look each up alone among all that there are would take minutes, where thousands of 100,000 end."""
    looked_up: list[object] = []
    monkeypatch.setattr("tallymark.report.leaving.numbered", lambda data: looked_up.append(data) or numbered(data))
    with tm.report_to(backend, 60, registry) as reporter:
        record_all(registry, "stays")
        assert reporter.report() is True
        for tag in ("a", "b", "c", "a", "a", "b"):
            record_all(registry, tag)
            for metric in (registry.counter("jobs"), registry.histogram("sizes"), registry.timer("spans")):
                metric.with_tags(tag=tag).remove()
        assert reporter.report() is True
    assert len(looked_up) == 3 * 3
    for tag, times in (("a", 3), ("b", 2), ("c", 1), ("stays", 1)):
        assert [backend.total(name, tag=tag) for name in ("jobs", "sizes", "spans")] == [3 * times, times, times]
