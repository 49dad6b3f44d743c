"""Numbers: anything with `__float__` or `__index__`, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from math import inf, nan
from typing import Any

import pytest

import tallymark as tm

Record = Callable[[tm.Registry, Any], float]


class Floaty:
    """Like a number of numpy."""

    def __repr__(self) -> str:  # a test's id; with an address in it, it would be another in each worker
        return "Floaty()"

    def __float__(self) -> float:
        return 2.5


class Indexed:
    """A number by `__index__` only."""

    def __repr__(self) -> str:
        return "Indexed()"

    def __index__(self) -> int:
        return 3


class FloatChild(float):
    """A float, but not exactly one, as `numpy.float64` is."""


def count(registry: tm.Registry, amount: Any) -> float:
    counter = registry.counter("n")
    counter.inc(amount)
    return counter.value


def count_tagged(registry: tm.Registry, amount: Any) -> float:
    registry.counter("n").inc(amount, tag="x")
    return registry.counter("n").with_tags(tag="x").value


def add(registry: tm.Registry, amount: Any) -> float:
    counter = registry.counter("n")
    counter.add(amount)
    return counter.value


def set_gauge(registry: tm.Registry, value: Any) -> float:
    gauge = registry.gauge("n")
    gauge.set(value)
    return gauge.value


def lower_gauge(registry: tm.Registry, amount: Any) -> float:
    gauge = registry.gauge("n")
    gauge.dec(amount)
    return 0.0 - gauge.value


def observe(registry: tm.Registry, value: Any) -> float:
    histogram = registry.histogram("n")
    histogram.observe(value)
    return histogram.snapshot().sum


def record(registry: tm.Registry, value: Any) -> float:
    timer = registry.timer("n")
    timer.record(value)
    return timer.snapshot().sum


CALLS = [count, count_tagged, add, set_gauge, lower_gauge, observe, record]


@pytest.fixture(params=CALLS, ids=lambda call: call.__name__)
def call(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (2, 2.0),
        (0.5, 0.5),
        (True, 1.0),
        (False, 0.0),
        (2**60 + 1, float(2**60 + 1)),
        (Fraction(1, 4), 0.25),
        (Decimal("0.75"), 0.75),
        (Floaty(), 2.5),
        (Indexed(), 3.0),
        (FloatChild(1.5), 1.5),
    ],
    ids=repr,
)
def test_what_is_a_number_is_recorded_without_truncation(
    strict_registry: tm.Registry, call: Record, number: Any, expected: float
) -> None:
    assert call(strict_registry, number) == expected


@pytest.mark.parametrize(
    ("thing", "named"),
    [("1", "str"), (b"1", "bytes"), (None, "NoneType"), (1j, "complex"), ([1], "list"), (object(), "object")],
    ids=["str", "bytes", "None", "complex", "list", "object"],
)
def test_what_is_no_number_is_a_type_error_that_names_metric_and_type(
    registry: tm.Registry, call: Record, thing: Any, named: str
) -> None:
    with pytest.raises(TypeError, match=rf"'n'.*{named}"):
        call(registry, thing)


def test_a_huge_int_never_raises(registry: tm.Registry, call: Record) -> None:
    assert call(registry, 10**400) == 0
    rejected = registry.snapshot().find("tallymark_rejected", metric="n", reason="not_finite")
    assert rejected is not None
    assert rejected.value == 1


@pytest.mark.parametrize("error", [ValueError, ZeroDivisionError, RuntimeError, RecursionError])
def test_a_number_that_cannot_be_read_never_raises(registry: tm.Registry, call: Record, error: type[Exception]) -> None:
    class Hostile:
        def __float__(self) -> float:
            raise error("no")

    assert call(registry, Hostile()) == 0
    rejected = registry.snapshot().find("tallymark_rejected", metric="n", reason="unreadable")
    assert rejected is not None
    assert rejected.value == 1


def test_a_number_that_cannot_be_read_raises_where_the_registry_is_strict(strict_registry: tm.Registry, call: Record) -> None:
    class Hostile:
        def __float__(self) -> float:
            raise RuntimeError("no")

    with pytest.raises(ValueError, match="'n'"):
        call(strict_registry, Hostile())


def test_what_stops_the_program_is_not_suppressed(registry: tm.Registry, call: Record) -> None:
    class Interrupted:
        def __float__(self) -> float:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call(registry, Interrupted())


def test_a_decimal_nan_is_rejected(registry: tm.Registry) -> None:
    assert count(registry, Decimal("NaN")) == 0
    assert count(registry, Decimal("Infinity")) == 0
    assert count(registry, Decimal("sNaN")) == 0
    assert registry.snapshot().find("tallymark_rejected", metric="n", reason="not_finite") is not None


def test_a_number_that_records_while_it_is_read_counts_too(registry: tm.Registry) -> None:
    counter = registry.counter("n")

    class Recording:
        def __float__(self) -> float:
            counter.inc(10)
            counter.inc(tag="x")
            return 1.0

    counter.inc(Recording())
    counter.inc(Recording(), tag="x")
    assert counter.value == 21
    assert counter.with_tags(tag="x").value == 3


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_special_floats_of_a_subclass_are_rejected_alike(registry: tm.Registry, value: float) -> None:
    assert count(registry, FloatChild(value)) == 0
    assert registry.snapshot().find("tallymark_rejected", metric="n", reason="not_finite") is not None


def test_a_counter_keeps_the_precision_of_a_double(registry: tm.Registry) -> None:
    counter = registry.counter("n")
    counter.inc(2**53 - 1)
    counter.inc()
    assert counter.value == 2.0**53
