"""Rows as JSON: what the native engine writes is what Python code writes, whatever rows it is given to compare with."""

from __future__ import annotations

import json
import math
import threading
from itertools import pairwise, product
from typing import Any
from unittest import mock

import hypothesis.strategies as st
from hypothesis import example, given, settings

import tallymark as tm
from tallymark.engine import load_engine
from tallymark.engine.reference.exposition import Exposition as ReferenceExposition
from tallymark.serve.live import rows

MANY = 1500  # rows, which are written without the GIL
VALUES = [0.0, -0.0, 1.5, math.nan, math.inf, -math.inf, 1e300, 5e-324, 2.0**53, 1e16, 1e22, 1e-5, 0.1]


def exposition() -> Any:
    return load_engine("native").Exposition()


def recorded(registry: tm.Registry, series: int = 3) -> None:
    for place in range(series):
        limits = tm.TagLimits(max_series=MANY)
        registry.gauge("level", limits=limits).inc(place + 0.5, a=place)
        registry.histogram("size", buckets=[1, 10], limits=limits).observe(place, a=place)
        registry.histogram("spread", exponential=True, limits=limits).observe(place, a=place)


def columns(registry: tm.Registry) -> dict[str, Any]:
    """Return what each family's rows are known by."""
    data = {family.name: family.data for family in registry.snapshot().families}
    return {name: rows._numbers(rows._columns(data[name])) for name in ("level", "size", "spread")}


def rows_text(*arguments: Any, text: Any = None) -> bytes:
    text = text or exposition()
    rows.write_rows(text, *arguments)
    told: bytes = text.bytes()
    return told


def rows_by_python(*arguments: Any) -> bytes:
    return rows_text(*arguments, text=ReferenceExposition())


def total_by_python(data: Any) -> str:
    with mock.patch.object(rows, "Exposition", ReferenceExposition):
        return rows.total_text(data)


def test_nothing_is_written_where_no_row_is_told() -> None:
    registry = tm.Registry(engine="native")
    recorded(registry)
    earlier, now = columns(registry), columns(registry)
    for name in ("level", "size"):
        text = exposition()
        assert text.write_json_rows(now[name], earlier[name], 5)
        assert text.write_json_rows(now[name], None, 0)
        assert text.write_json_rows(now[name], None, -1)
        assert text.bytes() == b""
        text.write("more")
        assert text.write_json_rows(now[name], earlier[name], 5)
        assert text.bytes() == b"more"


def test_rows_of_anything_else_are_left_to_python() -> None:
    registry, other = tm.Registry(engine="native"), tm.Registry(engine="native")
    recorded(registry)
    recorded(other, series=4)
    other.histogram("fine", buckets=[1, 2, 3]).observe(1, a=1)
    now, others = columns(registry), columns(other)
    fine = other.snapshot()["fine"].columns
    reference = tm.Registry(engine="reference")
    recorded(reference)
    wrong = [*others.values(), fine.bucket_counts, fine.sums, fine.tags, *columns(reference).values(), (1.0,), "level", 3]
    for column, before in product((now["level"], now["size"]), wrong):
        text = exposition()
        assert text.write_json_rows(column, before, 5) is False
        assert text.bytes() == b""
    for column in (now["spread"], fine.sums, fine.tags, (1.0,), None):
        assert exposition().write_json_rows(column, None, 5) is False
        assert exposition().write_json_total(column) is False


RECORDS = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(VALUES) | st.floats()), max_size=12)


@given(st.lists(RECORDS, min_size=2, max_size=3), st.integers(0, 6))
@example([[("a", 0.0)], [("a", -0.0)]], 1)
@example([[("a", math.nan)], [("a", -math.nan)]], 1)  # whose bits differ
@settings(max_examples=60)
def test_both_ways_write_the_same(readings: list[list[tuple[str, float]]], most: int) -> None:
    registry = tm.Registry(engine="native")
    level = registry.gauge("level")
    taken = []
    for records in readings:
        for tag, value in records:
            level.set(value, a=tag)
            registry.histogram("size", buckets=[-1, 0.5, 1e6]).observe(value if math.isfinite(value) else 1, a=tag)
        taken.append(registry.snapshot())
    for before, now in pairwise([None, *taken]):
        for family in now.families if now else ():
            was = next((one.data for one in before.families if one.name == family.name), None) if before else None
            comparable = was if was is not None and was.tags == family.data.tags else None
            told = rows_text(family.data, comparable, most)
            assert told == rows_by_python(family.data, comparable, most)
            json.loads(b"[%b]" % told)
            assert rows.total_text(family.data) == total_by_python(family.data)


def test_many_rows_are_written_while_others_record_and_remove() -> None:
    registry = tm.Registry(engine="native")
    recorded(registry, MANY)
    data = registry.snapshot()["level"].data
    wanted = rows_by_python(data, None, MANY)
    ended = threading.Event()

    def disturb() -> None:
        level = registry.gauge("level")
        while not ended.is_set():
            for place in range(0, MANY, 7):
                level.with_tags(a=place).remove()
                level.set(1, a=place)

    other = threading.Thread(target=disturb)
    other.start()
    try:
        for _ in range(20):
            assert rows_text(data, None, MANY) == wanted
            json.loads(b"[%b]" % rows_text(registry.snapshot()["level"].data, data, MANY))
    finally:
        ended.set()
        other.join()
