"""Values that never change, as the engines make them: what a call of the class returns."""

from __future__ import annotations

from typing import Any

import pytest

import tallymark as tm
from tallymark.engine.columns import Columns
from tallymark.frozen import Frozen


class Point(Frozen):
    __slots__ = ("x", "y")

    x: float
    y: object


class Labelled(Point):
    __slots__ = ("label",)

    label: str


class Raising(Frozen):
    __slots__ = ("x",)

    x: float

    def __new__(cls, *fields: Any) -> Any:
        raise KeyError("new")


class Meta(type):
    __match_args__ = ()


def test_a_value_is_what_a_call_of_its_class_returns(engine: Any) -> None:
    held = ["a"]
    point = engine.frozen(Point, 1.0, held)
    assert (type(point), point, point.y is held) == (Point, Point(1.0, ["a"]), True)
    assert engine.frozen(Labelled, 1.0, None, "b") == Labelled(1.0, None, "b")
    with pytest.raises(AttributeError, match="never changes"):
        point.x = 2.0


@pytest.mark.parametrize("fields", [(), (1.0,), (1.0, 2.0, 3.0)], ids=len)
def test_other_fields_are_a_type_error(engine: Any, fields: tuple[float, ...]) -> None:
    with pytest.raises(TypeError, match=r"x.*y"):
        engine.frozen(Point, *fields)


@pytest.mark.parametrize("cls", [5, None, "Point", Point(1.0, 2.0), len], ids=repr)
def test_what_is_no_class_is_a_type_error(engine: Any, cls: Any) -> None:
    with pytest.raises(TypeError):
        engine.frozen(cls, 1.0, 2.0)


def test_the_native_engine_makes_no_classes_and_nothing_without_fields() -> None:
    engine: Any = pytest.importorskip("tallymark.engine.native")
    for wrong in ((), (object,), (int, 1), (type, "X"), (Meta,)):
        with pytest.raises((TypeError, AttributeError)):
            engine.frozen(*wrong)
    with pytest.raises(KeyError, match="new"):
        engine.frozen(Raising, 1.0)


def test_a_family_is_read_as_columns_that_lack_nothing(registry: tm.Registry) -> None:
    registry.counter("hits").inc(a=1)
    registry.histogram("size", buckets=[1]).observe(0.5)
    registry.histogram("spread", exponential=True).observe(0.5)
    filled = {
        "hits": {"values"}, "size": {"bucket_counts", "sums", "mins", "maxs"},
        "spread": {"sums", "mins", "maxs", "scales", "zero_counts", "positives", "negatives"},
    }  # fmt: skip
    for name, columns in filled.items():
        family = registry._families.find(name)
        assert family is not None
        read = family.read()
        assert type(read) is Columns
        assert {column for column in Columns.__match_args__ if len(getattr(read, column))} == {"tags", "created", *columns}
        assert read.exemplars == ()


def test_a_family_is_named_from_its_first_snapshot_on(registry: tm.Registry) -> None:
    registry.counter("hits").inc()
    first, second = registry.snapshot(), registry.snapshot()
    registry.counter("later").inc()
    third = registry.snapshot()
    for snapshot in (first, second, third):
        assert snapshot["hits"].exposition_name == "hits_total"
        assert snapshot["tallymark_series"].exposition_name == "tallymark_series"
    assert third["later"].exposition_name == "later_total"
