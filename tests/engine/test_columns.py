"""The columns of a snapshot are read as tuples are, and stay as they are, whatever becomes of the series."""

from __future__ import annotations

import copy
import gc
import math
import os
import pickle
import weakref
from collections.abc import Sequence
from typing import Any

import pytest

import tallymark as tm

COLUMNS = ("tags", "created", "values")
BUCKETS = ("tags", "created", "bucket_counts", "sums", "mins", "maxs")
EXPONENTIAL = ("scales", "zero_counts", "positives", "negatives", "sums", "mins", "maxs")


def counted(registry: tm.Registry, series: int = 5) -> Any:
    counter = registry.counter("n", limits=tm.TagLimits(max_series=10_000))
    for i in range(series):
        counter.inc(i + 0.5, i=i)
    return counter


def histograms(registry: tm.Registry) -> Any:
    histogram = registry.histogram("h", buckets=[1, 2])
    histogram.observe(0.5, k="a")
    histogram.observe(1.5, k="b")
    histogram.observe(9, k="b")
    histogram.with_tags(k="c").observe(1)
    return registry.snapshot()["h"].data


def test_a_column_is_read_as_a_tuple(registry: tm.Registry) -> None:
    counted(registry)
    column = registry.snapshot()["n"].data.values  # type: ignore[union-attr]
    wanted = (0.5, 1.5, 2.5, 3.5, 4.5)
    assert (len(column), column[0], column[-1], column[1:3], column[::-2]) == (5, 0.5, 4.5, (1.5, 2.5), (4.5, 2.5, 0.5))
    assert (tuple(column), list(reversed(column)), repr(column), hash(column)) == (
        wanted, list(reversed(wanted)), repr(wanted), hash(wanted),
    )  # fmt: skip
    assert (2.5 in column, 7 in column, column.index(2.5), column.count(2.5), column.index(2.5, 1)) == (True, False, 2, 1, 2)
    assert isinstance(column, Sequence)
    match column:
        case [first, *_]:
            assert first == 0.5
    for wrong in (5, -6):
        with pytest.raises(IndexError):
            column[wrong]
    with pytest.raises(TypeError):
        column["1"]
    with pytest.raises(ValueError):
        column.index(7)


def test_a_column_compares_as_a_tuple(registry: tm.Registry) -> None:
    counted(registry)
    one, other = (registry.snapshot()["n"].data.values for _ in range(2))  # type: ignore[union-attr]
    wanted = (0.5, 1.5, 2.5, 3.5, 4.5)
    assert one == other
    assert one == wanted
    assert wanted == one
    assert one != wanted[1:]
    assert wanted[1:] != one
    assert one != list(wanted)
    assert one != 1
    assert (one < (0.5, 2)) is True
    assert {one: 1}[wanted] == 1  # type: ignore[index]


def test_a_column_with_nan_is_equal_to_itself(registry: tm.Registry) -> None:
    registry.gauge("n").set(math.nan)
    data = registry.snapshot()["n"].data
    assert data.values == data.values  # type: ignore[union-attr]
    assert data == data


def test_the_columns_of_histograms(registry: tm.Registry) -> None:
    data = histograms(registry)
    assert data.bucket_counts == ((1, 0, 0), (0, 1, 1), (1, 0, 0))
    assert data.sums == (0.5, 10.5, 1.0)
    assert (data.mins, data.maxs) == ((0.5, 1.5, 1.0), (0.5, 9.0, 1.0))
    assert [dict(tags) for tags in data.tags] == [{"k": "a"}, {"k": "b"}, {"k": "c"}]
    assert data.row(0, 1).count == 3


def test_a_histogram_without_observations_has_no_extremes(registry: tm.Registry) -> None:
    registry.histogram("h", buckets=[1])
    data: Any = registry.snapshot()["h"].data
    assert math.isnan(data.mins[0])
    assert math.isnan(data.maxs[0])


@pytest.mark.parametrize(
    "copied", [lambda it: pickle.loads(pickle.dumps(it)), copy.deepcopy, copy.copy], ids=["pickle", "deep", "copy"]
)
def test_a_copy_of_a_snapshot_is_equal(registry: tm.Registry, copied: Any) -> None:
    counted(registry)
    histograms(registry)
    snapshot = registry.snapshot()
    again = copied(snapshot)
    assert again == snapshot
    assert tm.render_prometheus(again) == tm.render_prometheus(snapshot)


def test_both_engines_read_equal_columns() -> None:
    read = []
    for engine in ("native", "reference"):
        registry = tm.Registry(engine=engine)
        counted(registry, 3000)
        histograms(registry)
        snapshot = registry.snapshot()
        read.append([(dict(series.tags), series.value) for series in snapshot["n"]])
        read[-1].append([(dict(series.tags), series.histogram) for series in snapshot["h"]])
    assert read[0] == read[1]


def exponential(registry: tm.Registry, series: int = 5) -> Any:
    histogram = registry.histogram("e", exponential=True, limits=tm.TagLimits(max_series=10_000))
    for i in range(series):
        for j in range(i % 5):
            histogram.observe((j - 2) * 1.5 ** (j * i % 70), i=i)
        histogram.with_tags(i=i).observe(i % 3)
    return histogram


def test_both_engines_read_equal_exponential_columns() -> None:
    read = []
    for engine in ("native", "reference"):
        registry = tm.Registry(engine=engine)
        exponential(registry, 1100)
        data: Any = registry.snapshot()["e"].data
        read.append([tuple(getattr(data, name)) for name in EXPONENTIAL])
        read[-1].append(tuple([dict(tags) for tags in data.tags]))
        assert (data.positives[7], data.negatives[-1], data.scales[5:7]) == (
            tuple(data.positives)[7], tuple(data.negatives)[-1], tuple(data.scales)[5:7],
        )  # fmt: skip
    assert read[0] == read[1]


def test_an_exponential_histogram_without_observations(registry: tm.Registry) -> None:
    registry.histogram("e", exponential=True)
    data: Any = registry.snapshot()["e"].data
    assert (data.scales, data.zero_counts, data.positives, data.negatives) == ((8,), (0,), ((0, ()),), ((0, ()),))
    assert math.isnan(data.mins[0])


def test_exponential_columns_stay_when_series_go(registry: tm.Registry) -> None:
    histogram = exponential(registry, 1100)
    data: Any = registry.snapshot()["e"].data
    wanted = [list(getattr(data, name)) for name in EXPONENTIAL]
    for i in range(0, 1100, 2):
        histogram.observe(-1e300, i=i + 1)
        histogram.with_tags(i=i).remove()
    assert len(registry.snapshot()["e"]) == 550  # the rows of a block that is not the same any more
    del histogram, registry
    gc.collect()
    assert [list(getattr(data, name)) for name in EXPONENTIAL] == wanted


def test_columns_stay_when_series_go(registry: tm.Registry) -> None:
    counter = counted(registry, 3000)
    data: Any = registry.snapshot()["n"].data
    wanted = [list(getattr(data, name)) for name in COLUMNS]
    for i in range(0, 3000, 2):
        counter.with_tags(i=i).remove()
    for i in range(3000, 4000):
        counter.inc(i=i)
    del counter
    registry.unregister("n")
    registry.counter("n").inc(7)
    registry.snapshot()
    del registry
    gc.collect()
    assert [list(getattr(data, name)) for name in COLUMNS] == wanted


def test_columns_that_are_held_hold_nothing_else(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name)
    counter = counted(registry)
    gone = weakref.ref(counter)
    values: Any = registry.snapshot()["n"].data.values  # type: ignore[union-attr]
    del counter, registry
    gc.collect()
    assert gone() is None
    assert values[1] == 1.5


def test_the_tags_of_a_removed_series_are_let_go(registry: tm.Registry) -> None:
    counter = counted(registry)
    bound = counter.with_tags(i=3)
    tags = weakref.ref(bound.tags)
    tm.render_prometheus(registry.snapshot())
    bound.remove()
    del bound
    gc.collect()
    assert tags() is None


def test_rows_are_those_that_live_now(registry: tm.Registry) -> None:
    counter = counted(registry, 2500)
    gone = set()
    for step in (1, 7, 1100, 3):
        for i in range(step, 2500, 97):
            counter.with_tags(i=i).remove()
            gone.add(i)
        found = {int(series.tags["i"]): series.value for series in registry.snapshot()["n"]}
        assert found == {i: i + 0.5 for i in range(2500) if i not in gone}
    back = counter.with_tags(i=1)
    back.inc(9)
    assert {series.value for series in registry.snapshot()["n"] if series.tags["i"] == "1"} == {9.0}
    created = registry.snapshot().find("n", i="1")
    assert created is not None
    assert created.created >= registry.snapshot().find("n", i="2").created  # type: ignore[union-attr]


def test_a_series_that_came_back_in_its_row_has_its_new_time(registry: tm.Registry) -> None:
    counter = counted(registry)
    last = counter.with_tags(i=4)
    before = registry.snapshot().find("n", i="4")
    last.remove()
    last.inc(2)
    after = registry.snapshot().find("n", i="4")
    assert before is not None
    assert after is not None
    assert after.created > before.created
    assert (before.value, after.value) == (4.5, 2.0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_reads_on(registry: tm.Registry) -> None:
    counter = counted(registry, 3000)
    snapshot = registry.snapshot()
    wanted = tm.render_prometheus(snapshot)
    child = os.fork()
    if child == 0:
        try:
            counter.with_tags(i=5).remove()
            counter.inc(i="new")
            fine = tm.render_prometheus(snapshot) == wanted and len(registry.snapshot()["n"]) == 3000
        finally:
            os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_column_of_exemplars_is_read_as_a_tuple(registry: tm.Registry) -> None:
    counter = registry.counter("n")
    for i in range(5):
        counter.inc(i=i, **({"exemplar": {"id": str(i)}} if i % 2 else {}))  # type: ignore[arg-type]
    data: Any = registry.snapshot()["n"].data
    column, wanted = data.exemplars, tuple(data.exemplars)
    assert [[one.labels[0][1] for one in row] for row in column] == [[], ["1"], [], ["3"], []]
    assert (len(column), column[1], column[-1], column[1:4]) == (5, wanted[1], (), wanted[1:4])
    assert (column == wanted, wanted == column, column != wanted[1:], column == 1) == (True, True, True, False)
    assert (hash(column), repr(column)) == (hash(wanted), repr(wanted))
    assert pickle.loads(pickle.dumps(column)) == column
    assert isinstance(column, Sequence)
    with pytest.raises(IndexError):
        column[5]


def test_exemplars_are_those_of_their_rows(registry: tm.Registry) -> None:
    """Wherever series went, or came back in another place."""
    counter = registry.counter("n", limits=tm.TagLimits(max_series=10_000))
    for i in range(2500):
        counter.inc(i=i, exemplar={"i": str(i)})
    for i in (*range(0, 2500, 3), 1500, 2499):
        counter.with_tags(i=i).remove()
    for i in (2499, 300, 3):
        counter.inc(i=i, exemplar={"i": str(i)})
    counter.inc(i="none")
    data: Any = registry.snapshot()["n"].data
    found = {tags["i"]: [one.labels for one in row] for tags, row in zip(data.tags, data.exemplars, strict=True)}
    assert found.pop("none") == []
    assert len(found) == len(data.tags) - 1
    assert all(row == [(("i", i),)] for i, row in found.items())
