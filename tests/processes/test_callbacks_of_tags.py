"""The tags of a series that another process removed, or that a child loses, may call back: never between two steps of ours."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import tallymark as tm


def watch(series: tm.Counter, record: tm.Counter, **tags: str) -> tuple[weakref.ref[Any], list[object]]:
    """Have the tags of a series record once, when they are freed."""
    seen: list[object] = []

    def gone(dead: weakref.ref[Any]) -> None:
        seen.append(dead())
        record.inc(**tags)

    return weakref.ref(series.tags, gone), seen


def test_a_record_that_finds_a_series_removed_enters_its_own_once(path: Path) -> None:
    first, second = (tm.Registry(engine="native", shared=path) for _ in range(2))
    mine, theirs = first.counter("n"), second.counter("n")
    mine.inc(a="ends")
    ref, seen = watch(mine.with_tags(a="ends"), mine, b="1")
    theirs.with_tags(a="ends").remove()
    for i in range(100):  # so many that the next new series of the first process looks for removed ones
        theirs.with_tags(i=i).remove()
    mine.inc(b="1")
    assert [(dict(one.tags), one.value) for one in first.snapshot()["n"]] == [({"b": "1"}, 2)]
    assert (ref(), seen) == (None, [None])
    mine.with_tags(b="1").remove()
    assert mine._family.empty


def test_a_child_of_a_child_loses_a_series_and_records_once_it_has_joined(shared: tm.Registry, children: Any) -> None:
    """A child keeps its parent's series until it needs their memory: when it forks itself."""
    counter = shared.counter("n")
    counter.inc(a="ends")
    ref, seen = watch(counter.with_tags(a="ends"), counter, b="1")

    def work() -> None:
        counter.inc(d="1")
        assert (ref(), seen) == (None, [None])

    def fork_again() -> None:
        counter.inc(c="1")
        assert children.run(work) == 0

    assert children.run(fork_again) == 0
    assert seen == []
    found = sorted((*one.tags.items(), one.value) for one in shared.snapshot()["n"])
    assert found == [(("a", "ends"), 1), (("b", "1"), 1), (("c", "1"), 1), (("d", "1"), 1)]


def test_a_child_of_a_child_loses_a_series_whose_tags_end_its_metric(shared: tm.Registry, children: Any) -> None:
    """A family that went while it loses its series would be used after it was freed."""
    shared.counter("n").inc(a="ends")
    ref = weakref.ref(shared.counter("n").with_tags(a="ends").tags, lambda dead: shared.unregister("n"))

    def work() -> None:
        shared.counter("m").inc(d="1")
        assert ref() is None
        assert "n" not in [family.name for family in shared.snapshot().families]

    def fork_again() -> None:
        shared.counter("m").inc(c="1")
        assert children.run(work) == 0

    assert children.run(fork_again) == 0
    assert sorted((*one.tags.items(), one.value) for one in shared.snapshot()["m"]) == [(("c", "1"), 1), (("d", "1"), 1)]
