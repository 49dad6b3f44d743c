"""Real threads, switched as often as CPython can: nothing is lost, and nothing is made twice."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from threading import Barrier, Thread
from typing import Any

import pytest

import tallymark as tm
from tallymark.metric.snapshot import FamilySnapshot

THREADS = 4
KINDS = {"counter": "inc", "gauge": "inc", "histogram": "observe", "timer": "record"}


@pytest.fixture(autouse=True)
def frantic() -> Iterator[None]:
    """Switch threads as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(*works: Callable[[], object]) -> None:
    """Run each in a thread of its own, all at once; raise what one of them raises."""
    start = Barrier(len(works))
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        start.wait()
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def times(count: int, call: Callable[[], object]) -> Callable[[], None]:
    def work() -> None:
        for _ in range(count):
            call()

    return work


def total(registry: tm.Registry, name: str = "n") -> float:
    return sum(one.histogram.sum if one.family.bounds else one.value for one in registry.snapshot()[name])


@pytest.mark.parametrize("kind", KINDS)
def test_no_record_to_one_series_is_lost(registry: tm.Registry, kind: str) -> None:
    record = getattr(getattr(registry, kind)("n"), KINDS[kind])
    together(*[times(5000, lambda: record(1))] * THREADS)
    assert total(registry) == 5000 * THREADS


def test_no_observation_is_lost_while_exponential_buckets_become_coarser(registry: tm.Registry) -> None:
    histogram = registry.histogram("n", exponential=True)

    def work(base: float) -> Callable[[], None]:
        return lambda: [histogram.observe(base ** (i - 100)) for i in range(200)] and None

    together(*[work(base) for base in (1.001, 1.3, 2.0, -2.0)])
    read = histogram.snapshot()
    assert read.count == 4 * 200
    assert read.quantile(1) == 2.0**99


def test_gauges_go_up_and_down_without_loss(registry: tm.Registry) -> None:
    gauge = registry.gauge("n")
    together(times(5000, gauge.inc), times(5000, gauge.dec), times(5000, gauge.inc), times(5000, lambda: gauge.dec(1, a="x")))
    assert (gauge.value, gauge.with_tags(a="x").value) == (5000, -5000)


def test_the_columns_of_a_histogram_agree(registry: tm.Registry) -> None:
    histogram = registry.histogram("n", buckets=[0, 1, 2])
    together(*[times(3000, lambda value=value: histogram.observe(value)) for value in (-1, 1, 2, 3)])
    seen = histogram.snapshot()
    assert seen.bucket_counts == (3000, 3000, 3000, 3000)
    assert (seen.sum, seen.min, seen.max) == (15000.0, -1.0, 3.0)


def test_a_reading_of_one_series_is_never_torn(registry: tm.Registry) -> None:
    histogram = registry.histogram("n", buckets=[1])
    seen: list[tm.HistogramSnapshot] = []
    together(times(5000, lambda: histogram.observe(1)), times(1000, lambda: seen.append(histogram.snapshot())))
    assert all(one.sum == one.count for one in seen)
    assert [one.count for one in seen] == sorted(one.count for one in seen)


@pytest.mark.parametrize("kind", KINDS)
def test_threads_that_create_the_same_series_get_one_object(registry: tm.Registry, kind: str) -> None:
    root = getattr(registry, kind)("n")
    for i in range(100):
        got: list[Any] = []

        def create(i: int = i, got: list[Any] = got) -> None:
            got.append(root.with_tags(a=i))
            getattr(root, KINDS[kind])(1, a=i)

        together(*[create] * THREADS)
        assert len({id(one) for one in got}) == 1
    assert total(registry) == 100 * THREADS
    assert len(registry.snapshot()["n"]) == 100


def test_threads_that_create_the_same_metric_get_one_object(registry: tm.Registry) -> None:
    for i in range(100):
        got: list[Any] = []
        together(*[lambda i=i, got=got: got.append(registry.counter(f"n{i}"))] * THREADS)
        assert len({id(one) for one in got}) == 1


def test_creation_at_once_never_exceeds_max_series(registry: tm.Registry) -> None:
    root = registry.counter("n", limits=tm.TagLimits(max_series=20))

    def create(me: int) -> None:
        for i in range(200):
            root.inc(who=f"{me}.{i}")

    together(*[lambda me=me: create(me) for me in range(THREADS)])
    family = registry.snapshot()["n"]
    assert len([one for one in family if "overflow" not in one.tags]) == 20
    assert total(registry) == 200 * THREADS


@pytest.mark.parametrize("kind", KINDS)
def test_records_during_snapshots_are_not_lost(registry: tm.Registry, kind: str) -> None:
    root = getattr(registry, kind)("n", ttl=1000)
    record = getattr(root, KINDS[kind])
    together(
        times(3000, lambda: record(1)),
        times(1000, lambda: record(1, a="1")),
        times(150, registry.snapshot),
        times(150, registry.expire),
    )
    assert total(registry) == 4000


def test_a_counter_never_goes_down_between_snapshots(registry: tm.Registry) -> None:
    counter = registry.counter("n")
    seen: list[float] = []
    together(times(5000, counter.inc), times(300, lambda: seen.append(total(registry))))
    assert seen == sorted(seen)


@pytest.mark.parametrize("disturbance", ["remove", "unregister"])
@pytest.mark.parametrize("kind", KINDS)
def test_records_during_removal_never_go_into_the_void(registry: tm.Registry, kind: str, disturbance: str) -> None:
    root = getattr(registry, kind)("n")
    bound = root.with_tags(a="1")
    record = getattr(bound, KINDS[kind])
    disturb = bound.remove if disturbance == "remove" else lambda: registry.unregister("n")
    together(times(3000, lambda: record(1)), times(1000, disturb), times(100, registry.snapshot))
    before = total(registry) if "n" in registry.snapshot() else 0
    assert 0 <= before <= 3000
    record(1)
    assert total(registry) == before + 1
    assert root.with_tags(a="1") is bound


def test_rejections_of_several_threads_are_all_counted(registry: tm.Registry) -> None:
    counter = registry.counter("n")
    together(*[times(500, lambda: counter.inc(-1))] * THREADS)
    assert total(registry, "tallymark_rejected") == 500 * THREADS


def test_a_census_that_another_reading_interrupts_has_a_size_for_each_metric(
    registry: tm.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.counter("n").inc()
    size, interrupted = FamilySnapshot.__len__, []

    def read_meanwhile(family: FamilySnapshot) -> int:
        if not interrupted:
            interrupted.append(True)
            registry.counter("m").inc()
            together(registry.snapshot)
        return size(family)

    monkeypatch.setattr(FamilySnapshot, "__len__", read_meanwhile)
    assert [(series.tags["metric"], series.value) for series in registry.snapshot()["tallymark_series"]] == [("n", 1)]
