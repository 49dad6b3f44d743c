"""Quantiles estimated from buckets, compared with those of all observations."""

from __future__ import annotations

from math import inf, isfinite, nan
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import tallymark as tm

on_each_engine = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)
ANY_VALUES = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8)
BOUNDS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12, unique_by=lambda bound: bound + 0.0).map(sorted)
Q = st.floats(0, 1)


def observed(engine: Any, values: list[float], bounds: list[float]) -> tm.HistogramSnapshot:
    histogram = tm.Registry(engine=engine.name).histogram("n", buckets=bounds)
    for value in values:
        histogram.observe(value)
    return histogram.snapshot()


def width_around(value: float, snapshot: tm.HistogramSnapshot) -> float:
    """Return the width of the bucket that holds `value`, narrowed to what was observed."""
    edges = zip((-inf, *snapshot.bounds), (*snapshot.bounds, inf), strict=True)
    lower, upper = next((lower, upper) for lower, upper in edges if value <= upper)
    return min(upper, snapshot.max) - max(lower, snapshot.min)


@on_each_engine
@given(values=VALUES, bounds=BOUNDS, q=Q)
def test_the_error_is_at_most_the_width_of_the_bucket(engine: Any, values: list[float], bounds: list[float], q: float) -> None:
    snapshot = observed(engine, values, bounds)
    rank = q * len(values)
    true = next(value for below, value in enumerate(sorted(values), 1) if below >= rank)
    assert abs(snapshot.quantile(q) - true) <= width_around(true, snapshot) * (1 + 1e-9) + 1e-9


@on_each_engine
@given(values=VALUES, bounds=BOUNDS, q=Q)
@example(values=[0.1, 0.3], bounds=[1.0], q=1.0)
def test_an_estimate_never_leaves_the_observed_range(engine: Any, values: list[float], bounds: list[float], q: float) -> None:
    snapshot = observed(engine, values, bounds)
    assert min(values) <= snapshot.quantile(q) <= max(values)


@on_each_engine
@given(values=ANY_VALUES, q=Q)
@example(values=[-1.7e308, 1.7e308], q=0.5)
@example(values=[-1.7e308, 1.7e308], q=0.0)
def test_an_estimate_is_finite_however_far_the_values_are_apart(engine: Any, values: list[float], q: float) -> None:
    estimate = observed(engine, values, [0.0]).quantile(q)
    assert isfinite(estimate)
    assert min(values) <= estimate <= max(values)


@on_each_engine
@given(values=VALUES, bounds=BOUNDS, one=Q, two=Q)
def test_a_higher_quantile_is_never_lower(
    engine: Any, values: list[float], bounds: list[float], one: float, two: float
) -> None:
    snapshot = observed(engine, values, bounds)
    low, high = sorted((one, two))
    assert snapshot.quantile(low) <= snapshot.quantile(high)


@on_each_engine
@given(values=VALUES, bounds=BOUNDS)
@example(values=[-1.1, 0.7], bounds=[5.0])
def test_the_outermost_quantiles_are_exact(engine: Any, values: list[float], bounds: list[float]) -> None:
    snapshot = observed(engine, values, bounds)
    assert snapshot.quantile(0) == min(values)
    assert snapshot.quantile(1) == max(values)


@on_each_engine
@given(values=VALUES, bounds=BOUNDS)
def test_the_columns_agree_with_all_observations(engine: Any, values: list[float], bounds: list[float]) -> None:
    snapshot = observed(engine, values, bounds)
    assert snapshot.count == len(values)
    assert (snapshot.min, snapshot.max) == (min(values), max(values))
    total = 0.0
    for value in values:
        total += value
    assert snapshot.sum == total
    for bound, below in zip(bounds, range(1, len(bounds) + 1), strict=True):
        assert sum(snapshot.bucket_counts[:below]) == sum(value <= bound for value in values)


@on_each_engine
@given(value=st.floats(-1e6, 1e6), q=Q)
def test_of_one_observation_every_quantile_is_exact(engine: Any, value: float, q: float) -> None:
    assert observed(engine, [value], [0.0, 10.0]).quantile(q) == value


@pytest.mark.parametrize("q", [-0.1, 1.1, nan, inf, 99])
def test_a_quantile_outside_zero_to_one_is_a_value_error(registry: tm.Registry, q: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        registry.histogram("n").snapshot().quantile(q)
