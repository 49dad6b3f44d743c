"""Bounds of histogram buckets: how they are made, and what is valid."""

from __future__ import annotations

from itertools import pairwise
from math import inf, isfinite, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallymark as tm


def test_linear_buckets_are_evenly_spaced() -> None:
    assert tm.linear_buckets(0, 5, 4) == (0.0, 5.0, 10.0, 15.0)
    assert tm.linear_buckets(-1, 0.5, 3) == (-1.0, -0.5, 0.0)
    assert tm.linear_buckets(7, 1, 1) == (7.0,)


def test_exponential_buckets_multiply() -> None:
    assert tm.exponential_buckets(64, 4, 3) == (64.0, 256.0, 1024.0)
    assert tm.exponential_buckets(0.5, 1.5, 3) == (0.5, 0.75, 1.125)


@given(start=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6), count=st.integers(1, 50))
def test_linear_buckets_are_as_many_as_asked_and_ascend(start: float, width: float, count: int) -> None:
    bounds = tm.linear_buckets(start, width, count)
    assert len(bounds) == count
    assert all(type(bound) is float for bound in bounds)
    assert all(lower < upper for lower, upper in pairwise(bounds))


@given(start=st.floats(1e-300, 1e300), factor=st.floats(1.01, 1e10), count=st.integers(1, 50))
def test_exponential_buckets_are_as_many_as_asked_or_a_value_error(start: float, factor: float, count: int) -> None:
    try:
        bounds = tm.exponential_buckets(start, factor, count)
    except ValueError:
        return
    assert len(bounds) == count
    assert all(isfinite(bound) for bound in bounds)


@pytest.mark.parametrize(
    ("make", "args"),
    [(tm.linear_buckets, (1e308, 1e308, 2)), (tm.exponential_buckets, (1e308, 10, 2)), (tm.exponential_buckets, (1, 10, 400))],
)
def test_a_bound_too_large_for_a_double_is_a_value_error(make: Any, args: Any) -> None:
    with pytest.raises(ValueError, match=make.__name__):
        make(*args)


@pytest.mark.parametrize(
    ("make", "args", "rule"),
    [
        (tm.linear_buckets, (0, 0, 3), r"linear_buckets.*width.*positive.*0"),
        (tm.linear_buckets, (0, -1, 3), r"linear_buckets.*width.*positive.*-1"),
        (tm.linear_buckets, (0, nan, 3), r"linear_buckets.*width.*positive.*nan"),
        (tm.linear_buckets, (0, 1, 0), r"linear_buckets.*count.*at least 1.*0"),
        (tm.linear_buckets, (nan, 1, 3), r"linear_buckets.*nan.*finite"),
        (tm.linear_buckets, (1e17, 1, 3), r"linear_buckets.*ascend"),
        (tm.exponential_buckets, (0, 2, 3), r"exponential_buckets.*start.*positive.*0"),
        (tm.exponential_buckets, (-1, 2, 3), r"exponential_buckets.*start.*positive.*-1"),
        (tm.exponential_buckets, (1, 1, 3), r"exponential_buckets.*factor.*above 1.*1"),
        (tm.exponential_buckets, (1, 0.5, 3), r"exponential_buckets.*factor.*above 1.*0.5"),
        (tm.exponential_buckets, (1, 2, -1), r"exponential_buckets.*count.*at least 1.*-1"),
    ],
)
def test_a_message_names_the_culprit_and_the_rule(make: Any, args: Any, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        make(*args)


@pytest.mark.parametrize("make", [tm.linear_buckets, tm.exponential_buckets])
@pytest.mark.parametrize("count", [1.0, "3", None])
def test_a_count_is_an_int(make: Any, count: Any) -> None:
    with pytest.raises(TypeError, match=rf"{make.__name__}.*count.*{type(count).__name__}"):
        make(1, 2, count)


@pytest.mark.parametrize(
    ("buckets", "rule"),
    [
        ([], r"'size'.*at least one"),
        ([inf], r"'size'.*at least one"),
        ([1, 1], r"'size'.*ascend.*1.0 follows 1.0"),
        ([2, 1], r"'size'.*ascend.*1.0 follows 2.0"),
        ([1, nan, 2], r"'size'.*nan.*finite"),
        ([-inf, 1], r"'size'.*-inf.*finite"),
        ([1, inf, inf], r"'size'.*inf.*finite"),
        ([1, 10**400], r"'size'.*too large"),
    ],
)
def test_bounds_of_a_histogram_are_checked(registry: tm.Registry, buckets: list[float], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        registry.histogram("size", buckets=buckets)
    assert "size" not in registry.snapshot()


def test_any_collection_of_numbers_will_do(registry: tm.Registry) -> None:
    assert registry.histogram("a", buckets=(x for x in (1, 2))).bounds == (1.0, 2.0)
    assert registry.histogram("b", buckets=range(1, 3)).bounds == (1.0, 2.0)
    assert registry.histogram("c", buckets=[True, 2.5]).bounds == (1.0, 2.5)


def test_negative_zero_is_zero(registry: tm.Registry) -> None:
    assert repr(registry.histogram("a", buckets=[-0.0]).bounds) == "(0.0,)"


@pytest.mark.parametrize("bounds", [tm.DURATION_BUCKETS, tm.SIZE_BUCKETS, tm.VALUE_BUCKETS])
def test_default_bounds_ascend(bounds: tuple[float, ...]) -> None:
    assert all(lower < upper for lower, upper in pairwise(bounds))
