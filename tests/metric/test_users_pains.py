"""What users of other metrics clients report as pains in their trackers, and must not meet here.

The numbers are those of our catalogue of these pains.
"""

from __future__ import annotations

import asyncio
import logging
import time
from math import nan
from typing import Any

import pytest

import tallymark as tm


def test_6_series_without_end_are_capped_and_the_log_names_the_tag(
    registry: tm.Registry, caplog: pytest.LogCaptureFixture
) -> None:
    requests = registry.counter("requests", limits=tm.TagLimits(max_series=50))
    with caplog.at_level(logging.WARNING, "tallymark"):
        for user in range(500):
            requests.inc(method="GET", user_id=user)
    family = registry.snapshot()["requests"]
    assert len(family) == 51
    assert sum(series.value for series in family) == 500
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "user_id" in caplog.text


def test_6_series_that_were_rejected_are_not_kept_in_memory(registry: tm.Registry) -> None:
    requests = registry.counter("requests", limits=tm.TagLimits(max_series=1))
    for user in range(100):
        assert requests.with_tags(user=user).tags in ({"user": "0"}, {"overflow": "true"})
    assert len(registry.snapshot()["requests"]) == 2


def test_7_stale_series_go_and_a_handle_never_records_into_the_void(registry: tm.Registry) -> None:
    jobs = registry.counter("jobs", ttl=0.02).with_tags(job="x")
    jobs.inc()
    registry.snapshot()
    time.sleep(0.03)
    assert registry.snapshot().find("jobs", job="x") is None
    jobs.inc()
    found = registry.snapshot().find("jobs", job="x")
    assert found is not None
    assert found.value == 1


def test_7_an_increment_of_a_removed_series_counts(registry: tm.Registry) -> None:
    child = registry.counter("jobs").with_tags(job="x")
    child.remove()
    child.inc()
    assert b'jobs_total{job="x"} 1.0\n' in tm.render_prometheus(registry.snapshot())


def test_8_the_decorator_times_the_work_of_async_functions_and_generators(registry: tm.Registry) -> None:
    timer = registry.timer("took")

    @timer.time(kind="async")
    async def work() -> None:
        await asyncio.sleep(0.005)

    @timer.time(kind="generator")
    def items() -> Any:
        for item in range(5):
            time.sleep(0.001)
            yield item

    asyncio.run(work())
    assert list(items()) == [0, 1, 2, 3, 4]
    for kind in ("async", "generator"):
        seen = timer.with_tags(kind=kind).snapshot()
        assert (seen.count, seen.sum >= 0.005) == (1, True)


def test_13_a_reload_or_a_second_application_asks_for_the_same_metric(registry: tm.Registry) -> None:
    def application() -> tm.Counter:
        return registry.counter("requests", description="Requests served.", unit="", tags={"service": "api"})

    first, second = application(), application()
    first.inc()
    second.inc()
    assert first is second
    assert first.value == 2


def test_15_nan_does_not_poison_a_counter_or_a_histogram(registry: tm.Registry) -> None:
    requests, size = registry.counter("requests"), registry.histogram("size")
    for value in (1.0, nan, 2.0):
        requests.inc(value)
        size.observe(value)
    assert requests.value == 3
    assert (size.snapshot().sum, size.snapshot().count, size.snapshot().max) == (3.0, 2, 2.0)


@pytest.mark.parametrize("error", [RuntimeError("down"), KeyError("x"), TypeError("y")])
def test_15_one_bad_callback_does_not_fail_the_reading(registry: tm.Registry, error: Exception) -> None:
    def fail() -> float:
        raise error

    registry.counter("requests").inc(5)
    registry.gauge("broken", callback=fail)
    registry.gauge("fine", callback=lambda: 7)
    snapshot = registry.snapshot()
    assert [series.value for name in ("requests", "fine") for series in snapshot[name]] == [5, 7]
    assert registry.snapshot().find("tallymark_rejected", metric="broken", reason="callback") is not None
