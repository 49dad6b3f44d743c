"""Zero allocations per record in steady state, on the native engine: exact, at CPython's allocators."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

import tallymark as tm
from tallymark.bench.allocations import allocations_per_op
from tallymark.engine.exponential_snapshot import ExponentialSnapshot

registry = tm.Registry(engine="native")
counter = registry.counter("requests")
keyed = registry.counter("keyed", tag_keys=("method", "status"))
gauge = registry.gauge("depth")
histogram = registry.histogram("size", buckets=tm.exponential_buckets(0.001, 2.5, 12))
timer = registry.timer("duration")
exponential = registry.histogram("exponential", exponential=True)
exponential_timer = registry.timer("exponential_duration", exponential=True)
bound = counter.with_tags(method="GET", status="200")
tags = {"method": "GET", "status": "200"}
held: list[Any] = []


@timer.time(route="/timed")
def timed() -> None:
    pass


def nothing() -> None:
    pass


RECORDS: dict[str, Callable[[], object]] = {
    "inc": lambda: counter.inc(),
    "inc with an amount": lambda: counter.inc(2.5),
    "inc with an int": lambda: counter.inc(3),
    "inc with tags": lambda: counter.inc(method="GET", status="200"),
    "inc of a bound series": lambda: bound.inc(),
    "with_tags, then inc": lambda: counter.with_tags(method="GET", status="200").inc(),
    "three with_tags, then inc": lambda: (
        counter.with_tags(service="web").with_tags(method="POST").with_tags(status="200").inc()
    ),
    "an overridden tag": lambda: bound.inc(status="500"),
    "tags from a dict": lambda: counter.with_tags(tags).inc(),
    "tags from a new dict": lambda: counter.with_tags({"method": "GET", "status": "200"}).inc(),
    "values by place, then inc": lambda: keyed.with_tags("GET", "200").inc(),
    "declared keys by keyword": lambda: keyed.inc(method="GET", status="200"),
    "declared keys, some left out": lambda: keyed.inc(status="200"),
    "tags from a tag set": lambda: counter.with_tags(bound.tags).inc(),
    "set": lambda: gauge.set(7.5),
    "dec with tags": lambda: gauge.dec(2, queue="a"),
    "observe": lambda: histogram.observe(0.7),
    "observe with tags": lambda: histogram.observe(0.7, route="/users"),
    "observe exponentially": lambda: exponential.observe(0.7),
    "observe exponentially with tags": lambda: exponential.observe(0.7, route="/users"),
    "observe exponentially below 0": lambda: exponential.observe(-0.7, route="/users"),
    "observe exponentially 0": lambda: exponential.observe(0.0),
    "record exponentially": lambda: exponential_timer.record(0.012, route="/users"),
    "record": lambda: timer.record(0.012, route="/users"),
    "record_since": lambda: timer.record_since(0.5),
    "tags": lambda: bound.tags,
    "name, unit, description": lambda: (bound.name, bound.unit, bound.description),
}


def looped(operation: Callable[[], object]) -> Callable[[Iterable[None]], None]:
    def loop(iterations: Iterable[None]) -> None:
        for _ in iterations:
            operation()

    return loop


asking = tm.Registry(engine="native", exemplars=lambda: {"trace_id": "x"})
asked_counter, asked_histogram, asked_timer = asking.counter("requests"), asking.histogram("size"), asking.timer("duration")
asked_bound = asked_counter.with_tags(method="GET", status="200")
operation = asking._operation_recorder(asking.counter("operations"), ("name", "status"), timer=asking.timer("took"))
RECORDS |= {
    f"{name}, where exemplars are asked for": record
    for name, record in {
        "inc": lambda: asked_counter.inc(),
        "inc with tags": lambda: asked_counter.inc(method="GET", status="200"),
        "inc of a bound series": lambda: asked_bound.inc(),
        "with_tags, then inc": lambda: asked_counter.with_tags(method="GET", status="200").inc(),
        "observe": lambda: asked_histogram.observe(0.7),
        "record": lambda: asked_timer.record(0.012, route="/users"),
        "an operation": lambda: operation("auth", "success", 0.1),
        "inc beside an exemplar": lambda: given_counter.inc(),
    }.items()
}  # once a second, one of these allocates: when an exemplar is replaced
given_counter = asking.counter("given")
given_counter.inc(exemplar={"trace_id": "x"})


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_allocates_nothing(record: str) -> None:
    assert allocations_per_op(looped(RECORDS[record])) == (0, 0)


def test_to_make_buckets_coarser_allocates_nothing() -> None:
    histogram = tm.Registry(engine="native", limits=tm.TagLimits(max_series=1000)).histogram("n", exponential=True)
    observe = [histogram.with_tags(i=i).observe for i in range(800)]
    for one in observe:
        one(-1.0)
    values = [sign * 2.0 ** (i * i / 30) for i in range(20) for sign in (1, -1)]
    calls = iter([(one, value) for one in observe for value in values])

    def loop(iterations: Iterable[None]) -> None:
        for _ in iterations:
            one, value = next(calls)
            one(value)

    assert allocations_per_op(loop) == (0, 0)
    read = histogram.with_tags(i=0).snapshot()
    assert isinstance(read, ExponentialSnapshot)
    assert read.scale < 8  # at which it began


def test_a_timed_block_allocates_nothing() -> None:
    def loop(iterations: Iterable[None]) -> None:
        for _ in iterations:
            with timer.time(route="/users"):
                pass

    assert allocations_per_op(loop) == (0, 0)


def test_a_timed_function_allocates_no_more_than_the_function() -> None:
    assert allocations_per_op(looped(timed)) == allocations_per_op(looped(nothing)) == (0, 0)


def test_only_the_callers_own_string_is_allocated_for_a_value_made_at_run_time() -> None:
    def makes_text(iterations: Iterable[None]) -> None:
        for _ in iterations:
            "".join(("status-", "200"))

    def records_it(iterations: Iterable[None]) -> None:
        for _ in iterations:
            counter.inc(method="GET", status="".join(("status-", "200")))

    assert allocations_per_op(records_it) == allocations_per_op(makes_text)


def counted(series: int) -> tm.Registry:
    registry = tm.Registry(engine="native", self_metrics=False, limits=tm.TagLimits(max_series=10_000))
    for i in range(series):
        registry.counter("n").inc(i / 7, method="GET", i=str(i))
    return registry


def allocated(operation: Callable[[], object]) -> float:
    return allocations_per_op(looped(operation), 20).allocs


def test_a_snapshot_makes_nothing_for_a_series() -> None:
    few, more, most = [allocated(counted(series).snapshot) for series in (10, 1000, 3000)]
    assert (more, most) == (few, few + 2)  # the numbers of each further thousand


def test_a_page_makes_nothing_for_a_series() -> None:
    snapshots = [counted(series).snapshot() for series in (1000, 3000)]
    few, many = [allocated(lambda snapshot=snapshot: tm.render_prometheus(snapshot)) for snapshot in snapshots]
    assert few == many


def test_the_count_sees_allocations() -> None:
    def loop(iterations: Iterable[None]) -> None:
        for _ in iterations:
            held.append([None] * 100)
            held.clear()

    allocs, size = allocations_per_op(loop)
    assert allocs >= 1
    assert size >= 800
