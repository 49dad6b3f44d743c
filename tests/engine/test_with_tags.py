"""`with_tags`: bound series, and tags by keyword."""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import Any

import pytest

import tallymark as tm

KINDS = ["counter", "gauge", "histogram", "timer"]
ODD_KEYS = [
    "self",
    "amount",
    "tags",
    "mapping",
    "value",
    "duration",
    "start",
    "name",
    "cls",
    "family",
    "class",
    "lambda",
    "None",
]


def record(instrument: Any, **tags: object) -> None:
    """Record a 1, whatever the kind."""
    for call in ("inc", "observe", "record"):
        if hasattr(instrument, call):
            return getattr(instrument, call)(1, **tags)


def recorded(instrument: Any) -> float:
    return instrument.value if hasattr(instrument, "value") else instrument.snapshot().sum


@pytest.fixture(params=KINDS)
def instrument(request: pytest.FixtureRequest, registry: tm.Registry) -> Any:
    return getattr(registry, request.param)("metric")


def test_the_same_tags_give_the_same_object_each_time(instrument: Any) -> None:
    assert instrument.with_tags(a="1", b="2") is instrument.with_tags(a="1", b="2")


def test_the_order_of_tags_does_not_matter(instrument: Any) -> None:
    assert instrument.with_tags(a="1", b="2") is instrument.with_tags(b="2", a="1")
    assert instrument.with_tags(a="1").with_tags(b="2") is instrument.with_tags(b="2").with_tags(a="1")


def test_nothing_returns_the_instrument_itself(instrument: Any) -> None:
    assert instrument.with_tags() is instrument
    assert instrument.with_tags({}) is instrument
    assert instrument.with_tags(None) is instrument
    bound = instrument.with_tags(a="1")
    assert bound.with_tags() is bound


def test_its_own_tags_return_the_instrument_itself(instrument: Any) -> None:
    bound = instrument.with_tags(a="1")
    assert bound.with_tags(a="1") is bound
    assert bound.with_tags(bound.tags) is bound


def test_tags_come_from_a_mapping_keywords_or_both(instrument: Any) -> None:
    wanted = instrument.with_tags(method="GET", status="200")
    assert instrument.with_tags({"method": "GET", "status": "200"}) is wanted
    assert instrument.with_tags({"method": "GET"}, status="200") is wanted
    assert instrument.with_tags(MappingProxyType({"method": "GET"}), status="200") is wanted
    assert instrument.with_tags(wanted.tags) is wanted


def test_keywords_win_over_the_mapping(instrument: Any) -> None:
    assert instrument.with_tags({"a": "mapping"}, a="keyword").tags == {"a": "keyword"}


def test_the_mapping_is_not_changed(instrument: Any) -> None:
    mapping = {"a": "1"}
    instrument.with_tags(mapping, b="2")
    assert mapping == {"a": "1"}


def test_later_tags_win(instrument: Any) -> None:
    chained = instrument.with_tags(service="api").with_tags(service="web").with_tags(method="POST")
    assert chained.tags == {"service": "web", "method": "POST"}
    assert chained is instrument.with_tags(service="web", method="POST")


def test_keywords_of_a_record_win_over_bound_tags(instrument: Any) -> None:
    bound = instrument.with_tags(a="1", b="2")
    record(bound, b="3")
    assert recorded(bound) == 0
    assert recorded(instrument.with_tags(a="1", b="3")) == 1


def test_a_bound_series_and_keywords_record_to_the_same_series(instrument: Any) -> None:
    record(instrument, a="1", b="2")
    record(instrument.with_tags(a="1"), b="2")
    record(instrument.with_tags({"b": "2"}), a="1")
    assert recorded(instrument.with_tags(b="2", a="1")) == 3
    assert recorded(instrument) == 0


@pytest.mark.parametrize("key", ODD_KEYS)
def test_any_keyword_works_as_a_tag_key(instrument: Any, key: str) -> None:
    if key in ("amount", "value"):
        record(instrument.with_tags(**{key: "x"}))
    else:
        record(instrument, **{key: "x"})
    assert recorded(instrument.with_tags(**{key: "x"})) == 1
    assert instrument.with_tags({key: "x"}).tags == {key: "x"}


@pytest.mark.parametrize("key", ["self", "start", "function", "tags"])
def test_any_keyword_works_as_a_tag_key_of_a_timing(registry: tm.Registry, key: str) -> None:
    timer = registry.timer("took")
    with timer.time(**{key: "x"}):
        pass
    timer.record_since(0.0, **{key: "x"})
    assert timer.with_tags(**{key: "x"}).snapshot().count == 2


@pytest.mark.parametrize("call", ["set", "inc", "dec", "add"])
@pytest.mark.parametrize("key", ["self", "mapping", "function", "tags"])
def test_any_keyword_works_on_each_call_of_a_gauge(registry: tm.Registry, call: str, key: str) -> None:
    gauge = registry.gauge("depth")
    getattr(gauge, call)(1, **{key: "x"})
    assert abs(gauge.with_tags(**{key: "x"}).value) == 1


class Colour(enum.Enum):
    RED = 1


class Shade(enum.StrEnum):
    DARK = "dark"


class Text(str):
    def __str__(self) -> str:
        return "another text"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (200, "200"),
        (1.5, "1.5"),
        (True, "True"),
        (None, "None"),
        (Colour.RED, "Colour.RED"),
        (Shade.DARK, "dark"),
        (Text("held"), "held"),
        ("", ""),
        ("ключ\n\"'\\", "ключ\n\"'\\"),
    ],
    ids=repr,
)
def test_a_value_is_recorded_as_its_text(instrument: Any, value: object, text: str) -> None:
    record(instrument, tag=value)
    series = instrument.with_tags(tag=value)
    assert recorded(series) == 1
    assert series.tags == {"tag": text}
    assert type(series.tags["tag"]) is str


def test_two_values_that_print_the_same_are_the_same_tag(instrument: Any) -> None:
    record(instrument, status=200)
    record(instrument, status="200")
    assert instrument.with_tags(status=200) is instrument.with_tags(status="200")
    assert recorded(instrument.with_tags(status="200")) == 2


def test_equal_values_that_print_differently_are_different_tags(instrument: Any) -> None:
    record(instrument, on=1)
    record(instrument, on=True)
    record(instrument, on=1.0)
    assert [recorded(instrument.with_tags(on=text)) for text in ("1", "True", "1.0")] == [1, 1, 1]


def test_a_value_that_cannot_be_printed_never_raises_and_is_not_lost(registry: tm.Registry) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no")

    registry.counter("n").inc(tag=Hostile())
    snapshot = registry.snapshot()
    assert [series.value for series in snapshot["n"]] == [1]
    rejected = snapshot.find("tallymark_rejected", metric="n", reason="unprintable")
    assert rejected is not None
    assert rejected.value == 1


def test_a_value_whose_str_is_no_text_never_raises(registry: tm.Registry) -> None:
    class Hostile:
        def __str__(self) -> Any:
            return 5

    registry.counter("n").inc(tag=Hostile())
    assert registry.snapshot().find("tallymark_rejected", metric="n", reason="unprintable") is not None


def test_a_value_that_cannot_be_printed_raises_where_the_registry_is_strict(strict_registry: tm.Registry) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no")

    with pytest.raises(tm.TagError, match="Hostile"):
        strict_registry.counter("n").inc(tag=Hostile())


def test_a_value_that_records_while_it_is_printed_counts_too(registry: tm.Registry) -> None:
    counter = registry.counter("n")

    class Recording:
        def __str__(self) -> str:
            counter.inc(tag="x")
            return "x"

    counter.inc(tag=Recording())
    assert counter.with_tags(tag="x").value == 2


@pytest.mark.parametrize("tags", [5, "a=1", [("a", "1")], ("a",), object()], ids=lambda tags: type(tags).__name__)
def test_tags_that_are_no_mapping_are_a_type_error(instrument: Any, tags: Any) -> None:
    with pytest.raises(TypeError, match="mapping"):
        instrument.with_tags(tags)


@pytest.mark.parametrize("key", [1, None, b"a", ("a",)], ids=repr)
def test_a_key_that_is_not_text_is_a_type_error(instrument: Any, key: Any) -> None:
    with pytest.raises(TypeError, match=type(key).__name__):
        instrument.with_tags({key: "1"})


@pytest.mark.parametrize("key", ["", " ", "1a", "a b", "a=b", "-a", "a\n", 'a"', "a{", "\udc80"], ids=repr)
def test_a_bad_key_is_a_tag_error(instrument: Any, key: str) -> None:
    with pytest.raises(tm.TagError, match="key"):
        record(instrument, **{key: "1"})
    with pytest.raises(tm.TagError, match="key"):
        instrument.with_tags({key: "1"})


@pytest.mark.parametrize("key", ["a", "_", "A1", "a.b", "a-b", "a/b", "a:b", "ключ", "_hidden"])
def test_a_good_key_is_taken(instrument: Any, key: str) -> None:
    assert instrument.with_tags({key: "1"}).tags == {key: "1"}


def test_tags_is_never_a_copy(instrument: Any) -> None:
    bound = instrument.with_tags(b="2", a="1")
    assert bound.tags is bound.tags
    assert list(bound.tags) == ["a", "b"]
    assert instrument.tags == {}


def test_a_bound_series_keeps_the_shape_of_its_metric(registry: tm.Registry) -> None:
    root = registry.histogram("size", description="Sizes.", unit="bytes", buckets=[1, 10])
    bound = root.with_tags(a="1").with_tags(b="2")
    assert (bound.name, bound.description, bound.unit, bound.kind) == ("size", "Sizes.", "bytes", "histogram")
    assert bound.bounds == root.bounds == (1.0, 10.0)
    assert type(bound) is type(root)
