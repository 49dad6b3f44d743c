"""Lines of a text and a number: both engines write the same."""

from __future__ import annotations

import gc
import sys
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallymark.engine import load_engine, native


def test_each_finite_number_has_a_line(engine: Any) -> None:
    found = engine.number_lines(["a", "b", "é", "d"], (1.0, nan, -2.5e-7, inf), "<", "=", ">\n")
    assert found == ("<a=1.0>\n<é=-2.5e-07>\n".encode(), 2)
    assert engine.number_lines([], [], "<", "=", ">") == (b"", 0)
    assert engine.number_lines(("",), [0.1], "", "", "") == (b"0.1", 1)
    assert engine.number_lines(["ü", "\u2028", "😀"], [1.0] * 3, "ß", "→", "😀") == (
        "ßü→1.0😀ß\u2028→1.0😀ß😀→1.0😀".encode(),
        3,
    )


@pytest.mark.parametrize("value", [1, True, None, "1.0", type("Float", (float,), {})(1.0)], ids=repr)
def test_what_is_no_float_is_left_to_the_exporter(engine: Any, value: Any) -> None:
    assert engine.number_lines(["a", "b"], [1.0, value], "", "", "") is None


def test_a_text_may_be_of_a_class_of_its_own(engine: Any) -> None:
    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "no"

        def __format__(self, _: str) -> str:
            return "no"

        def encode(self, *_: Any) -> bytes:
            return b"no"

    assert engine.number_lines([Text("a"), Text("é")], [1.0, 2.0], "", "=", ";") == ("a=1.0;é=2.0;".encode(), 2)
    assert engine.number_lines(["a"], [1.0], Text("<"), Text("="), Text("é")) == ("<a=1.0é".encode(), 1)


def test_what_cannot_be_is_an_error(engine: Any) -> None:
    for texts, values, parts in (([1], [1.0], ("", "", "")), (["a", None], [1, 1], ("", "", "")), ([], [], ("", 1, ""))):
        with pytest.raises(TypeError, match="a line has a text, not a value of type"):
            engine.number_lines(texts, values, *parts)
    with pytest.raises(ValueError, match="there are 1 texts and 2 values"):
        engine.number_lines(["a"], [1.0, 2.0], "", "", "")
    with pytest.raises(TypeError):
        engine.number_lines(["a"], [1.0])
    with pytest.raises(TypeError):
        engine.number_lines(7, [1.0], "", "", "")
    for texts, start in ((["\ud800"], ""), (["a"], "\ud800"), ([], "\ud800")):
        with pytest.raises(UnicodeEncodeError):
            engine.number_lines(texts, [1.0] * len(texts), start, "", "")


def test_nothing_is_kept() -> None:
    def used() -> int:
        gc.collect()
        return sys.getallocatedblocks()

    texts, values = [f"é{i}" for i in range(1000)], [i / 7 for i in range(1000)]
    before, size = used(), sys.getsizeof(texts[0])
    for _ in range(5):
        native.number_lines(texts, values, "a", "b", "c")
        assert native.number_lines(texts, [*values[1:], 1], "a", "b", "c") is None
        with pytest.raises(UnicodeEncodeError):
            native.number_lines([*texts[1:], "\ud800"], values, "a", "b", "c")
    assert used() - before < 50
    assert sys.getsizeof(texts[0]) == size  # what is UTF-8 of a text is not kept with it


TEXTS = st.text(max_size=5) | st.text(st.characters(max_codepoint=300, exclude_categories=["Cs"]), max_size=5)


@given(st.lists(st.tuples(TEXTS, st.floats()), max_size=20), TEXTS, TEXTS, TEXTS)
def test_both_engines_write_the_same(rows: list[tuple[str, float]], start: str, between: str, end: str) -> None:
    texts, values = [text for text, _ in rows], [value for _, value in rows]
    found = [load_engine(name).number_lines(texts, values, start, between, end) for name in ("native", "reference")]
    assert found[0] == found[1]
