"""OTLP to a VictoriaMetrics that takes it, as from 1.92, where the environment names one: Debian 12 has an older one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from victoriametrics_server import VictoriaMetrics, running_victoriametrics

import tallymark as tm
from tallymark.backends import OTLP
from tallymark.client.deadline import Deadline

pytestmark = [pytest.mark.slow, pytest.mark.server]


@pytest.fixture(scope="module")
def victoriametrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetrics]:
    program = os.environ.get("TALLYMARK_VICTORIAMETRICS")
    if program is None:
        pytest.skip("TALLYMARK_VICTORIAMETRICS names no program")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(program).parent}:{os.environ['PATH']}")
        with running_victoriametrics(tmp_path_factory.mktemp("victoriametrics")) as server:
            yield server


def values(server: VictoriaMetrics, name: str, *labels: str) -> dict[tuple[str, ...], float] | None:
    """Return the present values of a metric, by some labels; None if there are none."""
    found = server.query(f'{{__name__="{name}"}}')
    return found and {tuple([one["metric"].get(label, "") for label in labels]): float(one["value"][1]) for one in found}


def wait_for(server: VictoriaMetrics, wanted: dict[tuple[str, ...], float], name: str, *labels: str) -> None:
    server.wait(
        lambda: values(server, name, *labels) == wanted or None, f"{name}: {wanted}, not {values(server, name, *labels)}"
    )


def test_what_was_recorded_can_be_asked_for_also_after_the_server_was_killed(victoriametrics: VictoriaMetrics) -> None:
    registry = tm.Registry(self_metrics=False)
    counter, gauge = registry.counter("http.requests", unit="bytes"), registry.gauge("queue")
    timer, size = registry.timer("took", buckets=[0.1, 1.0]), registry.histogram("size", exponential=True)
    heat = registry.histogram("heat", buckets=[-1.0, 0.0])
    registry.info("build", {"version": "1"})
    otlp = OTLP(f"{victoriametrics.url}/opentelemetry/v1/metrics", resource={"service.name": "shop"}, compression="gzip")

    def record() -> None:
        counter.inc(2.5, route='/"\\\n')
        gauge.set(-3)
        timer.record(0.5)
        for value in (3, 3, 300, -7, 0):
            size.observe(value)
        heat.observe(-2)

    def report() -> int:
        return otlp.send(list(otlp.encode(registry.snapshot(), 0.0)), Deadline(10, time.monotonic))

    def compare(times: int) -> None:
        wait_for(victoriametrics, {("shop", '/"\\\n'): 2.5 * times}, "http.requests", "service.name", "route")
        wait_for(victoriametrics, {("",): -3.0}, "queue", "route")
        wait_for(victoriametrics, {("0.1",): 0.0, ("1",): times, ("+Inf",): times}, "took_bucket", "le")
        wait_for(victoriametrics, {("",): 0.5 * times}, "took_sum", "le")
        wait_for(victoriametrics, {("",): 5 * times}, "size_count", "le")
        wait_for(victoriametrics, {("1",): 1.0}, "build_info", "version")
        wait_for(victoriametrics, {("-1",): times, ("0",): times, ("+Inf",): times}, "heat_bucket", "le")
        counts = victoriametrics.wait(lambda: values(victoriametrics, "size_bucket", "vmrange"), "exponential buckets")
        assert sorted(counts.values()) == [times, times, times, 2 * times]
        ranges = [tuple([float(bound) for bound in bounds.split("...")]) for (bounds,) in counts]
        for value in (3, 300, -7, 0):
            assert [low <= value <= high for low, high in ranges].count(True) == 1

    record()
    assert report() > 0
    compare(1)
    victoriametrics.kill()
    record()
    with pytest.raises(Exception, match="nobody listens there"):
        report()
    record()
    victoriametrics.start()
    assert report() > 0
    compare(3)
    assert otlp.rejected_points == 0
    otlp.close()


def test_many_series_arrive_in_several_requests(victoriametrics: VictoriaMetrics) -> None:
    registry = tm.Registry(self_metrics=False)
    counter = registry.counter("many", limits=tm.TagLimits(max_series=3000))
    for i in range(3000):
        counter.inc(i, i=i)
    otlp = OTLP(f"{victoriametrics.url}/opentelemetry/v1/metrics")
    parts: list[Any] = list(otlp.encode(registry.snapshot(), 0.0))
    for some in (parts[:5], parts[5:]):
        otlp.send(some, Deadline(10, time.monotonic))
    otlp.close()

    def total() -> bool | None:
        found = victoriametrics.query('sum({__name__="many"}) or count({__name__="many"})')
        counted = victoriametrics.query('count({__name__="many"})')
        both = [float(one[0]["value"][1]) for one in (found, counted) if one]
        return both == [sum(range(3000)), 3000.0] or None

    victoriametrics.wait(total, "all series")
