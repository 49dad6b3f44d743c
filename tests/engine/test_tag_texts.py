"""Tags as text: both engines write the same, and leave the same to the format's own code."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallymark as tm
from tallymark.engine import load_engine, native, reference

AS_THEY_ARE = bytes(range(128)) + b"\0"
FRAMES = {(): (("-",), True), ("a",): (("<a=", ">"), True), ("a", "b"): (("<a=", ",b=", ">"), True), ("c",): None}
WITHOUT_C = bytes([0 if chr(place) == "c" else ord("_") if chr(place) == "d" else place for place in range(128)] + [ord("?")])
"""`c` cannot be written, `d` becomes `_`, and what is not ASCII `?`."""


def written(
    engine: Any, sets: list[dict[str, str]], frames: Any = FRAMES, becomes: bytes = AS_THEY_ARE, longest: int = sys.maxsize
) -> Any:
    return engine.tag_texts([engine.TagSet(tags) for tags in sets], frames, becomes, longest)


def test_values_are_put_into_the_frame_of_their_keys(engine: Any) -> None:
    sets = [{"a": "x", "b": "y/z"}, {"a": "x y"}, {}, {"a": "1"}]
    assert written(engine, sets) == (["<a=x,b=y/z>", "<a=x y>", "-", "<a=1>"], 0, True)


def test_what_the_engine_cannot_write_is_missing(engine: Any) -> None:
    sets = [{"a": ""}, {"a": "abc"}, {"c": "1"}, {"a": "1"}, {"a": "éc"}]
    assert written(engine, sets, becomes=WITHOUT_C) == ([None, None, None, "<a=1>", None], 4, True)
    assert written(engine, [{"a": "é"}, {"a": "\U0001f600"}, {"a": "1"}]) == ([None, None, "<a=1>"], 2, True)


def test_characters_become_others_and_that_is_told(engine: Any) -> None:
    assert written(engine, [{"a": "bdd"}, {"a": "b"}], becomes=WITHOUT_C) == (["<a=b__>", "<a=b>"], 0, False)
    assert written(engine, [{"a": "b\x7f\x80é日😀"}], becomes=WITHOUT_C) == (["<a=b\x7f????>"], 0, False)
    assert written(engine, [{"a": "cd"}, {"a": "b"}], becomes=WITHOUT_C) == ([None, "<a=b>"], 1, True)  # it is not there


def test_keys_that_are_not_told_as_they_are_are_told(engine: Any) -> None:
    frames = {("a",): (("b=", ""), False), (): (("",), True)}
    assert written(engine, [{"a": "1"}], frames) == (["b=1"], 0, False)
    assert written(engine, [{}], frames) == ([""], 0, True)
    assert written(engine, [{"a": ""}, {}], frames) == ([None, ""], 1, True)
    assert written(engine, [{}], {(): (("",), False)}) == ([""], 0, False)


def test_a_text_that_is_too_long_is_missing(engine: Any) -> None:
    assert written(engine, [{"a": "1234"}, {"a": "12345"}], longest=8) == (["<a=1234>", None], 1, True)
    assert written(engine, [{}], {(): (("",), True)}, longest=-1) == ([None], 1, True)
    assert written(engine, [{"a": "1"}], longest=2**100) == (["<a=1>"], 0, True)


def test_what_is_no_tag_set_of_this_engine_is_missing(engine: Any) -> None:
    other = reference if engine.name == "native" else native
    column = [other.TagSet(a="1"), {"a": "1"}, None, engine.TagSet(a="1"), 7]
    assert engine.tag_texts(column, FRAMES, AS_THEY_ARE, 99) == ([None, None, None, "<a=1>", None], 4, True)


def test_a_column_may_be_any_sequence(engine: Any, registry: tm.Registry) -> None:
    counter = registry.counter("n")
    for i in range(3):
        counter.inc(a=i)
    column = registry.snapshot()["n"].columns.tags
    for tags in (column, tuple(column), list(column), iter(column)):
        assert engine.tag_texts(tags, FRAMES, AS_THEY_ARE, 99) == (["<a=0>", "<a=1>", "<a=2>"], 0, True)
    assert engine.tag_texts((), FRAMES, AS_THEY_ARE, 99) == ([], 0, True)


def test_a_set_of_very_many_tags_is_as_any_other(engine: Any) -> None:
    tags = {f"k{i:03}": str(i) for i in range(100)}
    frame = tuple([f"{',' if i else ''}{key}=" for i, key in enumerate(tags)] + ["."])
    assert written(engine, [tags], {tuple(tags): (frame, True)})[0] == [",".join([f"{k}={v}" for k, v in tags.items()]) + "."]


@pytest.mark.parametrize(
    "frame",
    [
        7, "ab", ("a", "b"), (("a", "b"),), (("a",), True), (("a", "b", "c"), True), (["a", "b"], True), (("é", ""), True),
        (("a", 1), True), (("a", None), True), [("a", "b"), True], ((), True), (("a", "b"), True, 1),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_frame_is_an_error(engine: Any, frame: Any) -> None:
    with pytest.raises(TypeError, match="a frame must be None, or a tuple of ASCII texts, one more than there are keys"):
        written(engine, [{"a": "1"}], {("a",): frame})


@pytest.mark.parametrize("becomes", [b"", AS_THEY_ARE[1:], AS_THEY_ARE + b"a", AS_THEY_ARE[:-1] + b"\x80", "a" * 129, None],
                         ids=["empty", "short", "long", "not ASCII", "text", "None"])  # fmt: skip
def test_what_is_no_table_of_characters_is_an_error(engine: Any, becomes: Any) -> None:
    with pytest.raises(ValueError, match="129 bytes of ASCII"):
        written(engine, [{"a": "1"}], becomes=becomes)


def test_other_arguments_that_cannot_be_are_errors(engine: Any) -> None:
    with pytest.raises(TypeError):
        engine.tag_texts([])
    with pytest.raises(TypeError):
        engine.tag_texts(7, FRAMES, AS_THEY_ARE, 9)
    with pytest.raises(TypeError):
        written(engine, [{"a": "1"}], 7)
    with pytest.raises(KeyError):
        written(engine, [{"x": "1"}])


class Made(dict[tuple[str, ...], Any]):
    """Frames that are made when they are asked for, by code that does what it can to disturb."""

    def __init__(self, column: list[Any]) -> None:
        super().__init__()
        self.column = column

    def __missing__(self, keys: tuple[str, ...]) -> Any:
        self.column.clear()
        gc.collect()
        for one in gc.get_objects():
            if type(one) is list and len(one) < 5:
                repr(one)
        return (*(f"{key}=" for key in keys), "."), True


def test_frames_are_made_by_code_that_may_do_anything(engine: Any) -> None:
    column = [engine.TagSet({f"k{i}": "1"}) for i in range(4)]
    assert engine.tag_texts(column, Made(column), AS_THEY_ARE, 99) == ([f"k{i}=1." for i in range(4)], 0, True)
    assert column == []


def test_an_error_of_that_code_comes_through(engine: Any) -> None:
    class Failing(dict[tuple[str, ...], Any]):
        def __missing__(self, keys: tuple[str, ...]) -> Any:
            raise RuntimeError(f"no frame for {keys}")

    with pytest.raises(RuntimeError, match=r"no frame for \('b',\)"):
        written(engine, [{"a": "1"}, {"b": "1"}], Failing(FRAMES))


def test_nothing_is_kept() -> None:
    def used() -> int:
        gc.collect()
        return sys.getallocatedblocks()

    column = [native.TagSet(a=str(i), b="é" if i % 3 else "x") for i in range(1000)]
    frames = {("a", "b"): (("a" * 10, "b", "c"), True)}
    frame = frames["a", "b"]
    before, references = used(), sys.getrefcount(frame)
    for _ in range(5):
        native.tag_texts(column, frames, WITHOUT_C, 99)
        with pytest.raises(TypeError):
            native.tag_texts([*column, native.TagSet(a="1")], {**frames, ("a",): 7}, WITHOUT_C, 99)
    assert used() - before < 50
    references_now = sys.getrefcount(frame)
    assert references_now == references


TEXTS = st.one_of(
    st.text("abcd/ ", max_size=12), st.text(max_size=6), st.text(st.characters(max_codepoint=300), max_size=6),
    st.sampled_from(["", "\0", "\x7f", "\x80", "\ud800", "x" * 200, "😀", "ʊ"]),
)  # fmt: skip
SETS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "c", "é", "http.method"]), TEXTS, max_size=4), max_size=6)
TABLES = st.binary(min_size=129, max_size=129).map(lambda table: bytes([byte & 127 for byte in table])) | st.sampled_from(
    [AS_THEY_ARE, WITHOUT_C]
)


class Described(dict[tuple[str, ...], Any]):
    """A frame for all keys but one."""

    def __missing__(self, keys: tuple[str, ...]) -> Any:
        return None if keys == ("b",) else ((*[f";{key!a}=" for key in keys], "." * len(keys)), "c" not in keys)


@given(SETS, TABLES, st.integers(0, 60))
def test_both_engines_write_the_same(sets: list[dict[str, str]], becomes: bytes, longest: int) -> None:
    frames: Mapping[Any, Any] = Described()
    found = [written(load_engine(name), sets, frames, becomes, longest) for name in ("native", "reference")]
    assert found[0] == found[1]
    texts, missing, _ = found[0]
    assert len(texts) == len(sets)
    assert missing == texts.count(None)
