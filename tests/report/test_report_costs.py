"""Reporters add nothing to the record path, and no more memory than was agreed."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from recording_backend import RecordingBackend

import tallymark as tm
from tallymark.bench.allocations import allocations_per_op
from tallymark.report.errors import SendError


def down(body: bytes) -> None:
    raise SendError("it is down")


@pytest.fixture
def reported(engine: Any) -> Iterator[tm.Registry]:
    registry = tm.Registry(engine=engine.name)
    backends = [
        RecordingBackend("delta"), RecordingBackend("cumulative", name="there"), RecordingBackend("delta", name="down"),
    ]  # fmt: skip
    backends[2].before = down
    with ExitStack() as stack:
        reporters = [stack.enter_context(tm.report_to(backend, 30, registry)) for backend in backends]
        registry.counter("jobs").inc(queue="a")
        assert [reporter.report() for reporter in reporters] == [True, True, False]
        assert any(thread.name == "tallymark-reports" for thread in threading.enumerate())
        yield registry
        backends[2].before = len


Loop = Callable[[Iterable[None]], object]


def inc(registry: tm.Registry) -> Loop:
    jobs = registry.counter("jobs")
    return lambda items: [None for _ in items if jobs.inc()]


def inc_with_tags(registry: tm.Registry) -> Loop:
    jobs = registry.counter("jobs")
    return lambda items: [None for _ in items if jobs.inc(queue="a")]


def set_gauge(registry: tm.Registry) -> Loop:
    depth = registry.gauge("depth")
    return lambda items: [None for _ in items if depth.set(2.5)]


def observe(registry: tm.Registry) -> Loop:
    size = registry.histogram("size")
    return lambda items: [None for _ in items if size.observe(2.5)]


@pytest.mark.parametrize("record", [inc, inc_with_tags, set_gauge, observe])
def test_a_record_allocates_nothing_while_three_reporters_run(
    record: Callable[[tm.Registry], Loop], engine: Any, reported: tm.Registry
) -> None:
    with_reporters = allocations_per_op(record(reported))
    alone = allocations_per_op(record(tm.Registry(engine=engine.name)))
    assert with_reporters == alone
    if engine.name == "native":
        assert with_reporters == (0, 0)


@pytest.mark.parametrize("temporality", ["delta", "cumulative"])
def test_what_waits_takes_no_more_memory_than_was_agreed(temporality: Any, registry: tm.Registry) -> None:
    most = 20_000
    backend = RecordingBackend(temporality)
    backend.before = down
    backend.most_bytes = 1000
    for number in range(20):
        registry.counter(f"jobs_{number}").inc()
    with tm.report_to(backend, 3600, registry, max_queue_bytes=most) as reporter:
        reporter.report()
        delivery = reporter._member.delivery
        assert delivery is not None
        tracemalloc.start()
        try:
            for _ in range(15):
                for number in range(20):
                    registry.counter(f"jobs_{number}").inc()
                reporter.report()
                assert delivery.outbox.memory <= most
            parts = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*recording_backend.py")])
        finally:
            tracemalloc.stop()
        assert sum(trace.size for trace in parts.statistics("filename")) <= most * 1.5
        assert delivery.outbox.memory > most / 2
        backend.before = len
        assert reporter.flush(60) is True
    if temporality == "delta":
        assert sum(backend.total(f"jobs_{number}") for number in range(20)) == 20 * 16


def test_one_report_waits_whatever_its_size(registry: tm.Registry) -> None:
    backend = RecordingBackend("delta")
    backend.before = down
    for number in range(50):
        registry.counter(f"jobs_{number}").inc()
    with tm.report_to(backend, 60, registry, max_queue_bytes=1) as reporter:
        assert reporter.report() is False
        backend.before = len
        assert reporter.flush(60) is True
    assert sum(backend.total(f"jobs_{number}") for number in range(50)) == 50
