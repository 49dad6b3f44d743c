"""`Timer`: a histogram of seconds."""

from __future__ import annotations

import time
from datetime import timedelta
from fractions import Fraction
from math import inf, nan
from threading import Barrier, Thread
from typing import Any

import pytest

import tallymark as tm


@pytest.fixture
def timer(registry: tm.Registry) -> tm.Timer:
    return registry.timer("took")


def test_a_timer_is_in_seconds(timer: tm.Timer) -> None:
    assert (timer.name, timer.unit, timer.kind, timer.bounds) == ("took", "seconds", "timer", tm.DURATION_BUCKETS)
    assert type(timer).__name__ == "Timer"


@pytest.mark.parametrize("duration", [0.012, timedelta(milliseconds=12), Fraction(12, 1000)], ids=repr)
def test_record_takes_seconds_and_timedeltas(timer: tm.Timer, duration: Any) -> None:
    timer.record(duration)
    timer.record(duration, route="/users", duration="x")
    for series in (timer, timer.with_tags(route="/users", duration="x")):
        assert (series.snapshot().count, series.snapshot().sum) == (1, 0.012)


def test_a_duration_of_zero_is_recorded(timer: tm.Timer) -> None:
    timer.record(0)
    timer.record(timedelta())
    assert (timer.snapshot().count, timer.snapshot().min, timer.snapshot().max) == (2, 0.0, 0.0)


@pytest.mark.parametrize(
    ("duration", "reason"),
    [
        (-0.001, "negative"),
        (timedelta(days=-1), "negative"),
        (nan, "not_finite"),
        (inf, "not_finite"),
        (-inf, "not_finite"),
        (10**400, "not_finite"),
    ],
)
def test_a_bad_duration_is_rejected_and_counted(registry: tm.Registry, timer: tm.Timer, duration: Any, reason: str) -> None:
    timer.record(duration)
    assert timer.snapshot().count == 0
    rejected = registry.snapshot().find("tallymark_rejected", metric="took", reason=reason)
    assert rejected is not None
    assert rejected.value == 1


def test_a_strict_registry_raises_for_a_negative_duration(strict_registry: tm.Registry) -> None:
    with pytest.raises(ValueError, match="took"):
        strict_registry.timer("took").record(-1)


def test_record_since_records_the_time_since_then(timer: tm.Timer) -> None:
    start = time.perf_counter()
    timer.record_since(start - 100)
    timer.record_since(start - 100, route="/")
    passed = time.perf_counter() - start + 100
    assert 100 <= timer.snapshot().sum <= passed
    assert 100 <= timer.with_tags(route="/").snapshot().sum <= passed


def test_record_since_a_time_to_come_is_rejected(registry: tm.Registry, timer: tm.Timer) -> None:
    timer.record_since(time.perf_counter() + 1000)
    assert timer.snapshot().count == 0
    assert registry.snapshot().find("tallymark_rejected", metric="took", reason="negative") is not None


@pytest.mark.parametrize("start", ["0", None, timedelta()], ids=repr)
def test_record_since_needs_a_number(timer: tm.Timer, start: Any) -> None:
    with pytest.raises(TypeError, match="took"):
        timer.record_since(start)


def test_a_block_is_recorded(timer: tm.Timer) -> None:
    start = time.perf_counter()
    with timer.time():
        time.sleep(0.002)
    passed = time.perf_counter() - start
    assert timer.snapshot().count == 1
    assert 0.002 <= timer.snapshot().sum <= passed


def test_a_block_with_tags_records_to_their_series(timer: tm.Timer) -> None:
    with timer.time(route="/users"), timer.with_tags(method="GET").time(route="/"):
        pass
    assert timer.with_tags(route="/users").snapshot().count == 1
    assert timer.with_tags(method="GET", route="/").snapshot().count == 1
    assert timer.snapshot().count == 0


def test_an_exception_passes_through_a_block_and_is_recorded(timer: tm.Timer) -> None:
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught, timer.time():
        raise error
    assert caught.value is error
    assert timer.snapshot().count == 1


@pytest.mark.parametrize("leave", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_stops_the_program_passes_through_and_is_recorded(timer: tm.Timer, leave: type[BaseException]) -> None:
    with pytest.raises(leave), timer.time():
        raise leave
    assert timer.snapshot().count == 1


def test_blocks_nest(timer: tm.Timer) -> None:
    with timer.time():
        with timer.time(), timer.time():
            time.sleep(0.001)
        time.sleep(0.001)
    seen = timer.snapshot()
    assert seen.count == 3
    assert 0.002 <= seen.max < seen.sum


def test_one_object_can_be_used_again(timer: tm.Timer) -> None:
    timing = timer.time()
    for _ in range(3):
        with timing:
            pass
    assert timer.snapshot().count == 3


def test_one_object_can_be_entered_while_it_is_entered(timer: tm.Timer) -> None:
    timing = timer.time()
    with timing:
        time.sleep(0.002)
        with timing:
            pass
    seen = timer.snapshot()
    assert seen.count == 2
    assert seen.min < 0.002 <= seen.max


def test_one_object_can_be_used_by_several_threads_at_a_time(timer: tm.Timer) -> None:
    timing = timer.time()
    together = Barrier(4)

    def work(pause: float) -> None:
        for _ in range(5):
            together.wait()
            with timing:
                time.sleep(pause)

    threads = [Thread(target=work, args=(pause,)) for pause in (0.0, 0.0, 0.0, 0.004)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = timer.snapshot()
    assert seen.count == 20
    assert seen.sum >= 5 * 0.004


def test_a_block_survives_the_removal_of_its_series(registry: tm.Registry, timer: tm.Timer) -> None:
    with timer.time(route="/"):
        timer.with_tags(route="/").remove()
        registry.unregister("took")
    found = registry.snapshot().find("took", route="/")
    assert found is not None
    assert found.histogram.count == 1


def test_leaving_a_block_that_was_not_entered_is_an_error(timer: tm.Timer) -> None:
    with pytest.raises(RuntimeError):
        timer.time().__exit__(None, None, None)
    assert timer.snapshot().count == 0


def test_a_bad_tag_key_of_a_block_raises_before_it_starts(timer: tm.Timer) -> None:
    with pytest.raises(tm.TagError):
        timer.time(**{"bad key": "x"})
