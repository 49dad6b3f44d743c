"""Declared tag keys: another one is an error, one may be left out, and values may be given by place."""

from __future__ import annotations

import enum
import sys
from collections import UserDict
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm

KINDS = {"counter": "inc", "gauge": "set", "histogram": "observe", "timer": "record"}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def declared(registry: tm.Registry, kind: str) -> Any:
    return getattr(registry, kind)("n", tag_keys=("method", "status"))


def record(instrument: Any, **tags: object) -> None:
    getattr(instrument, KINDS[instrument.kind])(1, **tags)


# Keys


def test_declared_keys_are_taken_from_keywords_and_mappings(declared: Any) -> None:
    wanted = declared.with_tags(method="GET", status="200")
    record(declared, status=200, method="GET")
    assert declared.with_tags({"status": "200"}, method="GET") is wanted
    assert declared.with_tags(UserDict(method="GET", status="200")) is wanted
    assert [dict(one.tags) for one in declared.series()] == [{"method": "GET", "status": "200"}]


def test_a_key_that_is_left_out_is_not_set(declared: Any) -> None:
    record(declared, method="GET")
    record(declared)
    assert [dict(one.tags) for one in declared.series()] == [{"method": "GET"}, {}]


@pytest.mark.parametrize("tags", [{"route": "/"}, {"method": "GET", "route": "/"}, {"Method": "GET"}], ids=repr)
def test_an_undeclared_key_is_a_tag_error_that_names_the_declared_ones(declared: Any, tags: dict[str, str]) -> None:
    for _ in range(3):
        for call in (
            lambda: record(declared, **tags),
            lambda: declared.with_tags(**tags),
            lambda: declared.with_tags(tags),
            lambda: declared.with_tags(UserDict(tags)),
            lambda: declared.with_tags(tm.TagSet(route="/")),
            lambda: declared.with_tags(method="GET").with_tags(**tags),
        ):
            with pytest.raises(tm.TagError, match=r"^metric 'n': tag key '.*' is not declared; tag_keys are method, status$"):
                call()
    assert {key for one in declared.series() for key in one.tags} <= {"method"}


def test_an_undeclared_key_is_an_error_also_where_another_metric_takes_it(registry: tm.Registry, kind: str) -> None:
    free = getattr(registry, kind)("free")
    strict = getattr(registry, kind)("strict", tag_keys=("method",))

    def at_one_call_site(instrument: Any) -> None:
        instrument.with_tags(method="GET", route="/")
        record(instrument, method="GET", route="/")

    for _ in range(3):
        at_one_call_site(free)
        with pytest.raises(tm.TagError, match="'route' is not declared"):
            at_one_call_site(strict)
    assert strict.series() == []


def test_keys_that_were_declared_elsewhere_do_not_count(registry: tm.Registry, kind: str) -> None:
    one, other = getattr(registry, kind)("a", tag_keys=("x",)), getattr(registry, kind)("b", tag_keys=("y",))
    for _ in range(3):
        record(one, x="1")
        record(other, y="1")
        with pytest.raises(tm.TagError):
            record(one, y="1")
        with pytest.raises(tm.TagError):
            record(other, x="1")


def test_a_metric_without_keys_takes_no_tags(registry: tm.Registry, kind: str) -> None:
    none = getattr(registry, kind)("n", tag_keys=())
    record(none)
    assert none.with_tags() is none.with_tags({}) is none.with_tags(None) is none
    with pytest.raises(tm.TagError, match=r"tag_keys are \(none\)"):
        record(none, a="1")
    with pytest.raises(TypeError, match="takes 0 values by place"):
        none.with_tags("x")


# By place


def test_values_are_given_by_place(declared: Any) -> None:
    bound = declared.with_tags("GET", "200")
    assert bound.tags == {"method": "GET", "status": "200"}
    assert bound is declared.with_tags("GET", "200")
    assert bound is declared.with_tags(method="GET", status="200")


class Method(enum.StrEnum):
    GET = "GET"


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (("GET", 200), ("GET", "200")),
        ((1, 2.5), ("1", "2.5")),
        ((None, None), ("None", "None")),
        ((None, "200"), ("None", "200")),
        ((Method.GET, b"x"), ("GET", "b'x'")),
        (("", ""), ("", "")),
        (("ж", "😀"), ("ж", "😀")),
        (("\udc80", "x"), ("\\udc80", "x")),
    ],
    ids=repr,
)
def test_values_by_place_become_text_as_any(declared: Any, values: tuple[Any, ...], texts: tuple[str, ...]) -> None:
    for _ in range(2):
        assert tuple(declared.with_tags(*values).tags.values()) == texts


def test_keywords_win_over_values_by_place(declared: Any) -> None:
    assert declared.with_tags("GET", "200", status="500").tags == {"method": "GET", "status": "500"}
    with pytest.raises(tm.TagError, match="'route'"):
        declared.with_tags("GET", "200", route="/")


def test_values_by_place_win_over_those_of_the_series(declared: Any) -> None:
    assert declared.with_tags(method="PUT").with_tags("GET", "200").tags == {"method": "GET", "status": "200"}


@pytest.mark.parametrize("values", [("GET",), ("GET", "200", "x"), ("",), (None, None, None), ("a",) * 40], ids=len)
def test_a_wrong_number_of_values_is_a_type_error_that_names_the_keys(declared: Any, values: tuple[Any, ...]) -> None:
    with pytest.raises(
        TypeError, match=rf"^metric 'n': with_tags\(\) takes 2 values by place \(method, status\), not {len(values)}"
    ):
        declared.with_tags(*values)


def test_values_by_place_need_declared_keys(registry: tm.Registry, kind: str) -> None:
    instrument = getattr(registry, kind)("n")
    for values in (("GET",), ("GET", "200"), ({}, {}), (None, None), (5,)):
        with pytest.raises(TypeError, match=r"takes keywords.*one mapping.*tag_keys=\('method',\)"):
            instrument.with_tags(*values)


def test_one_value_may_be_a_mapping_of_tags_instead(registry: tm.Registry, kind: str) -> None:
    one = getattr(registry, kind)("n", tag_keys=("method",))
    assert one.with_tags("GET") is one.with_tags({"method": "GET"}) is one.with_tags(tm.TagSet(method="GET"))
    assert one.with_tags(None) is one.with_tags({}) is one
    assert one.with_tags(5).tags == {"method": "5"}


@pytest.mark.parametrize("values", [(["GET"], "x"), ("x", ["GET"]), ({"method": "GET"}, "x"), ("x", {}), ((), ())], ids=repr)
def test_a_collection_is_no_value_by_place(declared: Any, values: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="a tag's value is one text"):
        declared.with_tags(*values)


@pytest.mark.parametrize("tags", ["GET", 5, ["GET"], 0.5], ids=repr)
def test_tags_at_creation_are_a_mapping_and_no_value_by_place(registry: tm.Registry, kind: str, tags: Any) -> None:
    with pytest.raises(TypeError, match="tags must be a mapping"):
        getattr(registry, kind)("n", tags=tags, tag_keys=("method",))


def test_keys_may_be_names_that_a_record_call_does_not_take_for_tags(registry: tm.Registry) -> None:
    counter = registry.counter("n", tag_keys=("value", "exemplar"))
    for _ in range(3):
        assert counter.with_tags("1", "2").tags == {"exemplar": "2", "value": "1"}
    with pytest.raises(TypeError, match="value="):
        counter.inc(value="1")


def test_a_value_that_names_the_same_series_while_it_is_printed_is_the_same(declared: Any) -> None:
    class Reentrant:
        def __str__(self) -> str:
            self.inner = declared.with_tags("GET", "200")
            declared.with_tags("x", "y").remove()
            return "200"

    value = Reentrant()
    assert declared.with_tags("GET", value) is value.inner


def test_more_than_32_values_may_be_given_by_place(registry: tm.Registry) -> None:
    keys = tuple(f"k{i:02}" for i in range(40))
    counter = registry.counter("n", tag_keys=keys, limits=tm.TagLimits(max_tags=40))
    values = tuple(str(i) for i in range(40))
    for _ in range(2):
        bound = counter.with_tags(*values)
        assert bound.tags == dict(zip(keys, values, strict=True))
        bound.inc()
    assert counter.with_tags(dict(zip(keys, values, strict=True))).value == 2


def test_values_by_place_leave_no_references(engine: Any) -> None:
    counter = tm.Registry(engine=engine.name).counter("n", tag_keys=("a", "b"))
    text, number, wrong = "".join(["a ", "text"]), 10**30, ["a"]
    before = [sys.getrefcount(one) for one in (text, number, wrong)]
    for _ in range(100):
        counter.with_tags(text, number).remove()
        with pytest.raises(TypeError):
            counter.with_tags(text, wrong)
        with pytest.raises(TypeError):
            counter.with_tags(text, number, wrong)
        with pytest.raises(tm.TagError):
            counter.with_tags(text, number, c=text)
    assert [sys.getrefcount(one) - 3 <= earlier for one, earlier in zip((text, number, wrong), before, strict=True)] == [
        True
    ] * 3


# Creation


def test_omitted_keys_match_those_that_are_declared(declared: Any, registry: tm.Registry, kind: str) -> None:
    assert getattr(registry, kind)("n") is declared
    assert getattr(registry, kind)("n", tag_keys=["method", "status"]) is declared
    with pytest.raises(tm.TagError):
        record(getattr(registry, kind)("n"), route="/")


@pytest.mark.parametrize("keys", [(), ("method",), ("status", "method"), ("method", "status", "route")], ids=repr)
def test_other_keys_are_a_conflict(declared: Any, registry: tm.Registry, kind: str, keys: tuple[str, ...]) -> None:
    with pytest.raises(tm.MetricConflictError, match=r"'n' exists already with tag_keys \('method', 'status'\)"):
        getattr(registry, kind)("n", tag_keys=keys)
    assert declared.with_tags("GET", "200").tags == {"method": "GET", "status": "200"}


def test_keys_are_a_conflict_where_none_were_declared(registry: tm.Registry, kind: str) -> None:
    getattr(registry, kind)("n").with_tags(a="1")
    with pytest.raises(tm.MetricConflictError, match="tag_keys None"):
        getattr(registry, kind)("n", tag_keys=("a",))


@pytest.mark.parametrize("keys", ["method", b"method", 5, {"a"}, frozenset("a"), (1,), (None,), [b"a"]], ids=repr)
def test_keys_of_a_wrong_type_are_a_type_error(registry: tm.Registry, kind: str, keys: Any) -> None:
    with pytest.raises(TypeError, match=r"^metric 'n'.*(tag_keys|tag key)"):
        getattr(registry, kind)("n", tag_keys=keys)
    assert "n" not in registry.snapshot()


@pytest.mark.parametrize("keys", [("",), ("1a",), ("a b",), ("a", "a=b")], ids=repr)
def test_keys_that_cannot_be_tag_keys_are_a_tag_error(registry: tm.Registry, keys: tuple[str, ...]) -> None:
    with pytest.raises(tm.TagError, match="is not valid"):
        registry.counter("n", tag_keys=keys)


def test_a_key_is_declared_once(registry: tm.Registry) -> None:
    with pytest.raises(ValueError, match=r"'n': tag_keys names a key twice: \('a', 'b', 'a'\)"):
        registry.counter("n", tag_keys=("a", "b", "a"))


class Key(enum.StrEnum):
    METHOD = "method"


def test_keys_come_in_any_form_that_has_an_order(registry: tm.Registry) -> None:
    for name, keys in {"a": ["method"], "b": (Key.METHOD,), "c": {"method": None}, "d": iter(["method"])}.items():
        bound = registry.counter(name, tag_keys=keys).with_tags("GET")
        assert bound.tags == {"method": "GET"}
        assert type(next(iter(bound.tags))) is str


def test_the_list_of_keys_may_change_afterwards(registry: tm.Registry) -> None:
    keys = ["a"]
    counter = registry.counter("n", tag_keys=keys)
    keys.append("b")
    assert counter.with_tags("1").tags == {"a": "1"}


def test_the_front_door_takes_keys_too() -> None:
    with tm.use(tm.Registry()):
        for kind in KINDS:
            assert getattr(tm, kind)(kind, tag_keys=("a",)).with_tags("1").tags == {"a": "1"}


def test_a_metric_that_was_unregistered_may_come_back_with_other_keys(registry: tm.Registry) -> None:
    counter = registry.counter("n", tag_keys=("a",))
    counter.with_tags("1").inc()
    registry.unregister("n")
    other = registry.counter("n", tag_keys=("b",))
    assert other.with_tags("1").tags == {"b": "1"}
    counter.inc(a="1")  # its name has gone to another
    rejected = registry.snapshot().find("tallymark_rejected", metric="n", reason="name_taken")
    assert rejected is not None
    assert rejected.value == 1


# Beside tags of the registry, limits, the overflow series


def test_keys_of_the_registry_are_allowed_beside_those_declared(engine: Any, kind: str) -> None:
    registry = tm.Registry(engine=engine.name, tags={"host": "h"})
    instrument = getattr(registry, kind)("n", tag_keys=("method",))
    assert instrument.with_tags("GET").tags == {"host": "h", "method": "GET"}
    assert instrument.with_tags(host="x").tags == {"host": "x"}
    for _ in range(2):
        with pytest.raises(tm.TagError, match="'route'"):
            record(instrument, route="/")
    assert instrument.with_tags({"host": "h"}) is instrument


def test_limits_hold_for_declared_keys_too(registry: tm.Registry) -> None:
    limits = tm.TagLimits(max_tags=2, disallowed_keys=("c",), max_value_length=3)
    counter = registry.counter("n", tag_keys=("a", "b", "c"), limits=limits)
    with pytest.raises(tm.TagError, match="max_tags is 2"):
        counter.with_tags("1", "2", "3")
    with pytest.raises(tm.TagError, match="disallowed_keys"):
        counter.inc(c="1")
    assert counter.with_tags(a="long").tags == {"a": "lo…"}


def test_a_series_beyond_the_limit_goes_to_the_overflow_series_whatever_the_keys(registry: tm.Registry, kind: str) -> None:
    limits = tm.TagLimits(max_series=1)
    instrument = getattr(registry, kind)("n", tag_keys=("method", "status"), limits=limits)
    instrument.with_tags("GET", "200")
    overflow = instrument.with_tags("GET", "500")
    assert overflow.tags == {"overflow": "true"}
    assert instrument.with_tags("PUT", "200") is overflow
    record(instrument, method="PUT")
    assert overflow.with_tags("x", "y") is overflow


@pytest.mark.parametrize("tags", [{}, {"host": "h"}], ids=repr)
def test_the_overflow_series_may_be_named_though_its_key_is_not_declared(engine: Any, kind: str, tags: dict[str, str]) -> None:
    registry = tm.Registry(engine=engine.name, tags=tags)
    instrument = getattr(registry, kind)("n", tag_keys=("method",), limits=tm.TagLimits(max_series=1))
    overflow = instrument.with_tags(overflow="true")
    instrument.with_tags("GET")
    assert instrument.with_tags("PUT") is overflow
    assert instrument.with_tags({"overflow": "true"}) is overflow
    for other in ({"overflow": "false"}, {"overflow": "true", "method": "GET"}):
        with pytest.raises(tm.TagError, match="'overflow' is not declared"):
            instrument.with_tags(other)


def test_callbacks_name_their_series_by_declared_keys(registry: tm.Registry) -> None:
    registry.gauge("n", tag_keys=("a",), callback=lambda: [({"a": "1"}, 5.0)])
    registry.gauge("wrong", tag_keys=("a",), callback=lambda: [({"b": "1"}, 5.0)])
    snapshot = registry.snapshot()
    assert snapshot.find("n", a="1") is not None
    assert "wrong" not in snapshot
    assert registry.snapshot().find("tallymark_rejected", metric="wrong", reason="callback") is not None


# Processes


@pytest.fixture
def pair(tmp_path: Path) -> tuple[tm.Registry, tm.Registry]:
    """Two registries on one file, as in two processes."""
    first, second = (tm.Registry(engine="native", shared=tmp_path / "metrics") for _ in range(2))
    return first, second


def test_processes_agree_on_keys(pair: tuple[tm.Registry, tm.Registry]) -> None:
    first, second = pair
    first.counter("n", tag_keys=("method", "status")).with_tags("GET", "200").inc()
    late = second.counter("n")
    late.with_tags("GET", "200").inc()
    with pytest.raises(tm.TagError, match="'route' is not declared"):
        late.inc(route="/")
    with pytest.raises(tm.MetricConflictError, match="tag_keys"):
        second.counter("n", tag_keys=("method",))
    assert [(dict(one.tags), one.value) for one in first.snapshot()["n"]] == [({"method": "GET", "status": "200"}, 2)]


def test_who_learns_of_a_metric_by_reading_it_knows_its_keys(pair: tuple[tm.Registry, tm.Registry]) -> None:
    first, second = pair
    first.counter("n", tag_keys=()).inc()
    first.counter("free").inc(a="1")
    assert "n" in second.snapshot()
    with pytest.raises(tm.TagError):
        second.counter("n").inc(a="1")
    with pytest.raises(tm.MetricConflictError, match="tag_keys None"):
        second.counter("free", tag_keys=("a",))
    second.counter("free").inc(b="1")


def test_the_root_appears_in_shared_memory_though_its_keys_are_declared(pair: tuple[tm.Registry, tm.Registry]) -> None:
    first, second = pair
    first.counter("n", tag_keys=("a",)).inc()
    second.counter("n", tag_keys=("a",)).inc(5)
    assert [one.value for one in first.snapshot()["n"]] == [6]
