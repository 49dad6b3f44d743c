"""`TagSet`: the immutable, interned mapping of a series' tags."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tallymark as tm

on_each_engine = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_.:/-]{0,8}", fullmatch=True)
KEYS = st.one_of(st.sampled_from(["a", "b", "c", "self", "amount"]), NAMES)
VALUES = st.one_of(st.text(max_size=12), st.integers(), st.booleans(), st.none(), st.floats())
TAGS = st.dictionaries(KEYS, VALUES, max_size=4)


def text_of(value: object) -> str:
    return str(value).encode("utf-8", "backslashreplace").decode()


def as_text(tags: Mapping[str, object]) -> dict[str, str]:
    return {key: text_of(value) for key, value in tags.items()}


@on_each_engine
@given(tags=TAGS, data=st.data())
def test_order_never_matters(engine: Any, tags: dict[str, object], data: st.DataObject) -> None:
    shuffled = dict(data.draw(st.permutations(list(tags.items()))))
    assert engine.TagSet(tags) is engine.TagSet(shuffled)
    counter = tm.Registry(engine=engine.name).counter("n")
    assert counter.with_tags(tags) is counter.with_tags(shuffled)


@on_each_engine
@given(one=TAGS, two=TAGS, three=TAGS)
def test_merging_is_associative_and_later_tags_win(
    engine: Any, one: dict[str, object], two: dict[str, object], three: dict[str, object]
) -> None:
    root = tm.Registry(engine=engine.name, limits=tm.TagLimits(max_tags=20)).counter("n")
    at_once = root.with_tags({**one, **two, **three})
    assert root.with_tags(one).with_tags(two).with_tags(three) is at_once
    assert root.with_tags({**one, **two}).with_tags(three) is at_once
    assert root.with_tags(one).with_tags({**two, **three}) is at_once
    assert at_once.tags == as_text({**one, **two, **three})


@on_each_engine
@given(tags=TAGS)
def test_equal_tag_sets_are_one_object(engine: Any, tags: dict[str, object]) -> None:
    tag_set = engine.TagSet(tags)
    assert engine.TagSet(as_text(tags)) is tag_set
    assert engine.TagSet(tag_set) is tag_set
    assert tm.Registry(engine=engine.name).counter("n").with_tags(tags).tags is tag_set


@on_each_engine
@given(tags=TAGS)
def test_a_tag_set_reads_like_the_dict_of_its_texts(engine: Any, tags: dict[str, object]) -> None:
    tag_set, texts = engine.TagSet(tags), as_text(tags)
    assert tag_set == texts
    assert texts == tag_set
    assert dict(tag_set) == texts
    assert list(tag_set) == sorted(texts)
    assert list(tag_set.items()) == sorted(texts.items())
    assert (len(tag_set), bool(tag_set)) == (len(texts), bool(texts))
    assert all(key in tag_set and tag_set[key] == tag_set.get(key) == text for key, text in texts.items())
    assert all(type(text) is str for pair in tag_set.items() for text in pair)


@on_each_engine
@given(one=TAGS, two=TAGS)
def test_tag_sets_are_equal_only_if_their_texts_are(engine: Any, one: dict[str, object], two: dict[str, object]) -> None:
    assert (engine.TagSet(one) == engine.TagSet(two)) is (as_text(one) == as_text(two))
    assert (engine.TagSet(one) == as_text(two)) is (as_text(one) == as_text(two))


@on_each_engine
@given(tags=TAGS)
def test_copies_and_pickles_are_the_same_object(engine: Any, tags: dict[str, object]) -> None:
    tag_set = engine.TagSet(tags)
    assert copy.copy(tag_set) is tag_set
    assert copy.deepcopy(tag_set) is tag_set
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(tag_set, protocol)) is tag_set


@on_each_engine
@given(one=VALUES, two=VALUES)
def test_two_values_that_print_the_same_are_the_same_tag(engine: Any, one: object, two: object) -> None:
    assert (engine.TagSet(tag=one) is engine.TagSet(tag=two)) is (text_of(one) == text_of(two))


def test_a_tag_set_is_a_hashable_mapping(engine: Any) -> None:
    tag_set = engine.TagSet(a="1")
    assert isinstance(tag_set, Mapping)
    assert isinstance(tag_set, Hashable)
    assert {tag_set: "found"}[engine.TagSet(a=1)] == "found"
    assert hash(tag_set) == hash(engine.TagSet({"a": "1"}))


def test_a_tag_set_cannot_be_changed(engine: Any) -> None:
    tag_set = engine.TagSet(a="1")
    with pytest.raises(TypeError):
        tag_set["a"] = "2"
    with pytest.raises(TypeError):
        del tag_set["a"]
    with pytest.raises(AttributeError):
        tag_set.anything = 1
    for change in ("update", "pop", "clear", "setdefault", "popitem"):
        assert not hasattr(tag_set, change)
    assert tag_set == {"a": "1"}


def test_what_a_tag_set_was_made_from_can_change_without_it(engine: Any) -> None:
    source = {"a": "1"}
    tag_set = engine.TagSet(source)
    source["a"] = "2"
    dict(tag_set)["a"] = "3"
    assert tag_set == {"a": "1"}


def test_a_missing_key_is_a_key_error(engine: Any) -> None:
    tag_set = engine.TagSet(a="1")
    with pytest.raises(KeyError):
        tag_set["b"]
    assert tag_set.get("b") is None
    assert tag_set.get("b", "default") == "default"
    assert "b" not in tag_set
    assert 5 not in tag_set


def test_a_tag_set_differs_from_what_is_no_mapping(engine: Any) -> None:
    assert engine.TagSet() != ()
    assert engine.TagSet() != 0
    assert engine.TagSet(a="1") != {"a": 1}


def test_any_keyword_works(engine: Any) -> None:
    tags = {"self": "1", "cls": "2", "mapping": "3", "tags": "4", "class": "5"}
    assert engine.TagSet(**tags) == tags


def test_keywords_win_over_the_mapping(engine: Any) -> None:
    assert engine.TagSet({"a": "1", "b": "2"}, b="3") == {"a": "1", "b": "3"}


def test_repr_can_be_read(engine: Any) -> None:
    assert repr(engine.TagSet(b="2", a=1)) == "TagSet({'a': '1', 'b': '2'})"


def test_lone_surrogates_become_text_that_can_be_encoded(engine: Any) -> None:
    tag_set = engine.TagSet(path="a\udc80b")
    assert tag_set["path"].encode() == rb"a\udc80b"
    assert engine.TagSet(path=r"a\udc80b") is tag_set


@pytest.mark.parametrize("key", ["", "1", "a b", "é "])
def test_a_bad_key_is_a_tag_error(engine: Any, key: str) -> None:
    with pytest.raises(tm.TagError, match="key"):
        engine.TagSet({key: "1"})


def test_a_value_that_cannot_be_printed_is_a_tag_error(engine: Any) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no")

    with pytest.raises(tm.TagError, match="Hostile"):
        engine.TagSet(a=Hostile())


@pytest.mark.parametrize("thing", [5, "ab", [("a", "1")]])
def test_what_is_no_mapping_is_a_type_error(engine: Any, thing: Any) -> None:
    with pytest.raises(TypeError, match="mapping"):
        engine.TagSet(thing)


def test_a_tag_set_that_nobody_holds_is_freed_and_can_be_made_again(engine: Any) -> None:
    for _ in range(3):
        assert engine.TagSet(ephemeral="x") == {"ephemeral": "x"}
        gc.collect()


def test_a_series_holds_its_tag_set(registry: tm.Registry) -> None:
    identity = id(registry.counter("n").with_tags(a="1").tags)
    gc.collect()
    assert id(registry.counter("n").with_tags(a="1").tags) == identity


TWINS = [lambda: "a".upper(), lambda: chr(65), lambda: "".join(["me", "thod"]), lambda: "ß".upper(), lambda: "é".upper()]


@pytest.mark.parametrize("key", TWINS, ids=lambda key: key())
def test_keys_of_one_text_are_one_key_however_they_came_to_be(engine: Any, key: Callable[[], str]) -> None:
    """CPython 3.12 may hold two interned objects of one text."""
    first, second = key(), sys.intern(key())
    assert engine.TagSet({first: "x"}) is engine.TagSet({second: "x"})
    registry = tm.Registry(engine=engine.name)
    counter = registry.counter("n")
    counter.with_tags({key(): "x"}).inc()
    counter.inc(**{sys.intern(key()): "x"})
    counter.inc(**{key(): "x"})
    assert [one.value for one in registry.snapshot()["n"]] == [3]
