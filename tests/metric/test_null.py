"""`NullRegistry`: instruments that do nothing, with the same calls."""

from __future__ import annotations

import asyncio
import inspect
from datetime import timedelta
from typing import Any

import pytest

import tallymark as tm

KINDS = ["counter", "gauge", "histogram", "timer"]


def test_recording_does_nothing(engine: Any) -> None:
    with tm.NullRegistry() as registry:
        counter, gauge = registry.counter("c", tags={"a": "1"}), registry.gauge("g")
        histogram, timer = registry.histogram("h", buckets=[1]), registry.timer("t", ttl=5)
        counter.inc()
        counter.inc(2, a="1", amount="x")
        counter.add(3)
        gauge.set(7)
        gauge.inc()
        gauge.dec(2, self="x")
        gauge.add(-1.5)
        histogram.observe(5, value="x")
        timer.record(timedelta(1), duration="x")
        timer.record_since(0.0)
        with timer.time(self="x"):
            pass
        assert counter.value == gauge.value == 0
        assert histogram.snapshot().count == timer.snapshot().count == 0
        assert list(registry.snapshot()) == []
        assert tm.render_prometheus(registry.snapshot()) == b""
        assert (registry.expire(), registry.unregister("c")) == (0, False)


@pytest.mark.parametrize("kind", KINDS)
def test_its_instruments_have_every_public_name_of_the_real_ones(registry: tm.Registry, kind: str) -> None:
    real, null = getattr(registry, kind)("n"), getattr(tm.NullRegistry(), kind)("n")
    assert {name for name in dir(real) if not name.startswith("_")} <= set(dir(null))


@pytest.mark.parametrize("kind", KINDS)
def test_its_instruments_have_a_kind_and_a_name(kind: str) -> None:
    null = getattr(tm.NullRegistry(), kind)("n", description="Text.")
    assert (null.name, null.description, null.kind, dict(null.tags)) == ("n", "Text.", kind, {})
    assert null.with_tags(a="1") is null
    assert null.with_tags({"a": "1"}, b="2") is null
    null.remove()


def test_what_came_with_tag_keys_series_and_tracking_does_nothing(engine: Any) -> None:
    registry = tm.NullRegistry(engine=engine.name, self_metrics=False)
    counter = registry.counter("c", tag_keys=("method", "status"))
    gauge, histogram, timer = registry.gauge("g", tag_keys=()), registry.histogram("h"), registry.timer("t")
    assert counter.with_tags("GET", "200") is counter
    counter.inc(exemplar={"trace_id": "x"}, attributes={})
    histogram.observe(1, exemplar=5, amount=1)  # type: ignore[arg-type]
    timer.record(1, exemplar=None)
    assert counter.series() == gauge.series() == []
    with pytest.raises(KeyError), counter.count_exceptions(KeyError, "no class", a="1"), gauge.track_in_progress(a="1"):  # type: ignore[arg-type]
        raise KeyError
    work = lambda: None  # noqa: E731
    assert gauge.track_in_progress()(work) is counter.count_exceptions()(work) is timer.time()(work) is work
    assert counter.value == gauge.value == histogram.snapshot().count == 0


def test_it_can_be_used_wherever_a_registry_is() -> None:
    class Collector:
        def collect(self) -> list[tm.FamilySnapshot]:
            raise AssertionError("nobody asks")

    registry, collector = tm.NullRegistry(tags={"a": "b"}), Collector()
    registry.register(collector)
    assert registry.unregister(collector) is registry.unregister("n") is registry.unregister(registry.counter("n")) is False
    registry.info("service", version="1.2")
    state = registry.state("worker", ["on", "off"])
    state.set("on")
    assert state.value is None
    tm.process_metrics(registry)
    tm.detect_host().inject(registry)
    ops = tm.OperationalMetrics(registry, in_flight=True)
    ops.record_operation("auth", "success", 0.1)
    ops.record_value("order", "books", 1.0, amount="x")
    with ops.operation("auth"):
        pass
    with tm.use(registry):
        tm.counter("n", callback=lambda: 5).inc()
    assert list(registry.snapshot()) == []
    assert registry._repr_html_().count("<tr>") == 1
    assert repr(registry) == f"<NullRegistry: 0 metrics, 0 series tags={{'a': 'b'}}, {tm.engine_name} engine>"
    registry.close()


def test_its_timings_leave_functions_as_they_are() -> None:
    async def work() -> int:
        return 1

    timed = tm.NullRegistry().timer("t").time()(work)
    assert inspect.iscoroutinefunction(timed)
    assert asyncio.run(timed()) == 1


def test_an_exception_passes_through_its_blocks() -> None:
    with pytest.raises(ValueError, match="mine"), tm.NullRegistry().timer("t").time():
        raise ValueError("mine")


def test_it_is_a_registry_with_the_same_calls() -> None:
    assert isinstance(tm.NullRegistry(), tm.Registry)
    for name in ("attach", "close", "detach", "expire", "register", "unregister", "snapshot", "info", "state", *KINDS):
        real, null = (inspect.signature(getattr(registry, name)) for registry in (tm.Registry, tm.NullRegistry))
        assert list(null.parameters) == list(real.parameters), name
