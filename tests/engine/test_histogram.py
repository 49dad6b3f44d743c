"""`Histogram`: how values are distributed over buckets."""

from __future__ import annotations

from datetime import timedelta
from math import inf, isnan, nan
from typing import Any

import pytest

import tallymark as tm


@pytest.fixture
def sizes(registry: tm.Registry) -> tm.Histogram:
    return registry.histogram("size", buckets=[1, 2, 5])


def test_an_empty_histogram_has_no_minimum_maximum_mean_or_quantile(sizes: tm.Histogram) -> None:
    empty = sizes.snapshot()
    assert (empty.count, empty.sum, empty.bounds, empty.bucket_counts) == (0, 0.0, (1.0, 2.0, 5.0), (0, 0, 0, 0))
    assert all(isnan(number) for number in (empty.min, empty.max, empty.mean, empty.quantile(0.5)))


@pytest.mark.parametrize(
    ("value", "bucket"), [(-7, 0), (0, 0), (1, 0), (1.0000001, 1), (2, 1), (2.5, 2), (5, 2), (5.1, 3), (1e308, 3)]
)
def test_an_upper_bound_belongs_to_its_bucket(sizes: tm.Histogram, value: float, bucket: int) -> None:
    sizes.observe(value)
    assert sizes.snapshot().bucket_counts == tuple(int(i == bucket) for i in range(4))


def test_count_sum_min_max_and_mean(sizes: tm.Histogram) -> None:
    for value in (3, 0.5, 1.5, 10):
        sizes.observe(value)
    seen = sizes.snapshot()
    assert (seen.count, seen.sum, seen.min, seen.max, seen.mean) == (4, 15.0, 0.5, 10.0, 3.75)
    assert seen.bucket_counts == (1, 1, 1, 1)


def test_counts_are_integers(sizes: tm.Histogram) -> None:
    sizes.observe(1)
    seen = sizes.snapshot()
    assert all(type(count) is int for count in (seen.count, *seen.bucket_counts))


def test_a_minimum_of_zero_is_a_minimum(sizes: tm.Histogram) -> None:
    sizes.observe(0)
    assert (sizes.snapshot().min, sizes.snapshot().max) == (0.0, 0.0)
    sizes.observe(3)
    assert (sizes.snapshot().min, sizes.snapshot().max) == (0.0, 3.0)


def test_negative_values_are_observed(sizes: tm.Histogram) -> None:
    sizes.observe(-3)
    sizes.observe(-0.5)
    seen = sizes.snapshot()
    assert (seen.sum, seen.min, seen.max, seen.count) == (-3.5, -3.0, -0.5, 2)


def test_a_maximum_below_zero_is_a_maximum(sizes: tm.Histogram) -> None:
    sizes.observe(-3)
    assert sizes.snapshot().max == -3.0


def test_a_snapshot_does_not_change_afterwards(sizes: tm.Histogram) -> None:
    sizes.observe(1)
    seen = sizes.snapshot()
    sizes.observe(1)
    assert (seen.count, sizes.snapshot().count) == (1, 2)
    with pytest.raises(AttributeError):
        seen.sum = 3.0  # type: ignore[misc]


def test_keywords_record_to_the_series_with_these_tags(sizes: tm.Histogram) -> None:
    sizes.observe(1432, route="/users")
    sizes.observe(0.5, route="/users", method="x")
    assert sizes.snapshot().count == 0
    assert sizes.with_tags(route="/users").snapshot().sum == 1432
    assert sizes.with_tags(route="/users", method="x").snapshot().sum == 0.5


@pytest.mark.parametrize("value", [nan, inf, -inf, 10**400])
def test_a_non_finite_value_is_rejected_and_counted(registry: tm.Registry, sizes: tm.Histogram, value: Any) -> None:
    sizes.observe(1)
    sizes.observe(value)
    seen = sizes.snapshot()
    assert (seen.count, seen.sum, seen.min, seen.max) == (1, 1.0, 1.0, 1.0)
    rejected = registry.snapshot().find("tallymark_rejected", metric="size", reason="not_finite")
    assert rejected is not None
    assert rejected.value == 1


@pytest.mark.parametrize("value", [nan, inf])
def test_a_strict_registry_raises_for_a_non_finite_value(strict_registry: tm.Registry, value: float) -> None:
    with pytest.raises(ValueError, match="size"):
        strict_registry.histogram("size").observe(value)


def test_a_duration_is_no_value(sizes: tm.Histogram) -> None:
    with pytest.raises(TypeError, match="timedelta"):
        sizes.observe(timedelta(seconds=1))  # type: ignore[arg-type]


def test_its_attributes(registry: tm.Registry) -> None:
    size = registry.histogram("size", description="Sizes.", unit="bytes", buckets=tm.exponential_buckets(64, 4, 8))
    assert (size.name, size.description, size.unit, size.kind) == ("size", "Sizes.", "bytes", "histogram")
    assert size.bounds == (64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0)
    assert type(size).__name__ == "Histogram"


def test_bounds_follow_from_the_unit(registry: tm.Registry) -> None:
    assert registry.histogram("a").bounds == tm.VALUE_BUCKETS
    assert registry.histogram("b", unit="bytes").bounds == tm.SIZE_BUCKETS
    assert registry.histogram("c", unit="seconds").bounds == tm.DURATION_BUCKETS


def test_a_last_bound_of_infinity_changes_nothing(registry: tm.Registry) -> None:
    size = registry.histogram("size", buckets=[1, inf])
    assert size.bounds == (1.0,)
    assert registry.histogram("size", buckets=[1]) is size


def test_a_registry_snapshot_shows_the_same_distribution(registry: tm.Registry, sizes: tm.Histogram) -> None:
    for value in (0.5, 3, 9):
        sizes.observe(value, route="/")
    found = registry.snapshot().find("size", route="/")
    assert found is not None
    assert found.histogram == sizes.with_tags(route="/").snapshot()


def test_a_series_without_observations_reads_as_empty_in_a_snapshot(registry: tm.Registry, sizes: tm.Histogram) -> None:
    sizes.with_tags(route="/")
    found = registry.snapshot().find("size", route="/")
    assert found is not None
    assert isnan(found.histogram.min)
    assert isnan(found.histogram.max)
    assert found.histogram.count == 0
