"""Rows as JSON: what an engine writes itself, and what it leaves to the exporter."""

from __future__ import annotations

import json
import math
import threading
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

import tallymark as tm
from tallymark.engine import load_engine

BOUNDS = [0.5, 1, 5]


@pytest.fixture
def registry() -> tm.Registry:
    """A registry on the engine that writes rows."""
    return tm.Registry(engine="native", limits=tm.TagLimits(max_series=10_000))


@pytest.fixture
def text() -> Any:
    return load_engine("native").Exposition()


def rows(text: Any, now: Any, before: Any = None, most: int = 2**40) -> Any:
    assert text.write_json_rows(now, before, most)
    return json.loads(f"[{text.bytes().decode()}]")


def values(registry: tm.Registry) -> Any:
    return registry.snapshot()["level"].columns.values


def counts(registry: tm.Registry) -> Any:
    columns = registry.snapshot()["size"].columns
    return columns.bucket_counts, columns.sums


def test_the_reference_engine_leaves_all_to_the_exporter() -> None:
    text = load_engine("reference").Exposition()
    assert not text.write_json_rows((1.0,), None, 1)
    assert not text.write_json_total((1.0,))
    assert text.bytes() == b""


@given(st.lists(st.floats(), max_size=30), st.integers(-2, 40))
def test_numbers_are_written_as_repr_does(numbers: list[float], most: int) -> None:
    registry, text = tm.Registry(engine="native"), load_engine("native").Exposition()
    gauge = registry.gauge("level")
    for place, number in enumerate(numbers):
        gauge.set(number, a=place)
    wanted = numbers if numbers else [0.0]  # the untagged series
    special = {math.inf: '"+Inf"', -math.inf: '"-Inf"'}
    told = ["null" if number != number else special.get(number, repr(number)) for number in wanted]
    assert text.write_json_rows(values(registry), None, most)
    expected = ",".join([f"[{place},{number}]" for place, number in enumerate(told[: max(most, 0)])])
    assert text.bytes() == expected.encode()


def test_rows_that_changed_wherever_they_are(registry: tm.Registry, text: Any) -> None:
    gauge, size = registry.gauge("level"), registry.histogram("size", buckets=BOUNDS)
    for place in range(5000):  # in several blocks
        gauge.set(place, a=place)
        size.observe(1, a=place)
    before = values(registry), counts(registry)
    changed = [0, 1023, 1024, 2500, 4999]
    for place in changed:
        gauge.set(-1, a=place)
        size.observe(7, a=place)
    assert rows(text, values(registry), before[0]) == [[place, -1.0] for place in changed]
    # of a histogram, its count, its sum, and each bucket that changed: the one above all bounds
    assert rows(text, counts(registry), before[1]) == [[place, 2, 8.0, 3, 1] for place in changed]
    assert rows(text, counts(registry), before[1], 1024) == [[place, 2, 8.0, 3, 1] for place in changed[:2]]
    assert rows(text, before[0], before[0]) == []


def test_rows_whose_blocks_differ(registry: tm.Registry, text: Any) -> None:
    gauge = registry.gauge("level")
    for place in range(3000):
        gauge.set(place, a=place)
    before = values(registry)
    for place in range(10):
        gauge.with_tags(a=place).remove()
        gauge.set(place, b=place)
    now = values(registry)
    assert len(now) == len(before)
    assert dict(rows(text, now, before)) == {place: now[place] for place in range(3000) if now[place] != before[place]}


def test_what_is_left_to_the_exporter(registry: tm.Registry, text: Any) -> None:
    gauge = registry.gauge("level")
    gauge.set(1, a=1)
    registry.histogram("size", buckets=BOUNDS).observe(1)
    registry.histogram("other", buckets=[1]).observe(1)
    registry.histogram("wide", exponential=True).observe(1)
    one, size = values(registry), counts(registry)
    gauge.set(1, a=2)
    snapshot = registry.snapshot()
    for now, before in [
        (values(registry), one),  # another number of rows
        (one, size), (size, one), (one, (1.0,)), (size, snapshot["other"].columns.bucket_counts),
        ((1.0,), None), (None, None), ("text", None), (snapshot["level"].columns.tags, None),
        (snapshot["size"].columns.sums, None), (snapshot["wide"].columns.positives, None),
    ]:  # fmt: skip
        assert not text.write_json_rows(now, before, 10)
        assert text.bytes() == b""
    for column in ((1.0,), None, snapshot["level"].columns.tags, snapshot["wide"].columns.positives):
        assert not text.write_json_total(column)
    with pytest.raises(TypeError):
        text.write_json_rows(one)
    with pytest.raises(TypeError):
        text.write_json_rows(one, None, "many")


def test_totals(registry: tm.Registry, text: Any) -> None:
    for place in range(3000):
        registry.gauge("level").set(place, a=place)
        registry.histogram("size", buckets=BOUNDS).observe(place % 8, a=place)
    assert text.write_json_total(values(registry))
    assert json.loads(text.bytes()) == [sum(range(3000))]
    assert text.write_json_total(counts(registry))
    assert json.loads(text.bytes()) == [3000, 10500.0, 375, 375, 1500, 750]


def test_it_is_written_after_what_is_there(registry: tm.Registry, text: Any) -> None:
    registry.gauge("level").set(1)
    text.write("é")
    assert text.write_json_rows(values(registry), None, 1)
    assert text.write_json_total(values(registry))
    assert text.bytes().decode() == "é[0,1.0][1.0]"


@pytest.mark.parametrize("start", ["", "{", "é🌶{", "\udc80", "x" * 20_000], ids=["nothing", "one", "wide", "surrogate", "long"])
def test_what_is_around_the_rows_is_written_if_there_are_any(registry: tm.Registry, text: Any, start: str) -> None:
    level = registry.gauge("level")
    for place in range(1500):  # without the GIL
        level.set(place, a=place)
    before = values(registry)
    level.set(-1, a=3)
    level.set(-1, a=1400)
    text.write("<")
    assert text.write_json_rows(before, before, 2000, start, "}")
    assert text.write_json_rows(before, None, 0, start, "}")
    assert text.write_json_rows(values(registry), before, 2000, start, "}" + start)
    text.write(">")
    told = start.encode("utf-8", "replace")
    assert text.bytes() == b"<%b[3,-1.0],[1400,-1.0]}%b>" % (told, told)


@pytest.mark.parametrize("around", [(b"{",), ("{", b"}"), (None,), (3, "}"), ("{", "}", "more")], ids=str)
def test_what_is_around_the_rows_is_text(registry: tm.Registry, text: Any, around: Any) -> None:
    registry.gauge("level").set(1)
    text.write("<")
    with pytest.raises(TypeError):
        text.write_json_rows(values(registry), None, 1, *around)
    assert text.bytes() == b"<"


def test_other_threads_record_meanwhile(registry: tm.Registry, text: Any) -> None:
    size = registry.histogram("size", buckets=BOUNDS)
    for place in range(5000):
        size.observe(1, a=place)
    done = threading.Event()

    def record() -> None:
        while not done.is_set():
            for place in range(0, 5000, 100):
                size.observe(1, a=place)

    thread = threading.Thread(target=record)
    thread.start()
    try:
        before = None
        for _ in range(5):
            now = counts(registry)
            for row in rows(text, now, before):
                assert row[1] == (sum(row[3:]) if before is None else row[4])  # all of it is in one bucket
            before = now
    finally:
        done.set()
        thread.join()


def test_tags_of_two_readings_are_the_same_where_no_series_came_or_went(registry: tm.Registry) -> None:
    gauge = registry.gauge("level")
    for place in range(3000):
        gauge.set(place, a=place)
    first, second = (registry.snapshot()["level"].columns.tags for _ in range(2))
    assert first == second
    assert not (first != second)  # noqa: SIM202 - another operator
    gauge.set(1, a="more")
    third = registry.snapshot()["level"].columns.tags
    assert first != third
    gauge.with_tags(a=0).remove()
    assert registry.snapshot()["level"].columns.tags != first
