"""Differences that the native engine works out are those that Python code does, whatever two readings are."""

from __future__ import annotations

import gc
import itertools
import math
import pickle
import threading
import tracemalloc
import weakref
from collections.abc import Sequence
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given, settings

import tallymark as tm
from odd_readings import READINGS, WORDS_OF_SERIES, readings, readings_of_words, registry, told, twin
from tallymark.engine import load_engine
from tallymark.frozen import replace
from tallymark.metric import delta_buckets

NATIVE = load_engine("native").difference
EXPLICIT = ("tags", "created", "bucket_counts", "sums", "mins", "maxs")
EXPONENTIAL = ("tags", "created", "scales", "zero_counts", "positives", "negatives", "sums", "mins", "maxs")
MANY = 2200  # series, in several blocks


def between(before: tm.Snapshot, after: tm.Snapshot, *, worked_out_natively: bool = True) -> dict[str, Any]:
    with mock.patch.object(delta_buckets, "difference", NATIVE):
        found = tm.delta(before, after)
    by_python = tm.delta(twin(before), twin(after))
    for family, other in zip(found.families, by_python.families, strict=True):
        assert told(family.data) == told(other.data)
        column = family.data.sums  # type: ignore[union-attr]
        assert isinstance(column, tuple) is not worked_out_natively
    return {family.name: family.data for family in found.families}


@pytest.mark.slow
@settings(max_examples=150)
@given(READINGS)
@example([[("observe", "a", 1.0)], [("observe", "a", 1e300), ("observe", "a", -1e-300)]])  # exponential buckets become coarser
@example([[("observe", "a", 1.0)] * 3, [("anew", "a", 1.0), ("observe", "a", 5.0)]])  # counts fell
@example([[("observe", "a", 5.0)], [("observe", "a", 0.0), ("observe", "a", 1.0)]])  # the edges of what is 0
@example([[("observe", "a", -5.0)], [("observe", "a", 0.0), ("observe", "a", -1.0)]])
@example([[("observe", "a", 1.0)], [("remove", "a", 0.0), ("observe", "a", 1.0), ("observe", "b", 1.0)]])
def test_differences_are_those_of_python(steps: list[Any]) -> None:
    for before, after in itertools.product(readings(steps), repeat=2):
        between(before, after)


@pytest.mark.slow
@settings(max_examples=60)
@given(WORDS_OF_SERIES)
@example([[((1, 0, 0, 0), math.inf, 1.0, 1.0), ((2, 0, 0, 0), math.inf, 1.0, 1.0)]])
@example([[((1, 0, 0, 0), math.nan, 1.0, 1.0), ((2, 0, 0, 0), math.nan, 1.0, 1.0)]])
@example([[((1, 0, 0, 0), 0.0, 1.0, 1.0), ((2, 0, 0, 0), -0.0, 1.0, 1.0)]])
@example([[((1, 0, 0, 0), math.inf, 1.0, 1.0), ((2, 0, 0, 0), -math.inf, 1.0, 1.0)]])
def test_differences_of_whatever_memory_holds_are_those_of_python(series: list[list[Any]]) -> None:
    with readings_of_words(series) as [before, after]:
        between(before, after)
        between(after, before)
        between(before, before)


def many(series: Sequence[int], made: tm.Registry | None = None) -> tuple[tm.Registry, Any, Any]:
    made = made or registry()
    limits = tm.TagLimits(max_series=2 * MANY)
    bounded = made.histogram("bounded", buckets=(1.0, 10.0), limits=limits)
    spread = made.histogram("spread", exponential=True, limits=limits)
    for i in series:
        bounded.observe(i % 20, a=i)
        spread.observe(i % 20, a=i)
    return made, bounded, spread


@pytest.mark.slow
@pytest.mark.parametrize(
    "gone",
    [[3], [0, 1, 2], range(1024), range(1000, 1100), range(0, MANY, 2), range(MANY - 1), range(MANY), []],
    ids=["one", "first", "block", "across", "half", "all but one", "all", "none"],
)
def test_series_that_come_and_go_are_found_in_their_new_rows(gone: Sequence[int]) -> None:
    made, bounded, spread = many(range(MANY))
    before = made.snapshot()
    for i in gone:
        bounded.with_tags(a=i).remove()
        spread.with_tags(a=i).remove()
    removed = made.snapshot()
    for i in [*gone[:5], *range(MANY, MANY + 1500)]:
        bounded.observe(0.5, a=i)
        spread.observe(0.5, a=i)
    after = made.snapshot()
    for one, other in ((before, removed), (removed, after), (before, after), (after, before)):
        found = between(one, other)
        assert len(found["bounded"].sums) == len(other["bounded"].data.tags)


def test_a_series_that_came_back_is_another() -> None:
    before = many(range(5))[0].snapshot()
    later = registry()
    later._families.hooks = replace(later._families.hooks, now=lambda: 8.0)
    for kind, options in (("bounded", {"buckets": (1.0, 10.0)}), ("spread", {"exponential": True})):
        for _ in range(2):
            later.histogram(kind, **options).observe(3.0, a=3)
    for data in between(before, later.snapshot()).values():
        assert data.sums == (6.0,)  # of both observations, although there was one before


def test_series_in_another_order_are_found() -> None:
    before, after = [many(order)[0].snapshot() for order in (range(MANY), range(MANY - 1, -1, -1))]
    for data in between(before, after).values():
        assert set(data.sums) == {0.0}


def test_a_difference_holds_what_it_needs_and_nothing_more() -> None:
    made, bounded, spread = many(range(5))
    before = made.snapshot()
    bounded.observe(4.0, a=1)
    after = made.snapshot()
    found = tm.delta(before, after)
    data: Any = found["bounded"].data
    sums, tags = data.sums, weakref.ref(data.tags[4])
    bounded.with_tags(a=4).remove()
    spread.with_tags(a=4).remove()
    del before, after, made, bounded, spread, found, data
    gc.collect()
    assert sums == (0.0, 4.0, 0.0, 0.0, 0.0)
    assert tags() is not None
    del sums
    gc.collect()
    assert tags() is None


def test_a_difference_takes_no_memory() -> None:
    made, _, _ = many(range(MANY))
    before, after = made.snapshot(), made.snapshot()
    tracemalloc.start()
    found = tm.delta(before, after)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 20_000
    assert len(found["bounded"].data.sums) == MANY  # type: ignore[union-attr]


def test_columns_of_a_difference_are_read_as_tuples() -> None:
    made, bounded, _ = many(range(5))
    before = made.snapshot()
    bounded.observe(4.0, a=1)
    after = made.snapshot()
    data, again = [tm.delta(before, after)["bounded"].data for _ in range(2)]
    assert isinstance(data, tm.HistogramData)
    wanted = ((0, 0, 0), (0, 1, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0))
    column: Any = data.bucket_counts
    assert (column, tuple(column), column[1], column[-4], column[1:3]) == (wanted, wanted, wanted[1], wanted[1], wanted[1:3])
    assert (hash(column), repr(column), len(column), column.index((0, 1, 0))) == (hash(wanted), repr(wanted), 5, 1)
    assert data == again  # although both have NaN
    assert data != after["bounded"].data
    assert data.sums != after["bounded"].data.sums  # type: ignore[union-attr]
    assert pickle.loads(pickle.dumps(data)).bucket_counts == wanted
    with pytest.raises(IndexError):
        column[5]


def test_columns_that_tell_of_no_observation_are_equal_to_others_that_do(registry: tm.Registry) -> None:
    made = registry
    made.histogram("bounded", buckets=(1.0,)).observe(1.0)
    made.histogram("spread", exponential=True).observe(1.0)
    made.histogram("empty", buckets=(1.0,))
    before, after, later = [made.snapshot() for _ in range(3)]
    one, other = tm.delta(before, after), tm.delta(after, later)
    for name in ("bounded", "spread", "empty"):
        assert one[name].data == other[name].data  # although both have NaN
        data: Any = one[name].data
        for column in (data.mins, data.maxs):
            kept = tuple(column)
            assert math.isnan(kept[0])
            assert kept == column == kept
            assert hash(kept) == hash(column)
    assert after["empty"].data == later["empty"].data


def test_exporters_write_a_difference_as_any_snapshot() -> None:
    made, bounded, spread = many(range(5))
    before = made.snapshot()
    for i in range(3):
        bounded.observe(4.0, a=i)
        spread.observe(4.0, a=i)
    found = tm.delta(before, made.snapshot())
    for render in (tm.render_prometheus, tm.render_openmetrics):
        assert render(found) == render(twin(found))


def columns(snapshot: tm.Snapshot, name: str, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple([getattr(snapshot[name].data, one) for one in names])


def test_what_is_no_reading_is_left_to_python(engine: Any) -> None:
    made, _, _ = many(range(5))
    other, _, _ = many(range(4))
    before, after = made.snapshot(), made.snapshot()
    whole, later = [columns(one, "bounded", EXPLICIT) for one in (before, after)]
    spread = columns(after, "spread", EXPONENTIAL)
    assert (NATIVE(whole, later, (1.0, 10.0)) is None, NATIVE(spread, spread, ()) is None) == (False, False)
    fine = registry().histogram("bounded", buckets=(1.0, 2.0, 3.0))
    fine.observe(1.0)
    finer = tuple([getattr(fine._family.read(), one) for one in EXPLICIT])
    between_them = columns(tm.delta(before, after), "bounded", EXPLICIT)
    mixed = (*columns(other.snapshot(), "bounded", EXPLICIT)[:2], *later[2:])
    for one, two, bounds in [
        (whole, tuple(map(tuple, later)), (1.0, 10.0)), (tuple(map(tuple, whole)), later, (1.0, 10.0)),
        (whole, later, (1.0,)), (whole, later, ()), (whole, later, (1.0, "10")), (whole, later, (1, 10)),
        (whole, finer, (1.0, 2.0, 3.0)), (whole, spread, ()), (spread, later, ()), (spread, spread, (1.0, 10.0)),
        (whole, later[:-1], (1.0, 10.0)), (whole, (*later, later[0]), (1.0, 10.0)), (whole, between_them, (1.0, 10.0)),
        (between_them, later, (1.0, 10.0)), (whole, mixed, (1.0, 10.0)), (whole, later[::-1], (1.0, 10.0)), ((), (), ()),
        (whole, (None,) * 6, (1.0, 10.0)),
    ]:  # fmt: skip
        assert engine.difference(one, two, bounds) is None
    for wrong in [(whole, later), (list(whole), later, ()), (whole, later, [1.0, 10.0]), (whole, later, None)]:
        with pytest.raises(TypeError):
            NATIVE(*wrong)
    reference = tm.Registry(engine="reference")
    reference.histogram("bounded").observe(1)
    first = reference.snapshot()
    reference.histogram("bounded").observe(1)
    assert tm.delta(first, reference.snapshot())["bounded"].data.bucket_counts[0] != ()  # type: ignore[union-attr]


def test_a_delta_of_columns_that_were_replaced_is_left_to_python() -> None:
    made, bounded, _ = many(range(5))
    before = made.snapshot()
    bounded.observe(4.0, a=1)
    after = made.snapshot()
    changed = [replace(one, families=(replace(one["bounded"], data=replace(one["bounded"].data, created=(1.0,) * 5)),))
               for one in (before, after)]  # fmt: skip
    between(*changed, worked_out_natively=False)


def test_a_difference_is_read_while_others_record_and_remove() -> None:
    made, bounded, _ = many(range(MANY))
    before = made.snapshot()
    for i in range(0, MANY, 3):
        bounded.with_tags(a=i).remove()
        bounded.observe(7.0, a=i + 1)
    after = made.snapshot()
    wanted = told(tm.delta(twin(before), twin(after))["bounded"].data)
    ended = threading.Event()

    def disturb() -> None:
        while not ended.is_set():
            for i in range(0, MANY, 7):
                bounded.with_tags(a=i).remove()
                bounded.observe(1.0, a=i)
            made.snapshot()

    other = threading.Thread(target=disturb)
    other.start()
    try:
        for _ in range(10):
            assert told(tm.delta(before, after)["bounded"].data) == wanted
    finally:
        ended.set()
        other.join()
