"""Tags as fields of protobuf messages: both engines return the same bytes, and the protobuf runtime reads the tags in them."""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint

from tallymark.engine import load_engine, native, reference
from tallymark.export.protobuf_messages import Metric

on_each_engine = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

LABELS, ATTRIBUTES = b"\x0a\x12", b"\x3a\x12\x0a"
"""The tags of fields: of `Metric.label`, and of `NumberDataPoint.attributes`."""
LENGTHS = [0, 1, 126, 127, 128, 16383, 16384]
"""Around those at which a length takes one byte more."""

TEXTS = st.one_of(
    st.text(max_size=8),
    st.text(st.characters(max_codepoint=0xFF), max_size=8),
    st.text(st.characters(max_codepoint=0xFFFF), max_size=8),  # surrogates too
    st.builds(lambda text, length: text * length, st.sampled_from("aé€\U0001f600\ud800"), st.sampled_from(LENGTHS)),
)
KEYS = st.text("abcdefghijklmnopqrstuvwxyz_.", min_size=1, max_size=3).filter(lambda key: key[0] not in ".")
TAGS = st.dictionaries(KEYS, TEXTS, max_size=5)


def field(tag: int, message: bytes) -> bytes:
    """Return a field in the way that is the easiest to read: only for lengths that the tests have."""
    length, head = len(message), bytearray()
    while length > 127:
        head.append(128 | length % 128)
        length //= 128
    return bytes([tag, *head, length]) + message


class Layouts(dict[tuple[str, ...], Any]):
    """Layouts that write each tag under its own key; they count how often one is asked for."""

    def __init__(self, otherwise: bytes | None = None) -> None:
        self.otherwise = otherwise
        self.asked: list[tuple[str, ...]] = []

    def __missing__(self, keys: tuple[str, ...]) -> Any:
        self.asked.append(keys)
        return tuple([(field(0x0A, key.encode()), self.otherwise, (place,)) for place, key in enumerate(keys)])


def tag_set(engine: Any, tags: dict[str, str]) -> Any:
    """Return tags with any text as they are: of those that come from outside, lone surrogates are replaced before."""
    if engine is reference:
        return reference.TagSet._of(tuple(sorted(tags.items())))
    return engine.TagSet(tags)


def valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


@on_each_engine
@example(column=[{f"k{i:02}": str(i) for i in range(64)}])
@example(column=[{"a": text * length} for text in "aé€\U0001f600" for length in LENGTHS])
@given(column=st.lists(TAGS, max_size=6))
def test_the_protobuf_runtime_reads_the_tags(engine: Any, column: list[dict[str, str]]) -> None:
    sets = [tag_set(engine, tags) for tags in column]
    attributes, is_left_out = engine.tag_fields(sets, Layouts(), ATTRIBUTES)
    assert not is_left_out
    for tags, made in zip(sets, attributes, strict=True):
        point = NumberDataPoint.FromString(made)
        assert {one.key: one.value.string_value for one in point.attributes} == {key: valid(tags[key]) for key in tags}
        assert [one.key for one in point.attributes] == list(tags)
    labels, is_left_out = engine.tag_fields(sets, Layouts(b""), LABELS)
    assert is_left_out == any("" in tags.values() for tags in sets)
    for tags, made in zip(sets, labels, strict=True):
        metric = Metric.FromString(made)
        assert [(one.name, one.value) for one in metric.label] == [(key, valid(tags[key])) for key in tags if tags[key]]


PARTS = st.tuples(
    st.binary(max_size=3), st.none() | st.binary(max_size=130), st.lists(st.integers(0, 2), max_size=4).map(tuple)
)


@on_each_engine
@given(
    column=st.lists(st.fixed_dictionaries({"a": TEXTS, "b": TEXTS, "c": TEXTS}), max_size=3),
    layout=st.lists(PARTS, max_size=4).map(tuple),
    nested=st.binary(min_size=2, max_size=3),
)
def test_both_engines_write_any_layout_alike(column: list[dict[str, str]], layout: Any, nested: bytes) -> None:
    layouts = {("a", "b", "c"): layout}
    made = native.tag_fields([native.TagSet(tags) for tags in column], layouts, nested)
    assert made == reference.tag_fields([reference.TagSet(tags) for tags in column], layouts, nested)
    expected = []
    for tags in [reference.TagSet(tags) for tags in column]:
        fields = b""
        for head, otherwise, places in layout:
            text = ";".join([list(tags.values())[place] for place in places]).encode()
            message = text
            for tag in reversed(nested[1:]):
                message = field(tag, message)
            fields += field(nested[0], head + message) if text or otherwise is None else otherwise
        expected.append(fields)
    assert made[0] == expected


def test_lone_surrogates_become_question_marks() -> None:
    (made,), _ = reference.tag_fields([tag_set(reference, {"a": "x\ud800\udfff€"})], Layouts(), LABELS)
    assert made == field(0x0A, field(0x0A, b"a") + field(0x12, "x??€".encode()))


def test_a_layout_is_asked_for_once_for_neighbours_with_the_same_keys(engine: Any) -> None:
    layouts = Layouts()
    engine.tag_fields(
        [engine.TagSet(**{key: str(i) for key in keys}) for keys in ("a", "b", "ab", "a") for i in range(9)], layouts, LABELS
    )
    assert layouts.asked == [("a",), ("b",), ("a", "b"), ("a",)]


@pytest.mark.parametrize("sequence", [list, tuple, iter])
def test_a_column_is_any_sequence(engine: Any, sequence: Any) -> None:
    sets = [engine.TagSet(a="1"), engine.TagSet(a="2")]
    assert engine.tag_fields(sequence(sets), Layouts(), LABELS) == engine.tag_fields(sets, Layouts(), LABELS)
    assert engine.tag_fields(sequence([]), Layouts(), LABELS) == ([], False)


def test_tags_of_another_engine_and_of_none_are_written_too(engine: Any) -> None:
    mixed = [native.TagSet(a="1"), reference.TagSet(a="1"), {"a": "1"}]
    made, is_left_out = engine.tag_fields(iter(mixed), Layouts(), LABELS)
    assert made == [field(0x0A, field(0x0A, b"a") + field(0x12, b"1"))] * 3
    assert not is_left_out


def test_a_place_of_what_is_left_out_is_told_but_no_constant(engine: Any) -> None:
    tags = [engine.TagSet(a="")]
    assert engine.tag_fields(tags, {("a",): ((b"", b"xy", ()),)}, LABELS) == ([b"xy"], False)
    assert engine.tag_fields(tags, {("a",): ((b"", b"xy", (0,)),)}, LABELS) == ([b"xy"], True)
    assert engine.tag_fields(tags, {("a",): ((b"", None, (0,)),)}, LABELS) == ([b"\x0a\x02\x12\x00"], False)
    assert engine.tag_fields(tags, {("a",): ((b"", b"", (0, 0)),)}, LABELS) == ([b"\x0a\x03\x12\x01;"], False)


@pytest.mark.parametrize(
    ("layout", "error"),
    [
        (((b"", None, (1,)),), IndexError),
        (((b"", None, (2**70,)),), IndexError),
        (((b"", None, (1 << 20000,)),), IndexError),  # too large to be written
        (((b"", None, ("0",)),), TypeError),
        (((b"", "", ()),), TypeError),
        ((("", None, (0,)),), TypeError),
        (1, TypeError),
        ((1,), TypeError),
        (None, TypeError),
    ],
)
def test_a_layout_that_is_none_is_an_error(engine: Any, layout: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        engine.tag_fields([engine.TagSet(a="1")], {("a",): layout}, LABELS)


@pytest.mark.parametrize(
    "layout", [[], ([b"", None, (0,)],), ((b"", None, [0]),), ((b"", None, (-1,)),), ((b"", None, (True,)),)]
)
def test_the_native_engine_takes_no_layout_that_could_change_or_reach_further(layout: Any) -> None:
    with pytest.raises((TypeError, IndexError)):
        native.tag_fields([native.TagSet(a="1")], {("a",): layout}, LABELS)


def test_what_cannot_be_written_is_an_error(engine: Any) -> None:
    tags = [engine.TagSet(a="1")]
    for nested in (b"", b"\x0a", b"\x0a\x12\x0a\x0a"):
        with pytest.raises(ValueError, match="2 or 3 bytes"):
            engine.tag_fields(tags, Layouts(), nested)
    for nested in ("ab", bytearray(2), None):
        with pytest.raises(TypeError, match="nested must be bytes"):
            engine.tag_fields(tags, Layouts(), nested)
    for column in (None, 1, [None], [tags[0], 3]):
        with pytest.raises((TypeError, AttributeError)):
            engine.tag_fields(column, Layouts(), LABELS)
    with pytest.raises(TypeError):
        engine.tag_fields(tags, Layouts())
    with pytest.raises(KeyError):
        engine.tag_fields(tags, {}, LABELS)


def test_a_column_that_is_emptied_while_a_layout_is_looked_for_is_survived() -> None:
    class Emptying(Layouts):
        def __missing__(self, keys: tuple[str, ...]) -> Any:
            column.clear()
            gc.collect()
            return super().__missing__(keys)

    column = [native.TagSet({f"only_here_{i}": "x" * 200}) for i in range(5)]
    made, _ = native.tag_fields(column, Emptying(), LABELS)
    assert len(made) == 1
    assert b"only_here_0" in made[0]


def test_nothing_is_kept(engine: Any) -> None:
    value, layouts = "a value of its own" * 2, Layouts()
    tags = [engine.TagSet({"a": value, "b": ""}), engine.TagSet(c=value)]
    layouts.update({("a", "b"): ((b"head", None, (0, 1)), (b"", b"otherwise", (1,))), ("c",): ((b"", None, (0,)),)})
    parts = [tags, *tags, layouts, *layouts.values(), LABELS]
    engine.tag_fields(tags, layouts, LABELS)  # now the reference engine has kept what it keeps for a while
    before = [sys.getrefcount(each) for each in parts]
    for _ in range(20):
        engine.tag_fields(tags, layouts, LABELS)
        with pytest.raises(KeyError):
            engine.tag_fields([*tags, engine.TagSet(z=value)], dict(layouts), LABELS)
    assert [sys.getrefcount(each) for each in parts] == before


def test_a_long_value_is_not_kept_even_for_a_while(engine: Any) -> None:
    value = "a long value" * 50
    tags = [engine.TagSet(a=value)]
    before = sys.getrefcount(value)
    engine.tag_fields(tags, {("a",): ((b"", None, (0,)),)}, LABELS)
    assert sys.getrefcount(value) == before


def test_keys_go_with_the_last_tags_that_have_them(engine: Any) -> None:
    key = "".join(["only_in_", "this_test"])
    before = sys.getrefcount(key)
    column = [engine.TagSet({key: "1"}), engine.TagSet(b="1"), engine.TagSet({key: "2"})]
    layouts = dict.fromkeys([("only_in_this_test",), ("b",)], ((b"", None, (0,)),))
    engine.tag_fields(column, layouts, LABELS)
    with pytest.raises(IndexError):
        engine.tag_fields(column, layouts | {("b",): ((b"", None, (1,)),)}, LABELS)
    del column
    gc.collect()
    assert sys.getrefcount(key) == before


def test_the_engine_in_use_has_it() -> None:
    from tallymark.engine import tag_fields

    assert tag_fields is load_engine().tag_fields
