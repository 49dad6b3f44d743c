"""Exponential buckets: each value is in its bucket, no count is lost however far values spread, and both engines agree."""

from __future__ import annotations

import random
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from math import inf, isnan, nan, nextafter
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.metrics._internal.exponential_histogram.mapping.exponent_mapping import ExponentMapping
from opentelemetry.sdk.metrics._internal.exponential_histogram.mapping.logarithm_mapping import LogarithmMapping

import tallymark as tm
from tallymark.engine.exponential import TOP_SCALE, index_of, upper_bound
from tallymark.engine.exponential_snapshot import ExponentialSnapshot

on_each_engine = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

LEAST, GREATEST = 5e-324, sys.float_info.max
FINITE = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.lists(FINITE | st.floats(-4, 4) | st.integers(-9, 9).map(float), max_size=40)
SCALES = range(-4, TOP_SCALE + 1)
Q = st.floats(0, 1)


def observed(engine: Any, values: list[float]) -> ExponentialSnapshot:
    histogram = tm.Registry(engine=engine.name).histogram("n", exponential=True)
    for value in values:
        histogram.observe(value)
    read = histogram.snapshot()
    assert isinstance(read, ExponentialSnapshot)
    return read


def counts_of(buckets: Any) -> dict[int, int]:
    first, counts = buckets
    return {index: count for index, count in enumerate(counts, first) if count}


def spans(values: list[float], scale: int) -> list[int]:
    """Return how many buckets hold the values above 0 at a scale, and those below."""
    found = []
    for sign in (1, -1):
        indexes = [index_of(value * sign) >> (TOP_SCALE - scale) for value in values if value * sign > 0]
        found.append(max(indexes) - min(indexes) + 1 if indexes else 0)
    return found


# Buckets


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("octave", [-1074, -1073, -1022, -1, 0, 1, 1023])
def test_a_bound_belongs_to_the_bucket_below_it(engine: Any, scale: int, octave: int) -> None:
    for part in {0, 1, (1 << max(scale, 0)) - 1}:
        index = (octave << scale if scale >= 0 else octave >> -scale) + part
        bound = upper_bound(scale, index)
        for value, bucket in ((bound, index), (nextafter(bound, inf), index + 1)):
            if bound == upper_bound(scale, index - 1) or not 0 < value < inf:
                continue  # subnormal numbers are too coarse for this scale
            while value == upper_bound(scale, bucket + 1):
                bucket += 1
            [exact] = counts_of(observed(engine, [value]).positives)
            lower = exact >> (TOP_SCALE - scale)
            assert upper_bound(scale, lower - 1) < value <= upper_bound(scale, lower)


def test_every_bound_of_the_finest_scale_is_exact(engine: Any) -> None:
    """Of the 256 between 1 and 2: what is not above a bound to the power of 256 is not above the power of two, in integers."""
    for part in range(256):
        bound = upper_bound(TOP_SCALE, part - 1)
        mantissa = int(bound * 2**52)
        assert mantissa**256 <= 2 ** (part + 52 * 256) < (mantissa + 1) ** 256
        assert counts_of(observed(engine, [bound]).positives) == {part - 1: 1}
        assert counts_of(observed(engine, [nextafter(bound, inf)]).positives) == {part: 1}


@on_each_engine
@given(values=VALUES)
@example(values=[LEAST, GREATEST, -LEAST, -GREATEST])
@example(values=[1.0, 2.0, 4.0])
@example(values=[-0.0, 0.0])
def test_each_value_lies_in_its_bucket(engine: Any, values: list[float]) -> None:
    read = observed(engine, values)
    by = TOP_SCALE - read.scale
    assert counts_of(read.positives) == Counter(index_of(value) >> by for value in values if value > 0)
    assert counts_of(read.negatives) == Counter(index_of(-value) >> by for value in values if value < 0)
    assert read.zero_count == sum(value == 0 for value in values)
    for value in values:
        if value > 0:
            index = index_of(value) >> by
            assert upper_bound(read.scale, index - 1) < value <= upper_bound(read.scale, index)
    assert read.count == len(values)
    assert read.min == (min(values) if values else pytest.approx(nan, nan_ok=True))
    assert read.max == (max(values) if values else pytest.approx(nan, nan_ok=True))


@on_each_engine
@given(values=VALUES)
def test_the_scale_is_the_finest_at_which_160_buckets_are_enough(engine: Any, values: list[float]) -> None:
    read = observed(engine, values)
    assert max(spans(values, read.scale)) <= 160
    assert read.scale == TOP_SCALE or max(spans(values, read.scale + 1)) > 160
    assert [len(read.positives[1]), len(read.negatives[1])] == spans(values, read.scale)


def test_all_numbers_fit(engine: Any) -> None:
    read = observed(engine, [sign * 2.0**i for sign in (1, -1) for i in range(-1074, 1024)] * 2)
    assert read.scale == -4
    assert read.count == 4 * 2098


def test_what_is_not_finite_is_rejected(registry: tm.Registry) -> None:
    histogram = registry.histogram("n", exponential=True)
    for value in (nan, inf, -inf):
        histogram.observe(value)
    assert histogram.snapshot().count == 0
    rejected = registry.snapshot().find("tallymark_rejected", metric="n", reason="not_finite")
    assert rejected is not None
    assert rejected.value == 3


@pytest.mark.parametrize("scale", range(1, TOP_SCALE + 1))
def test_buckets_are_those_of_opentelemetry(scale: int) -> None:
    """Its logarithm may be wrong in the last bit, so values that nearly are a bound are left out."""
    mapping, rng = LogarithmMapping(scale), random.Random(scale)
    for _ in range(3000):
        value = 2.0 ** rng.uniform(-1000, 1000)
        index = index_of(value) >> (TOP_SCALE - scale)
        if min(abs(value / upper_bound(scale, one) - 1) for one in (index - 1, index)) > 1e-12:
            assert mapping.map_to_index(value) == index


@pytest.mark.parametrize("scale", range(-4, 1))
def test_buckets_of_coarse_scales_are_those_of_opentelemetry(scale: int) -> None:
    mapping, rng = ExponentMapping(scale), random.Random(scale)
    for value in [2.0 ** rng.uniform(-1000, 1000) for _ in range(2000)] + [2.0**i for i in range(-1022, 1024)]:
        assert mapping.map_to_index(value) == index_of(value) >> (TOP_SCALE - scale)


# Both engines


def sequence(rng: random.Random) -> Iterator[float]:
    kind = rng.randrange(5)
    spread = rng.choice((0.0001, 0.01, 1, 4, 100))
    for _ in range(rng.randrange(1, 400)):
        if kind == 0:
            yield rng.lognormvariate(0, min(spread, 4))
        elif kind == 1:
            yield rng.choice((-1, 1)) * 2.0 ** rng.uniform(-spread, spread)
        elif kind == 2:
            [value] = struct.unpack("d", struct.pack("Q", rng.getrandbits(64)))
            yield value if abs(value) <= GREATEST else 0.0
        elif kind == 3:
            yield float(rng.randrange(-3, 100))
        else:
            yield 2.0 ** rng.randrange(-1074, 1024)


@pytest.mark.parametrize("seed", range(60))
def test_both_engines_agree_to_the_last_bit(seed: int) -> None:
    native, reference = (tm.Registry(engine=name).histogram("n", exponential=True) for name in ("native", "reference"))  # type: ignore[arg-type]
    for n, value in enumerate(sequence(random.Random(seed))):
        native.observe(value)
        reference.observe(value)
        if n % 50 == 0:
            assert repr(native.snapshot()._values()) == repr(reference.snapshot()._values())
    assert repr(native.snapshot()._values()) == repr(reference.snapshot()._values())


# Quantiles


@on_each_engine
@given(values=st.lists(FINITE, min_size=1, max_size=40), q=Q)
@example(values=[0.0], q=0.5)
@example(values=[LEAST, GREATEST, -GREATEST], q=0.5)
def test_a_quantile_is_as_exact_as_it_says(engine: Any, values: list[float], q: float) -> None:
    read = observed(engine, values)
    rank = q * len(values)
    true = next(value for below, value in enumerate(sorted(values), 1) if below >= rank)
    estimate = read.quantile(q)
    assert min(values) <= estimate <= max(values)
    tiny = abs(true) < 1e-300  # numbers this small are not as close to each other as bounds are
    assert tiny or abs(estimate - true) <= abs(true) * read.relative_error * (1 + 1e-9)
    assert (read.quantile(0), read.quantile(1)) == (min(values), max(values))


@pytest.mark.parametrize(("scale", "error"), [(8, 0.00135), (3, 0.0433), (0, 1 / 3), (-4, 1.0)])
def test_the_relative_error_follows_from_the_scale(scale: int, error: float) -> None:
    read = ExponentialSnapshot(scale, 0, (0, (1,)), (0, ()), 1.0, 1.0, 1.0)
    assert read.relative_error == pytest.approx(error, rel=0.005)


def test_other_buckets_have_no_relative_error(registry: tm.Registry) -> None:
    assert isnan(registry.histogram("n", buckets=(1,)).snapshot().relative_error)


def test_of_nothing_there_is_no_quantile(engine: Any) -> None:
    read = observed(engine, [])
    assert isnan(read.quantile(0.5))
    assert (read.scale, read.positives, read.negatives, read.bounds) == (TOP_SCALE, (0, ()), (0, ()), (0.0,))
    with pytest.raises(ValueError, match="within 0 and 1"):
        read.quantile(1.5)


@on_each_engine
@given(first=VALUES, second=VALUES)
def test_merged_is_as_if_one_had_observed_all(engine: Any, first: list[float], second: list[float]) -> None:
    both, merged = observed(engine, first + second), observed(engine, first).merged(observed(engine, second))
    assert (merged.scale, merged.positives, merged.negatives) == (both.scale, both.positives, both.negatives)
    assert (merged.count, merged.zero_count) == (both.count, both.zero_count)
    assert repr((merged.min, merged.max)) == repr((both.min, both.max)) or merged.min == both.min


def test_explicit_bounds_are_not_merged_with_exponential_ones(engine: Any) -> None:
    explicit = tm.Registry(engine=engine.name).histogram("n", buckets=(1,)).snapshot()
    for one, other in ((observed(engine, [1.0]), explicit), (explicit, observed(engine, [1.0]))):
        with pytest.raises(ValueError, match="merged"):
            one.merged(other)


# A series


def test_a_series_that_is_removed_begins_anew(registry: tm.Registry) -> None:
    histogram = registry.histogram("n", exponential=True)
    bound = histogram.with_tags(a="1")
    for _ in range(3):
        for value in (1e-300, -1e300, 5.0, 0.0):
            bound.observe(value)
        assert bound.snapshot().count == 4
        bound.remove()
        bound.observe(3.0)
        read: Any = bound.snapshot()
        assert (read.count, read.scale, read.zero_count, read.negatives) == (1, TOP_SCALE, 0, (0, ()))
        bound.remove()


def test_a_series_expires_unless_it_is_recorded_to(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    registry = tm.Registry(engine=engine.name)
    histogram = registry.histogram("n", exponential=True, ttl=10)
    for sign, tag in ((1, "above"), (-1, "below"), (0, "zero")):
        histogram.observe(sign, a=tag)
    histogram.observe(1, a="idle")
    registry.snapshot()
    now[0] = 8.0
    for sign, tag in ((1, "above"), (-1, "below"), (0, "zero")):
        histogram.observe(sign, a=tag)
    registry.snapshot()
    now[0] = 12.0
    assert sorted(one.tags["a"] for one in registry.snapshot()["n"]) == ["above", "below", "zero"]


def test_a_first_number_below_0_finds_its_series(registry: tm.Registry) -> None:
    """With tags or without, live, dormant or not there yet, and where the metric is full."""
    histogram = registry.histogram("n", exponential=True, limits=tm.TagLimits(max_series=2))
    histogram.observe(-1)
    histogram.observe(-2, a="1")
    held = histogram.with_tags(a="2")
    held.observe(-3)
    held.remove()
    held.observe(-4)
    histogram.observe(-5, a="3")
    histogram.observe(-6, a="3")
    found = {one.tags.get("a", one.tags.get("overflow")): one.histogram for one in registry.snapshot()["n"]}
    assert {tag: (one.count, one.sum) for tag, one in found.items()} == {
        None: (1, -1), "1": (1, -2), "2": (1, -4), "true": (2, -11),
    }  # fmt: skip
    for wrong in ({"amount": 1}, {"value": 1}, {"a": {}}, {"a": "1", "exemplar": 5}):
        with pytest.raises(TypeError):
            histogram.with_tags(a="1").observe(-1, **wrong)  # type: ignore[arg-type]


def test_a_first_number_below_0_may_have_many_tags_or_an_exemplar(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, limits=tm.TagLimits(max_tags=50))
    histogram = registry.histogram("n", exponential=True)
    histogram.observe(-1, **{f"tag{i}": i for i in range(40)})
    histogram.observe(-1, exemplar={"trace_id": "4f79"}, a="1")
    histogram.observe(-1, exemplar={"trace_id": "4f79"})
    for one in registry.snapshot()["n"]:
        read: Any = one.histogram
        assert (read.negatives, read.zero_count) == ((-1, (1,)), 0)
    assert len(registry.snapshot()["n"]) == 3


def test_a_registry_that_was_unregistered_from_takes_numbers_below_0(registry: tm.Registry) -> None:
    histogram = registry.histogram("n", exponential=True)
    histogram.observe(-1)
    registry.unregister("n")
    registry.counter("n")
    histogram.observe(-1)  # rejected: another metric has the name
    rejected = registry.snapshot().find("tallymark_rejected", metric="n", reason="name_taken")
    assert rejected is not None
    assert rejected.value == 1


# Making them


def test_the_option_is_compared_as_the_others_are(registry: tm.Registry) -> None:
    histogram = registry.histogram("n", exponential=True)
    assert registry.histogram("n") is histogram
    assert registry.histogram("n", exponential=True) is histogram
    assert histogram.bounds == ()
    for other in ({"buckets": (1, 2)}, {"exponential": False}):
        with pytest.raises(tm.MetricConflictError, match="exists already with bounds 'exponential'"):
            registry.histogram("n", **other)  # type: ignore[arg-type]
    registry.timer("t", buckets=(1,))
    with pytest.raises(tm.MetricConflictError, match="'exponential' needs another name"):
        registry.timer("t", exponential=True)


def test_bounds_and_exponential_buckets_exclude_each_other(registry: tm.Registry) -> None:
    with pytest.raises(ValueError, match="histogram 'n': exponential buckets find their bounds themselves: leave out buckets="):
        registry.histogram("n", buckets=(1,), exponential=True)
    with pytest.raises(TypeError, match="timer 'n': exponential must be a bool, not list"):
        registry.timer("n", exponential=[1])  # type: ignore[arg-type]
    assert "n" not in registry.snapshot()


def test_a_registry_can_make_them_its_default(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, exponential=True)
    assert registry.histogram("a").bounds == registry.timer("b").bounds == ()
    assert registry.histogram("c", buckets=(1,)).bounds == (1,)
    assert registry.timer("d", exponential=False).bounds == tm.DURATION_BUCKETS
    assert registry.timer("d").bounds == tm.DURATION_BUCKETS
    ops = tm.OperationalMetrics(registry)
    ops.record_operation("auth", "success", 0.25)
    [duration] = registry.snapshot()["operation_duration"]
    assert isinstance(duration.histogram, ExponentialSnapshot)
    with tm.use(registry):
        tm.timer("e").record(1)
        assert tm.timer("e").bounds == ()


def test_a_function_is_timed(registry: tm.Registry) -> None:
    timer = registry.timer("took", exponential=True)

    @timer.time(route="/")
    def work() -> None:
        pass

    work()
    with timer.time(route="/"):
        pass
    assert timer.with_tags(route="/").snapshot().count == 2
