"""While two releases run side by side, no worker is kept from starting by bounds that the other one chose."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm


@pytest.fixture
def pair(path: Path) -> tuple[tm.Registry, tm.Registry]:
    """Two registries on one file, as in two processes: the old release has made its metric."""
    old, new = (tm.Registry(engine="native", shared=path) for _ in range(2))
    old.histogram("size", buckets=[1, 2]).observe(1)
    return old, new


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "other bounds" in record.getMessage()]


@pytest.mark.parametrize("adopted", [False, True])
def test_the_bounds_of_the_file_are_used_and_the_log_says_so_once(adopted: bool, pair: Any, path: Path, caplog: Any) -> None:
    old, new = pair
    if adopted:
        new.snapshot()  # a scrape comes before the code that asks for the metric
    with caplog.at_level(logging.WARNING, "tallymark"):
        found = new.histogram("size", buckets=[1, 2, 3])
        assert new.histogram("size", buckets=[1, 2, 3]) is found
        assert new.histogram("size") is found
    assert found.bounds == (1, 2)
    found.observe(1.5)
    assert old.histogram("size").snapshot().count == 2
    (said,) = warnings(caplog)
    assert all(part in said for part in ("'size'", str(path), "(1.0, 2.0)", "(1.0, 2.0, 3.0)", "fresh=True"))


def test_many_bounds_are_shortened(pair: Any, caplog: pytest.LogCaptureFixture) -> None:
    pair[1].histogram("size", buckets=range(100))
    assert "(0.0, 1.0, 2.0, … 99.0; 100 bounds)" in warnings(caplog)[0]


def test_two_sets_of_bounds_in_one_process_stay_an_error(pair: Any) -> None:
    old, new = pair
    new.histogram("size", buckets=[1, 2, 3])
    for bounds in ([1, 2, 3, 4], [1, 2]):  # even if they are those of the file
        with pytest.raises(tm.MetricConflictError, match=r"bounds \(1.0, 2.0, 3.0\)"):
            new.histogram("size", buckets=bounds)
    with pytest.raises(tm.MetricConflictError):
        old.histogram("size", buckets=[1, 2, 3])


def test_who_asked_for_any_bounds_gets_those_or_the_default(pair: Any, caplog: pytest.LogCaptureFixture) -> None:
    _, new = pair
    found = new.histogram("size")
    with pytest.raises(tm.MetricConflictError):
        new.histogram("size", buckets=[1, 2, 3])
    assert not warnings(caplog)
    assert new.histogram("size", buckets=tm.VALUE_BUCKETS) is found  # what it would have got in a file of its own
    assert len(warnings(caplog)) == 1


def test_all_else_that_differs_stays_an_error(pair: Any) -> None:
    old, new = pair
    old.gauge("depth", aggregate="sum")
    with pytest.raises(tm.MetricConflictError, match="unit"):
        new.histogram("size", buckets=[1, 2, 3], unit="bytes")
    with pytest.raises(tm.MetricConflictError, match=r"kind.*fresh=True"):
        new.timer("size", buckets=[1, 2, 3])
    with pytest.raises(tm.MetricConflictError, match="tag_keys"):
        new.histogram("size", buckets=[1, 2, 3], tag_keys=("a",))
    with pytest.raises(tm.MetricConflictError, match="aggregate"):
        new.gauge("depth", aggregate="max")
    assert new.histogram("size", buckets=[1, 2, 3]).bounds == (1, 2)


def test_unregister_frees_the_name_for_other_bounds(pair: Any, caplog: pytest.LogCaptureFixture) -> None:
    old, new = pair
    held = new.histogram("size", buckets=[1, 2, 3])
    new.unregister("size")
    caplog.clear()
    again = new.histogram("size", buckets=[1, 2, 3, 4])
    assert again.bounds == (1, 2, 3, 4)
    assert old.histogram("size", buckets=[5]).bounds == (1, 2, 3, 4)
    assert held.bounds == (1, 2)
    assert len(warnings(caplog)) == 1


def test_what_another_process_unregistered_meanwhile_does_not_keep_its_bounds(pair: Any, caplog: Any) -> None:
    old, new = pair
    new.snapshot()
    old.unregister("size")
    assert new.histogram("size", buckets=[1, 2, 3]).bounds == (1, 2, 3)
    assert not warnings(caplog)


def test_a_child_is_bound_by_what_its_parent_asked_for(pair: Any, children: Any) -> None:
    """It runs the same program."""
    _, new = pair
    new.histogram("size", buckets=[1, 2, 3])

    def work() -> None:
        assert new.histogram("size", buckets=[1, 2, 3]).bounds == (1, 2)
        with pytest.raises(tm.MetricConflictError):
            new.histogram("size", buckets=[4])

    assert children.run(work) == 0


def test_inherited_memory_works_alike(children: Any, caplog: pytest.LogCaptureFixture) -> None:
    registry = tm.Registry(engine="native", shared=True)
    assert children.run(lambda: registry.timer("wait", buckets=[1]).record(0.5)) == 0
    assert registry.timer("wait", buckets=[2]).bounds == (1,)
    assert "in shared memory" in warnings(caplog)[0]
