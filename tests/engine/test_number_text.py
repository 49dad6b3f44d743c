"""The native engine writes doubles as `repr` does."""

from __future__ import annotations

import importlib.util
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallymark as tm
from tallymark.engine import load_engine

ROOT = Path(__file__).parents[2]


def text_of(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"


def written(values: list[float]) -> list[str]:
    """Return the texts of numbers, each the value of a series."""
    registry = tm.Registry(engine="native", self_metrics=False, limits=tm.TagLimits(max_series=len(values) + 1))
    gauge = registry.gauge("n")
    for i, value in enumerate(values):
        gauge.set(value, i=i)
    data: Any = registry.snapshot()["n"].data
    exposition = load_engine("native").Exposition()
    assert exposition.write_numbers(data.tags, (("n", "n{", data.values),), "underscores")
    return [line.partition(" ")[2] for line in exposition.bytes().decode().splitlines()]


def assert_as_repr(values: Iterable[float]) -> None:
    values = list(values)
    assert written(values) == [text_of(value) for value in values]


@given(st.lists(st.floats(), min_size=1, max_size=50))
def test_any_double(values: list[float]) -> None:
    assert_as_repr(values)


@given(st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=50))
def test_any_bits(bits: list[bytes]) -> None:
    assert_as_repr([struct.unpack("d", one)[0] for one in bits])


def test_all_powers_of_two_and_what_is_next_to_them() -> None:
    powers = [math.ldexp(1.0, exponent) for exponent in range(-1074, 1024)]
    assert_as_repr([near for one in powers for near in (one, math.nextafter(one, 0.0), math.nextafter(one, math.inf), -one)])


def test_all_powers_of_ten_and_what_is_next_to_them() -> None:
    powers = [float(f"1e{exponent}") for exponent in range(-323, 309)]
    assert_as_repr([near for one in powers for near in (one, math.nextafter(one, 0.0), math.nextafter(one, math.inf), 7 * one)])


def test_integers_around_the_last_that_are_all_doubles() -> None:
    assert_as_repr([float(2**53 + i) for i in range(-500, 500)])
    assert_as_repr([float(10**k + i) for k in range(19) for i in (-1, 0, 1)])


def test_decimals_that_lie_halfway() -> None:
    assert_as_repr([(2**53 - i) / 2 for i in range(500)] + [i + 0.5 for i in range(500)] + [i / 8 for i in range(500)])


@pytest.mark.parametrize(
    "value",
    [0.0, -0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1e22, 1e23, 9007199254740993.0, 1e15, 1e16, 0.0001,
     1e-05, 100000.0, 123456789012345.6, math.nan, math.inf, -math.inf],
)  # fmt: skip
def test_a_number_on_a_border(value: float) -> None:
    assert_as_repr([value])


def test_the_powers_of_ten_are_what_the_tool_writes_today() -> None:
    spec = importlib.util.spec_from_file_location("powers_of_ten", ROOT / "tools/powers_of_ten.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.HEADER.read_text() == tool.render(), "run `python tools/powers_of_ten.py`, and build again"
