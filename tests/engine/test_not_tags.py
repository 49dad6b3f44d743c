"""What is no tag, though people who come from elsewhere may think so: `amount=`, `value=`, `exemplar=`, and collections."""

from __future__ import annotations

import enum
import re
from collections import OrderedDict, UserDict, deque
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

import tallymark as tm

CALLS = [
    ("counter", "inc"), ("counter", "add"), ("gauge", "set"), ("gauge", "inc"), ("gauge", "dec"), ("gauge", "add"),
    ("histogram", "observe"), ("timer", "record"),
]  # fmt: skip
TAKES_EXEMPLARS = [(kind, method) for kind, method in CALLS if kind != "gauge"]
TRACE = {"trace_id": "4bf92f3577b34da6", "span_id": "00f067aa0ba902b7"}


def ids(call: object) -> str | None:
    return ".".join(call) if isinstance(call, tuple) else None


@pytest.fixture(params=CALLS, ids=ids)
def call(request: pytest.FixtureRequest, registry: tm.Registry) -> Callable[..., None]:
    """A method that records."""
    kind, method = request.param
    recorded: Callable[..., None] = getattr(getattr(registry, kind)("n"), method)
    return recorded


@pytest.fixture(params=TAKES_EXEMPLARS, ids=ids)
def exemplified(request: pytest.FixtureRequest, registry: tm.Registry) -> Callable[..., None]:
    """A method that records and takes an exemplar."""
    kind, method = request.param
    recorded: Callable[..., None] = getattr(getattr(registry, kind)("n"), method)
    return recorded


def recorded(registry: tm.Registry) -> dict[str, float]:
    """Return the series that hold anything, and how much of it."""
    family = registry.snapshot()["n"]
    held = {str(dict(one.tags)): one.value if family.kind in ("counter", "gauge") else one.count for one in family}
    return {tags: value for tags, value in held.items() if value}


def rejected(registry: tm.Registry, reason: str = "exemplar") -> float:
    found = registry.snapshot().find("tallymark_rejected", metric="n", reason=reason)
    return 0 if found is None else found.value


# The number


@pytest.mark.parametrize("name", ["amount", "value"])
@pytest.mark.parametrize("beside", [{}, {"method": "GET"}, {"exemplar": None}, {f"k{i}": "1" for i in range(40)}], ids=len)
def test_a_number_by_keyword_is_a_type_error_that_names_both_remedies(
    call: Callable[..., None], registry: tm.Registry, name: str, beside: dict[str, Any]
) -> None:
    for tags in ({name: 5, **beside}, {**beside, name: 5}):
        for _ in range(3):  # no plan of another call site makes a tag of it
            with pytest.raises(TypeError, match=rf"^metric 'n': {name}= .*by place, as in inc\(2\).*with_tags\({name}="):
                call(1, **tags)
    assert recorded(registry) == {}


@pytest.mark.parametrize("name", ["amount", "value"])
def test_a_number_by_keyword_alone_is_a_type_error_too(call: Callable[..., None], registry: tm.Registry, name: str) -> None:
    with pytest.raises(TypeError, match=r"by place, as in inc\(2\)|positional argument"):
        call(**{name: 5})
    assert recorded(registry) == {}


def test_the_native_engine_shows_the_call_that_gives_the_number_by_place() -> None:
    gauge = tm.Registry(engine="native").gauge("n")
    with pytest.raises(TypeError, match=re.escape("set() takes one positional argument, set(2) say, but 0 were given")):
        gauge.set(value=5)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["amount", "value", "exemplar"])
def test_with_tags_takes_any_name_for_a_tag(call: Callable[..., None], name: str) -> None:
    instrument: Any = call.__self__  # type: ignore[attr-defined]
    bound = instrument.with_tags(**{name: "x"})
    assert bound.tags == {name: "x"}
    assert bound is instrument.with_tags({name: "x"})
    with pytest.raises(TypeError, match=r"mapping|by place|takes no exemplar"):
        call(1, **{name: "x"})


@pytest.mark.parametrize("name", ["amounts", "Value", "value_", "exemplars", "amoun", "self"])
def test_names_that_are_only_like_them_are_tags(call: Callable[..., None], registry: tm.Registry, name: str) -> None:
    call(1, **{name: "x"})
    assert list(recorded(registry)) == [str({name: "x"})]


class Name(enum.StrEnum):
    AMOUNT = "amount"
    EXEMPLAR = "exemplar"


def test_an_enum_member_of_that_name_is_no_tag_either(exemplified: Callable[..., None], registry: tm.Registry) -> None:
    with pytest.raises(TypeError, match="amount"):
        exemplified(1, **{Name.AMOUNT: "x"})
    exemplified(1, **{Name.EXEMPLAR: TRACE})
    assert recorded(registry) == {"{}": 1}


def test_the_overflow_series_takes_them_for_tags_no_more_than_others(registry: tm.Registry) -> None:
    counter = registry.counter("n", limits=tm.TagLimits(max_series=1))
    counter.inc(a="1")
    overflow = counter.with_tags(a="2")
    assert overflow.tags == {"overflow": "true"}
    overflow.inc(b="1")
    with pytest.raises(TypeError, match="amount="):
        overflow.inc(amount=2)
    overflow.inc(exemplar=TRACE)
    assert overflow.value == 2


# Exemplars


@pytest.mark.parametrize("exemplar", [None, {}, TRACE, MappingProxyType(TRACE), OrderedDict(TRACE), UserDict(TRACE)], ids=repr)
def test_an_exemplar_is_taken_and_is_no_tag(exemplified: Callable[..., None], registry: tm.Registry, exemplar: Any) -> None:
    exemplified(1, exemplar=exemplar)
    assert recorded(registry) == {"{}": 1}
    assert rejected(registry) == 0


def test_tags_go_beside_an_exemplar_in_any_order(exemplified: Callable[..., None], registry: tm.Registry) -> None:
    exemplified(1, method="GET", status=200)
    exemplified(1, exemplar=TRACE, method="GET", status=200)
    exemplified(1, method="GET", exemplar=TRACE, status=200)
    exemplified(1, status=200, method="GET", exemplar=None)
    assert recorded(registry) == {str({"method": "GET", "status": "200"}): 4}


def test_an_exemplar_goes_with_the_number_that_inc_has_by_default(registry: tm.Registry) -> None:
    registry.counter("n").inc(exemplar=TRACE)
    assert recorded(registry) == {"{}": 1}


@pytest.mark.parametrize("exemplar", ["4bf92f", 5, True, [("trace_id", "4bf92f")], ("a",), {"a"}, b"a", object], ids=repr)
def test_an_exemplar_that_is_no_mapping_is_a_type_error(
    exemplified: Callable[..., None], registry: tm.Registry, exemplar: Any
) -> None:
    for tags in ({}, {"method": "GET"}):
        with pytest.raises(TypeError, match=r"^metric 'n': an exemplar is a mapping.*with_tags\(exemplar="):
            exemplified(1, exemplar=exemplar, **tags)
    assert recorded(registry) == {}


@pytest.mark.parametrize("method", ["set", "inc", "dec", "add"])
def test_a_gauge_takes_none(registry: tm.Registry, method: str) -> None:
    call = getattr(registry.gauge("n"), method)
    for exemplar in (TRACE, {}, "x"):
        with pytest.raises(TypeError, match="a gauge takes no exemplar"):
            call(1, exemplar=exemplar)
    call(1, exemplar=None)
    assert [abs(value) for value in recorded(registry).values()] == [1]


class Hostile(Mapping[str, str]):
    """A mapping that cannot be read."""

    def __getitem__(self, key: str) -> str:
        raise RuntimeError("no")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")

    def __len__(self) -> int:
        raise RuntimeError("no")


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


UNUSABLE: dict[str, Any] = {
    "too long": {"trace_id": "x" * 121},
    "too long together": {f"key_{i:02}": "12345" for i in range(12)},
    "a key that is no text": {1: "x"},
    "a key that is no key": {"a b": "x"},
    "an empty key": {"": "x"},
    "a value that is a collection": {"trace_id": ["x"]},
    "a value that cannot be printed": {"trace_id": Unprintable()},
    "hostile": Hostile(),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_exemplar_is_rejected_and_its_record_counts(
    exemplified: Callable[..., None], registry: tm.Registry, name: str
) -> None:
    exemplified(1, exemplar=UNUSABLE[name])
    exemplified(1, method="GET", exemplar=UNUSABLE[name])
    assert recorded(registry) == {"{}": 1, "{'method': 'GET'}": 1}
    assert rejected(registry) == 2


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_exemplar_raises_where_the_registry_is_strict(strict_registry: tm.Registry, name: str) -> None:
    with pytest.raises(ValueError, match="exemplar"):
        strict_registry.counter("n").inc(exemplar=UNUSABLE[name])


def test_an_exemplar_of_128_characters_is_within_the_limit(registry: tm.Registry) -> None:
    counter = registry.counter("n")
    counter.inc(exemplar={"trace_id": "x" * 120})
    assert rejected(registry) == 0
    counter.inc(exemplar={"trace_id": "x" * 120, "a": ""})
    assert rejected(registry) == 1


def test_an_exemplar_whose_text_records_counts_that_too(registry: tm.Registry) -> None:
    counter = registry.counter("n")

    class Recording:
        def __str__(self) -> str:
            counter.inc(method="GET", exemplar=TRACE)
            return "x"

    counter.inc(method="GET", exemplar={"trace_id": Recording()})
    assert recorded(registry) == {"{'method': 'GET'}": 2}


def test_an_exemplar_of_a_rejected_number_is_not_looked_at(registry: tm.Registry) -> None:
    registry.counter("n").inc(-1, exemplar=UNUSABLE["hostile"])
    registry.histogram("h").observe(float("nan"), exemplar=5)  # type: ignore[arg-type]
    assert rejected(registry) == 0
    assert rejected(registry, "negative") == 1


def test_both_engines_see_the_same_mistake_first(registry: tm.Registry) -> None:
    counter: Any = registry.counter("n")
    for keywords in ({"amount": 1, "exemplar": 5}, {"exemplar": 5, "amount": 1}):
        with pytest.raises(TypeError, match="an exemplar is a mapping"):
            counter.inc(**keywords)
    with pytest.raises(TypeError, match="amount="):
        counter.inc(amount=1, exemplar=UNUSABLE["too long"])
    assert rejected(registry) == 1


# Where such names are tags as any other


@pytest.mark.parametrize("name", ["amount", "value", "exemplar"])
def test_calls_that_take_no_number_or_exemplar_by_keyword_take_these_for_tags(registry: tm.Registry, name: str) -> None:
    tag: dict[str, Any] = {name: "x"}
    timer, gauge, counter = registry.timer("took"), registry.gauge("busy"), registry.counter("failed")
    with timer.time(**tag):
        pass
    timer.time(**tag)(lambda: None)()
    timer.record_since(0.0, **tag)
    assert timer.with_tags(**tag).snapshot().count == 3
    with gauge.track_in_progress(**tag):
        assert gauge.with_tags(**tag).value == 1
    with pytest.raises(KeyError), counter.count_exceptions(KeyError, **tag):
        raise KeyError
    assert counter.with_tags(**tag).value == 1


@pytest.mark.parametrize("name", ["amount", "value", "exemplar"])
def test_the_context_of_operational_calls_may_have_these_names(registry: tm.Registry, name: str) -> None:
    tag: dict[str, Any] = {name: "x"}
    ops = tm.OperationalMetrics(registry, in_flight=True)
    for _ in range(2):
        ops.record_operation("auth", "success", 0.1, **tag)
        ops.record_error("auth", "Timeout", "net", **tag)
        ops.record_event("security", "refused", **tag)
        ops.record_value("order", "books", 19.9, **tag)
        with ops.operation("auth", **tag):
            pass
    held = {(one.name, one.value if hasattr(one, "value") else one.count) for one in registry.snapshot() if name in one.tags}
    assert held == {("operations", 4), ("operation_duration", 4), ("operation_errors", 2), ("events", 2), ("amounts", 2)}


# Collections


class Pair(NamedTuple):
    method: str
    status: str


COLLECTIONS: list[Any] = [
    {"method": "GET"}, {}, ["GET"], [], ("GET", "200"), (), {"GET"}, frozenset(), Pair("GET", "200"),
    OrderedDict(method="GET"), UserDict(method="GET"), MappingProxyType({"method": "GET"}), Hostile(), tm.TagSet(method="GET"),
]  # fmt: skip
NO_COLLECTIONS: list[Any] = [b"GET", bytearray(b"GET"), range(3), deque("ab"), {"a": 1}.keys(), type, "GET", 200, None]
SHOWS_THE_CALL = r"inc\(method='GET', status='200'\).*with_tags\(\{'method': 'GET'\}\)"


def collection_id(value: object) -> str:
    return f"{type(value).__name__} {value!r}"[:24] if not isinstance(value, Hostile) else "hostile"


@pytest.mark.parametrize("value", COLLECTIONS, ids=collection_id)
def test_a_collection_is_no_value_of_a_tag(call: Callable[..., None], registry: tm.Registry, value: object) -> None:
    call(1, attributes="x")  # a plan for this call site is there
    before = recorded(registry)
    for tags in ({"attributes": value}, {"a": "1", "attributes": value, "b": "2"}, {"labels": value}):
        for _ in range(2):
            with pytest.raises(TypeError, match=rf"tag '(attributes|labels)' is a {type(value).__name__}, .*{SHOWS_THE_CALL}"):
                call(1, **tags)
    assert recorded(registry) == before
    assert rejected(registry, "unprintable") == 0


def operational(registry: tm.Registry) -> tm.OperationalMetrics:
    return tm.OperationalMetrics(registry, in_flight=True)


TAKES_TAGS: dict[str, Callable[[tm.Registry, Any], object]] = {
    "with_tags": lambda registry, value: registry.counter("n").with_tags(method=value),
    "with_tags of a mapping": lambda registry, value: registry.counter("n").with_tags({"method": value}),
    "with_tags of a mapping and a keyword": lambda registry, value: registry.counter("n").with_tags({"method": value}, a="1"),
    "with_tags by place": lambda registry, value: registry.counter("n", tag_keys=("a", "b")).with_tags("x", value),
    "time": lambda registry, value: registry.timer("n").time(method=value),
    "record_since": lambda registry, value: registry.timer("n").record_since(0.0, method=value),
    "track_in_progress": lambda registry, value: registry.gauge("n").track_in_progress(method=value),
    "count_exceptions": lambda registry, value: registry.counter("n").count_exceptions(method=value),
    "counter(tags=)": lambda registry, value: registry.counter("n", tags={"method": value}),
    "timer(tags=)": lambda registry, value: registry.timer("n", tags={"method": value}),
    "info": lambda registry, value: registry.info("n", method=value),
    "state": lambda registry, value: registry.state("n", ["a"], tags={"method": value}),
    "Registry(tags=)": lambda registry, value: tm.Registry(tags={"method": value}, engine=registry._engine.name),
    "TagSet": lambda registry, value: registry._engine.TagSet(method=value),
    "TagSet of a mapping": lambda registry, value: registry._engine.TagSet({"method": value}),
    "tm.family": lambda registry, value: tm.family("gauge", "n", [({"method": value}, 1.0)]),
    "record_operation": lambda registry, value: operational(registry).record_operation("auth", "success", 1.0, method=value),
    "record_operation by place": lambda registry, value: operational(registry).record_operation(value, "success", 1.0),
    "record_error": lambda registry, value: operational(registry).record_error("auth", value),
    "record_event": lambda registry, value: operational(registry).record_event("a", "b", method=value),
    "record_value": lambda registry, value: operational(registry).record_value("a", "b", 1.0, method=value),
    "operation": lambda registry, value: operational(registry).operation(value).__enter__(),
}


@pytest.mark.parametrize("value", [{"method": "GET"}, ["GET"], {"GET"}], ids=repr)
@pytest.mark.parametrize("where", TAKES_TAGS)
def test_a_collection_is_no_value_of_a_tag_wherever_tags_are_given(registry: tm.Registry, where: str, value: object) -> None:
    with pytest.raises(TypeError, match=SHOWS_THE_CALL):
        TAKES_TAGS[where](registry, value)


@pytest.mark.parametrize("value", NO_COLLECTIONS, ids=repr)
def test_what_only_looks_like_a_collection_is_recorded_as_its_text(registry: tm.Registry, value: object) -> None:
    counter = registry.counter("n")
    for _ in range(3):
        counter.inc(tag=value)
    assert recorded(registry) == {str({"tag": str(value)}): 3}


class Text(str):
    def __getitem__(self, key: Any) -> str:
        raise RuntimeError("no")


class Whole(int):
    def __getitem__(self, key: Any) -> int:
        raise RuntimeError("no")


class Record:
    """A mapping by its own word, which cannot be subscripted."""

    def __str__(self) -> str:
        return "record"


Mapping.register(Record)


@pytest.mark.parametrize(
    ("value", "text"), [(Text("x"), "x"), (Whole(5), "5"), (Record(), "record")], ids=["str", "int", "object"]
)
def test_a_value_that_is_text_or_a_number_at_heart_is_no_collection(registry: tm.Registry, value: object, text: str) -> None:
    counter = registry.counter("n")
    for _ in range(3):
        counter.inc(tag=value)
        counter.inc(tag=text)
    assert recorded(registry) == {str({"tag": text}): 6}


def test_a_value_that_is_both_unprintable_and_beside_a_collection_is_counted_once_at_most(registry: tm.Registry) -> None:
    counter = registry.counter("n")
    with pytest.raises(TypeError, match="attributes"):
        counter.inc(tag=Unprintable(), attributes={})
    assert rejected(registry, "unprintable") == 1


# Classes


@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram", "timer"])
@pytest.mark.parametrize("arguments", [("x",), (), ("x", "Description.", ["method"])], ids=len)
def test_a_class_that_is_called_says_what_to_call_instead(engine: Any, kind: str, arguments: tuple[Any, ...]) -> None:
    cls = getattr(engine, kind.title())
    with pytest.raises(
        TypeError, match=rf"^a {kind.title()} is made by a registry: registry\.{kind}\(name\), or tm\.{kind}\(name\)$"
    ):
        cls(*arguments)
    with pytest.raises(TypeError, match=rf"tm\.{kind}\(name\)"):
        cls("x", documentation="…", labelnames=["method"])
    with pytest.raises(TypeError, match=rf"tm\.{kind}\(name\)"):
        getattr(tm, kind.title())("x")
