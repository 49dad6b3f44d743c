"""`Frozen`: small classes of data whose instances never change."""

from __future__ import annotations

import copy
import pickle
import sys
from typing import Any

import pytest

import tallymark as tm
from tallymark.frozen import Frozen, replace


class Point(Frozen):
    __slots__ = ("x", "y")

    x: float
    y: object


class Labelled(Point):
    __slots__ = ("label",)

    label: str


class WithDefaults(Frozen):
    __slots__ = ("a", "b")

    a: int
    b: int

    def __init__(self, a: int = 1, b: int = 2) -> None:
        object.__setattr__(self, "a", a)
        object.__setattr__(self, "b", b)


class Other(Frozen):
    __slots__ = ("x", "y")

    x: float
    y: object


class Empty(Frozen):
    __slots__ = ()


def test_fields_are_given_by_place_or_by_name() -> None:
    for point in (Point(1.0, 2.0), Point(1.0, y=2.0), Point(x=1.0, y=2.0), Point(y=2.0, x=1.0)):
        assert (point.x, point.y) == (1.0, 2.0)
    assert (Labelled(1.0, 2.0, "a").label, Labelled(1.0, label="a", y=2.0).y) == ("a", 2.0)
    assert Empty() == Empty()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((), {}), ((1.0,), {}), ((1.0, 2.0, 3.0), {}), ((1.0, 2.0), {"x": 3.0}), ((1.0,), {"x": 3.0}), ((1.0,), {"z": 3.0}),
        ((1.0, 2.0), {"z": 3.0}), ((), {"x": 1.0}), ((), {"x": 1.0, "y": 2.0, "z": 3.0}), ((1.0, 2.0), {"self": 3.0}),
    ],
    ids=str,
)  # fmt: skip
def test_other_arguments_are_a_type_error_that_names_the_fields(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"^Point takes x, y$|multiple values for argument 'self'"):
        Point(*values, **named)


def test_a_field_never_changes() -> None:
    point = Point(1.0, [])
    for name in ("x", "y", "z"):
        with pytest.raises(AttributeError, match=rf"Point\.{name} cannot be set: a Point never changes"):
            setattr(point, name, 5)
        with pytest.raises(AttributeError, match=rf"Point\.{name} cannot be deleted: a Point never changes"):
            delattr(point, name)
    assert point == Point(1.0, [])
    assert not hasattr(point, "__dict__")


def test_two_are_equal_if_class_and_fields_are() -> None:
    assert Point(1.0, "a") == Point(1, "a")
    assert Point(1.0, "a") != Point(1.0, "b")
    assert Point(1.0, "a") != Other(1.0, "a")
    assert Point(1.0, "a") != (1.0, "a")
    assert Labelled(1.0, "a", "b") != Point(1.0, "a")
    nan = float("nan")
    assert Point(nan, "a") == Point(nan, "a")  # as in a tuple: the same object
    assert Point(nan, "a") != Point(float("nan"), "a")
    assert Point(1.0, "a").__eq__(5) is NotImplemented


def test_equal_values_have_one_hash() -> None:
    assert hash(Point(1.0, "a")) == hash(Point(1, "a"))
    assert len({Point(1.0, "a"), Point(1.0, "a"), Point(2.0, "a")}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(Point(1.0, []))


def test_it_reads_as_it_is_made() -> None:
    assert repr(Point(1.0, "a")) == "Point(x=1.0, y='a')"
    assert repr(Labelled(1.0, "a", "b")) == "Labelled(x=1.0, y='a', label='b')"
    assert repr(Empty()) == "Empty()"
    assert eval(repr(WithDefaults(5))) == WithDefaults(5, 2)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_can_be_pickled(protocol: int) -> None:
    for one in (Point(1.0, ["a"]), Labelled(1.0, None, "b"), WithDefaults(b=7), Empty()):
        other = pickle.loads(pickle.dumps(one, protocol))
        assert other == one
        assert type(other) is type(one)


def test_it_can_be_copied() -> None:
    point = Point(1.0, ["a"])
    shallow, deep = copy.copy(point), copy.deepcopy(point)
    assert shallow == deep == point
    assert shallow.y is point.y
    assert deep.y is not point.y


def test_a_copy_may_have_other_values_of_some_fields() -> None:
    point = Point(1.0, "a")
    assert replace(point, x=2.0) == Point(2.0, "a")
    assert replace(point) == point
    assert replace(point) is not point
    assert replace(Labelled(1.0, "a", "b"), label="c") == Labelled(1.0, "a", "c")
    assert replace(WithDefaults(5, 6), b=7) == WithDefaults(5, 7)
    assert point == Point(1.0, "a")
    with pytest.raises(TypeError, match="Point takes x, y"):
        replace(point, z=1)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="copy.replace is new in Python 3.13")
def test_pythons_own_replace_does_the_same() -> None:
    assert copy.replace(Point(1.0, "a"), x=2.0) == Point(2.0, "a")  # type: ignore[attr-defined]


def test_it_can_be_matched_by_place() -> None:
    match Labelled(1.0, "a", "b"):
        case Labelled(x, "a", label):
            assert (x, label) == (1.0, "b")
        case _:
            raise AssertionError


def test_a_value_that_the_class_checks_is_checked_in_copies_too() -> None:
    with pytest.raises(ValueError, match="max_tags"):
        replace(tm.TagLimits(), max_tags=0)
    limits = tm.TagLimits(max_tags=3, disallowed_keys=["a"])
    assert pickle.loads(pickle.dumps(limits)) == copy.deepcopy(limits) == limits
    assert limits.disallowed_keys == ("a",)


FROZEN = [
    tm.TagLimits(),
    tm.HistogramSnapshot((1.0,), (1, 2), 3.0, 0.5, 2.0),
    tm.Snapshot((), 0.0),
    tm.family("gauge", "n", [({}, 1)]),
]


@pytest.mark.parametrize("one", FROZEN, ids=lambda one: type(one).__name__)
def test_public_values_never_change_and_can_be_copied(one: Any) -> None:
    assert not hasattr(one, "__dict__")
    assert set(type(one).__match_args__) == set(type(one).__slots__)
    for name in type(one).__match_args__:
        with pytest.raises(AttributeError, match="never changes"):
            setattr(one, name, None)
    assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == replace(one) == one
    assert hash(copy.deepcopy(one)) == hash(one)
