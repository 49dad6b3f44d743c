"""`tm.delta`: what was recorded between two snapshots of one registry."""

from __future__ import annotations

import math
import random
from math import inf, isnan, nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tallymark as tm
from tallymark.engine.exponential import rescaled
from tallymark.engine.exponential_snapshot import ExponentialSnapshot
from tallymark.frozen import replace

Records = list[tuple[str, str, float]]

NUMBERS = st.integers(-50, 50).map(lambda n: n / 4)
RECORDS = st.lists(st.tuples(st.sampled_from(["counter", "gauge", "histogram"]), st.sampled_from("abc"), NUMBERS), max_size=25)


def snapshot(*families: tm.FamilySnapshot, time: float = 0.0) -> tm.Snapshot:
    return tm.Snapshot(families, time)


def record(registry: tm.Registry, records: Records) -> None:
    for kind, tag, number in records:
        if kind == "counter":
            registry.counter("counter").inc(abs(number), a=tag)
        elif kind == "gauge":
            registry.gauge("gauge").set(number, a=tag)
        else:
            registry.histogram("histogram", buckets=(-2, 0, 3)).observe(number, a=tag)


def held(snapshot: tm.Snapshot) -> dict[tuple[str, str], Any]:
    """Return what each series holds, in a form that can be added up."""
    found: dict[tuple[str, str], Any] = {}
    for one in snapshot:
        if "a" in one.tags:
            value = (one.value,) if one.kind != "histogram" else (*one.histogram.bucket_counts, one.sum)
            found[one.name, one.tags["a"]] = value
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=4))
def test_differences_add_up_to_the_whole(parts: list[Records]) -> None:
    registry = tm.Registry()
    before, total = registry.snapshot(), {}
    for records in parts:
        record(registry, records)
        after = registry.snapshot()
        between = tm.delta(before, after)
        assert between.time == after.time
        assert [family.name for family in between.families] == [family.name for family in after.families]
        assert [family.exposition_name for family in between.families] == [one.exposition_name for one in after.families]
        for key, value in held(between).items():
            total[key] = tuple([a + b for a, b in zip(total.get(key, (0.0,) * len(value)), value, strict=True)])
        assert total == held(after)
        before = after


@settings(max_examples=60, deadline=None)
@given(RECORDS, RECORDS)
def test_a_difference_is_what_a_fresh_registry_would_have(first: Records, second: Records) -> None:
    registry, fresh = tm.Registry(), tm.Registry()
    record(registry, first)
    before = registry.snapshot()
    record(registry, second)
    record(fresh, second)
    between, alone = held(tm.delta(before, registry.snapshot())), held(fresh.snapshot())
    for key, value in between.items():
        if key[0] != "gauge":
            assert value == alone.get(key, (0.0,) * len(value))


@settings(max_examples=60, deadline=None)
@given(st.lists(NUMBERS, max_size=8), st.lists(NUMBERS, max_size=8))
def test_extremes_are_exact_or_the_edges_of_what_changed(first: list[float], second: list[float]) -> None:
    histogram = tm.Registry().histogram("n", buckets=(-2, 0, 3))
    parts = []
    for numbers in (first, second):
        for number in numbers:
            histogram.observe(number)
        parts.append(snapshot(tm.family("histogram", "n", [({}, histogram.snapshot())])))
    [one] = tm.delta(*parts)
    found = one.histogram
    assert found.count == len(second)
    if not second:
        assert isnan(found.min)
        assert isnan(found.max)
        return
    assert found.min <= min(second)
    assert found.max >= max(second)
    assert found.min <= found.max
    edges = (-inf, -2.0, 0.0, 3.0, inf)
    assert found.min in (min(second), min(first + second), *edges)
    if not first:
        assert (found.min, found.max) == (min(second), max(second))


# Series that come and go


def test_nothing_between_is_zero_not_absent(registry: tm.Registry) -> None:
    registry.counter("n").inc(5)
    registry.timer("took").record(1)
    before = registry.snapshot()
    between = tm.delta(before, registry.snapshot())
    assert [one.value for one in between["n"]] == [0]
    [took] = between["took"]
    assert (took.count, took.sum) == (0, 0)
    assert isnan(took.histogram.min)
    assert isnan(took.histogram.max)


def test_a_new_series_and_a_new_metric_are_there_whole(registry: tm.Registry) -> None:
    registry.counter("n").inc(5, a="1")
    before = registry.snapshot()
    registry.counter("n").inc(2, a="2")
    registry.gauge("depth").set(7)
    between = tm.delta(before, registry.snapshot())
    assert [(one.tags["a"], one.value) for one in between["n"]] == [("1", 0), ("2", 2)]
    assert [one.value for one in between["depth"]] == [7]


def test_a_series_or_metric_that_is_gone_is_left_out(registry: tm.Registry) -> None:
    counter = registry.counter("n")
    counter.inc(5, a="1")
    counter.inc(6, a="2")
    registry.gauge("depth").set(7)
    before = registry.snapshot()
    counter.with_tags(a="1").remove()
    registry.unregister("depth")
    between = tm.delta(before, registry.snapshot())
    assert [(one.tags["a"], one.value) for one in between["n"]] == [("2", 0)]
    assert "depth" not in between


@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram", "timer"])
def test_a_series_that_was_removed_and_came_back_has_started_from_nothing(
    engine: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        now = 1_000.0
        time = monotonic = lambda self: self.now

    clock = Clock()
    monkeypatch.setattr("tallymark.metric.registry.time", clock)
    registry = tm.Registry(engine=engine.name)
    instrument = getattr(registry, kind)("n")
    record = getattr(instrument, {"counter": "inc", "gauge": "inc", "histogram": "observe", "timer": "record"}[kind])
    for _ in range(3):
        record(1)
    before = registry.snapshot()
    instrument.remove()
    clock.now += 1.0
    for _ in range(5):
        record(1)
    [one] = tm.delta(before, registry.snapshot())["n"]
    assert (one.value if hasattr(one, "value") else one.count) == 5


def test_a_metric_of_another_kind_has_nothing_before(registry: tm.Registry) -> None:
    registry.counter("n").inc(5)
    before = registry.snapshot()
    registry.unregister("n")
    registry.gauge("n").set(3)
    assert [one.value for one in tm.delta(before, registry.snapshot())["n"]] == [3]


def test_rows_may_be_in_another_order() -> None:
    before = snapshot(tm.family("counter", "n", [({"a": "1"}, 1), ({"a": "2"}, 20)]))
    after = snapshot(tm.family("counter", "n", [({"a": "2"}, 25), ({"a": "3"}, 300), ({"a": "1"}, 2)]))
    assert [one.value for one in tm.delta(before, after)] == [5, 300, 1]


def test_series_that_come_and_go_are_found_among_many(registry: tm.Registry) -> None:
    counter, histogram = (getattr(registry, kind)(kind) for kind in ("counter", "histogram"))
    for i in range(600):
        counter.inc(i, a=i)
        histogram.observe(i, a=i)
    before = registry.snapshot()
    for i in (3, 300, 599):
        counter.with_tags(a=i).remove()
        histogram.with_tags(a=i).remove()
    for i in range(500, 700):
        counter.inc(0.5, a=i)
        histogram.observe(0.5, a=i)
    between = tm.delta(before, registry.snapshot())
    wanted = {str(i): 0.5 if i >= 500 else 0.0 for i in range(700) if i not in (3, 300)}
    assert {one.tags["a"]: one.value for one in between["counter"]} == wanted
    assert {one.tags["a"]: one.sum for one in between["histogram"]} == wanted
    assert {one.tags["a"]: one.count for one in between["histogram"]} == {tag: int(new > 0) for tag, new in wanted.items()}


# Kinds


def test_gauges_and_sums_that_may_fall_can_stay_absolute(registry: tm.Registry) -> None:
    registry.counter("n").inc(5)
    registry.gauge("depth").set(7)
    falling = tm.FamilySnapshot("tasks", "gauge", "", "", tm.SumData((tm.TagSet(),), (1.0,), (9.0,), False))
    before = registry.snapshot()
    registry.counter("n").inc(2)
    registry.gauge("depth").set(4)
    after = registry.snapshot()
    both = [replace(one, families=(*one.families, falling)) for one in (before, after)]
    between = tm.delta(*both, absolute_gauges=True)
    assert [one.value for one in between["n"]] == [2]
    assert [one.value for one in between["depth"]] == [4]
    assert [one.value for one in between["tasks"]] == [9]


def test_what_adds_up_tells_what_was_added_and_the_rest_as_documented() -> None:
    def family(kind: Any, *values: Any) -> tm.Snapshot:
        return snapshot(tm.family(kind, "n", [({"state": str(i)}, value) for i, value in enumerate(values)]))

    assert [one.value for one in tm.delta(family("gauge", 5.0, 1.0), family("gauge", 3.0, 1.5))] == [-2, 0.5]
    assert [one.value for one in tm.delta(family("info", 1, 1), family("info", 1, 1))] == [1, 1]
    assert [one.value for one in tm.delta(family("stateset", 1, 0), family("stateset", 1, 0))] == [1, 0]
    [one] = tm.delta(family("summary", (3, 4.5)), family("summary", (5, 4.0)))
    assert (one.count, one.sum) == (2, -0.5)
    assert type(one.count) is int


def test_a_gauge_that_processes_add_up_may_fall() -> None:
    def falling(value: float) -> tm.Snapshot:
        return snapshot(tm.FamilySnapshot("n", "gauge", "", "", tm.SumData((tm.TagSet(),), (1.0,), (value,), False)))

    [one] = tm.delta(falling(5.0), falling(2.0))
    assert one.value == -3
    assert one.family.data == tm.SumData((tm.TagSet(),), (1.0,), (-3.0,), False)


def test_a_total_that_fell_has_begun_anew() -> None:
    total = lambda value: snapshot(tm.family("counter", "n", [({}, value)]))  # noqa: E731
    assert [one.value for one in tm.delta(total(10), total(3))] == [3]
    summary = lambda *value: snapshot(tm.family("summary", "n", [({}, value)]))  # noqa: E731
    [one] = tm.delta(summary(10, 100.0), summary(2, 7.0))
    assert (one.count, one.sum) == (2, 7)
    one_two = tm.HistogramSnapshot((1.0,), (1, 2), 5.0, 0.5, 3.0)
    two_one = tm.HistogramSnapshot((1.0,), (2, 1), 4.0, 0.5, 3.0)
    [one] = tm.delta(*[snapshot(tm.family("histogram", "n", [({}, value)])) for value in (one_two, two_one)])
    assert one.histogram == two_one


def test_an_exemplar_is_new_once(registry: tm.Registry) -> None:
    counter = registry.counter("n")
    counter.inc(exemplar={"id": "1"}, a="1")
    counter.inc(exemplar={"id": "2"}, a="2")
    before = registry.snapshot()
    counter.inc(exemplar={"id": "3"}, a="2")
    after = registry.snapshot()
    ids = [[dict(each.labels)["id"] for each in one.exemplars] for one in tm.delta(before, after)["n"]]
    assert ids == [[], ["3"]]
    assert tm.delta(after, after)["n"].data.exemplars == ()


def test_a_callback_that_counts_anew_is_not_negative(registry: tm.Registry) -> None:
    totals = iter((10, 3))
    registry.counter("n", callback=lambda: next(totals))
    assert [one.value for one in tm.delta(registry.snapshot(), registry.snapshot())["n"]] == [3]


def test_a_distribution_with_other_bounds_is_there_whole() -> None:
    before = tm.HistogramSnapshot((1.0,), (1, 2), 5.0, 0.5, 3.0)
    after = tm.HistogramSnapshot((1.0, 2.0), (1, 2, 3), 9.0, 0.5, 3.0)
    [one] = tm.delta(*[snapshot(tm.family("histogram", "n", [({}, value)])) for value in (before, after)])
    assert one.histogram == after


def exponential(scale: int, zeros: int, positives: Any, negatives: Any = (0, ()), *ends: float) -> tm.Snapshot:
    columns = [(scale,), (zeros,), (positives,), (negatives,), *[(end,) for end in ends or (0.0, nan, nan)]]
    data = tm.ExponentialHistogramData((tm.TagSet(),), (0.0,), *columns)
    return snapshot(tm.FamilySnapshot("n", "histogram", "", "", data))


def test_exponential_buckets_that_became_coarser_tell_what_was_added() -> None:
    before = exponential(1, 1, (1, (2, 3)), (0, (1,)), 20.0, -1.2, 2.5)
    after = exponential(0, 3, (0, (2, 3, 4)), (0, (1,)), 50.0, -1.2, 7.0)
    [one] = tm.delta(before, after)["n"]
    read = one.histogram
    assert isinstance(read, ExponentialSnapshot)
    assert (read.scale, read.zero_count, read.positives, read.negatives) == (0, 2, (2, (4,)), (0, ()))
    assert (read.count, read.sum, read.min, read.max) == (6, 30.0, 0.0, 7.0)


def test_exponential_buckets_without_a_change_are_empty() -> None:
    both = exponential(1, 1, (1, (2, 3)), (0, (1,)), 20.0, -1.2, 2.5)
    [one] = tm.delta(both, both)["n"]
    assert one.count == 0
    assert one.sum == 0
    assert isnan(one.histogram.min)


def test_exponential_buckets_that_are_the_same_at_a_coarser_scale_are_empty() -> None:
    before, after = exponential(1, 1, (2, (2, 3)), (4, (1,))), exponential(0, 1, (0, (0, 5)), (2, (1, 0)), 1.0, -4.0, 4.0)
    [one] = tm.delta(before, after)["n"]
    assert (one.count, one.sum) == (0, 0)
    assert isnan(one.histogram.max)


@pytest.mark.parametrize(
    "before", [exponential(0, 9, (0, (1,))), exponential(0, 0, (0, (1, 9))), exponential(-1, 0, (0, (1,)))]
)
def test_exponential_buckets_that_began_anew_are_there_whole(before: tm.Snapshot) -> None:
    after = exponential(0, 1, (0, (1, 2)), (0, ()), 5.0, 0.0, 3.0)
    assert tm.delta(before, after) == after


@pytest.mark.parametrize("seed", range(20))
def test_exponential_deltas_add_up(registry: tm.Registry, seed: int) -> None:
    """What was recorded between two readings is what another histogram has, which recorded only that, at the same scale."""
    rng = random.Random(seed)
    values = [rng.choice((-1, 1, 1)) * rng.lognormvariate(0, rng.choice((0.01, 3))) for _ in range(60)]
    n = rng.randrange(60)
    histogram = registry.histogram("n", exponential=True)
    alone = registry.histogram("alone", exponential=True)
    for value in values[:n]:
        histogram.observe(value)
    before = registry.snapshot()
    for value in values[n:]:
        histogram.observe(value)
        alone.observe(value)
    [read] = [one.histogram for one in tm.delta(before, registry.snapshot())["n"]]
    wanted = alone.snapshot()
    assert isinstance(read, ExponentialSnapshot)
    assert isinstance(wanted, ExponentialSnapshot)
    by = wanted.scale - read.scale
    assert (read.positives, read.negatives) == (rescaled(wanted.positives, by), rescaled(wanted.negatives, by))
    assert read.count == wanted.count
    if read.count:
        assert read.min <= wanted.min <= wanted.max <= read.max


# Odd numbers


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        (nan, 1.0, nan), (1.0, nan, nan), (nan, nan, 0.0), (inf, inf, 0.0), (-inf, -inf, 0.0), (1.0, inf, inf),
        (inf, 1.0, -inf), (-inf, inf, inf), (0.0, -0.0, 0.0), (1e308, -1e308, -inf),
    ],
)  # fmt: skip
def test_odd_numbers_are_subtracted_as_doubles_are(before: float, after: float, moved: float) -> None:
    [one] = tm.delta(*[snapshot(tm.family("gauge", "n", [({}, value)])) for value in (before, after)])
    assert one.value == moved or (isnan(one.value) and isnan(moved))
    assert math.copysign(1.0, one.value) == math.copysign(1.0, moved) or isnan(moved)


def test_a_sum_of_observations_that_overflowed_stays_a_number(registry: tm.Registry) -> None:
    histogram = registry.histogram("n")
    for _ in range(2):
        histogram.observe(1.7e308)
    before = registry.snapshot()
    histogram.observe(1.0)
    [one] = tm.delta(before, registry.snapshot())["n"]
    assert one.count == 1
    assert one.sum == 0


# Pure


def test_neither_snapshot_changes(registry: tm.Registry) -> None:
    registry.counter("n").inc(5)
    registry.timer("took").record(1)
    before = registry.snapshot()
    registry.counter("n").inc(2)
    after = registry.snapshot()
    texts = [tm.render_prometheus(one) for one in (before, after)]
    tm.delta(before, after)
    assert [tm.render_prometheus(one) for one in (before, after)] == texts


def test_a_difference_is_a_snapshot_as_any(registry: tm.Registry) -> None:
    registry.counter("a.b").inc(5, a="1")
    before = registry.snapshot()
    registry.counter("a.b").inc(2, a="1")
    between = tm.delta(before, registry.snapshot())
    assert b'a_b_total{a="1"} 2.0\n' in tm.render_prometheus(between)
    found = between.find("a.b", a="1")
    assert found is not None
    assert found.value == 2
    assert found.created == next(iter(before["a.b"])).created
    assert tm.delta(replace(before, families=()), between) == between
    assert tm.delta(between, replace(before, families=())).families == ()
