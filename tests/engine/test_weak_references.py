"""Weak references to instruments and tag sets: dead before they call back, and a callback may record."""

from __future__ import annotations

import gc
import sys
import time
import weakref
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

import tallymark as tm

KINDS = {"counter": "inc", "gauge": "set", "histogram": "observe", "timer": "record"}
TTL = 0.02


def watched(thing: object, then: Callable[[], object] = lambda: None) -> tuple[weakref.ref[Any], list[object]]:
    """Return a weak reference to a thing, and a list of what it refers to at each callback, which does `then`."""
    seen: list[object] = []

    def gone(dead: weakref.ref[Any]) -> None:
        seen.append(dead())
        then()

    return weakref.ref(thing, gone), seen


@pytest.mark.parametrize("kind", KINDS)
def test_an_instrument_takes_weak_references(registry: tm.Registry, kind: str) -> None:
    root = getattr(registry, kind)("n")
    one = root.with_tags(a="1")
    one.remove()  # the reference engine's table keeps the instruments of live series
    named: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary({root: "root", one: "one"})
    ref, seen = watched(one)
    assert ref() is one is root.with_tags(a="1")
    one.remove()
    del one
    assert ref() is None
    assert seen == [None]
    assert dict(named) == {root: "root"}


def test_a_tag_set_takes_weak_references(engine: Any) -> None:
    tags = engine.TagSet(a="held by nobody else")
    named: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary({tags: "one"})
    ref, seen = watched(tags)
    assert ref() is tags is engine.TagSet(a="held by nobody else")
    assert dict(named) == {engine.TagSet(a="held by nobody else"): "one"}
    del tags
    assert ref() is None
    assert seen == [None]
    assert not named


@pytest.mark.parametrize("kind", KINDS)
def test_a_callback_gets_another_instrument_and_records(registry: tm.Registry, kind: str) -> None:
    root = getattr(registry, kind)("n")
    made: list[Any] = []

    def record_again() -> None:
        made.append(root.with_tags(a="1"))
        getattr(made[-1], KINDS[kind])(2)
        getattr(root, KINDS[kind])(3, b="1")

    one = root.with_tags(a="1")
    one.remove()
    ref, seen = watched(one, record_again)
    del one
    assert (ref(), seen) == (None, [None])
    assert made == [root.with_tags(a="1")]
    found = registry.snapshot()["n"]
    assert sorted((*view.tags.items(), _total(view)) for view in found) == [(("a", "1"), 2), (("b", "1"), 3)]


def _total(view: Any) -> float:
    return float(view.value if view.kind in ("counter", "gauge") else view.histogram.sum)


def test_a_callback_that_frees_its_series_again(registry: tm.Registry) -> None:
    """The new instrument is freed, and so its series is forgotten, while the old one is being freed."""
    root = registry.counter("n")
    one = root.with_tags(a="1")
    one.remove()
    _, seen = watched(one, lambda: (root.with_tags(a="1").remove(), root.inc(b="1")))
    del one
    assert seen == [None]
    assert [(dict(view.tags), view.value) for view in registry.snapshot()["n"]] == [({"b": "1"}, 1)]


def test_a_live_series_that_nobody_holds_goes_on(registry: tm.Registry) -> None:
    root = registry.counter("n")
    one = root.with_tags(a="1")
    one.inc()
    ref = weakref.ref(one)
    del one
    again = root.with_tags(a="1")
    assert ref() in (None, again)  # an engine may make instruments only for those who hold them
    assert again.value == 1


def test_an_object_that_is_used_again_has_no_old_weak_references(registry: tm.Registry) -> None:
    root = registry.counter("n")
    old: list[weakref.ref[Any]] = []
    for i in range(100):
        one = root.with_tags(i=i)
        one.remove()
        assert not {*map(id, weakref.getweakrefs(one))} & {*map(id, old)}
        old.append(weakref.ref(one))
        del one
        assert [ref() for ref in old] == [None] * len(old)


def test_a_callback_that_makes_an_equal_tag_set(engine: Any) -> None:
    made: list[Any] = []
    tags = engine.TagSet(a="equal")
    ref, seen = watched(tags, lambda: made.append(engine.TagSet(a="equal")))
    del tags
    assert (ref(), seen) == (None, [None])
    assert made[0] is engine.TagSet(a="equal")
    assert made[0] == {"a": "equal"}


def test_a_callback_that_raises_is_reported(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: reported.append(unraisable.exc_type))
    one = registry.counter("n").with_tags(a="raises")
    tags = one.tags
    refs = watched(one, lambda: 1 / 0), watched(tags, lambda: 1 / 0)
    one.remove()
    del one, tags
    assert reported == [ZeroDivisionError] * 2
    assert [ref() for ref, _ in refs] == [None, None]


def remove(registry: tm.Registry, root: Any) -> None:
    root.with_tags(b="ends").remove()


def expire(registry: tm.Registry, root: Any) -> None:
    registry.expire()  # marks the series as seen
    time.sleep(TTL * 1.5)
    registry.expire()


def unregister(registry: tm.Registry, root: Any) -> None:
    registry.unregister("n")


@pytest.mark.parametrize("end", [remove, expire, unregister])
def test_a_callback_of_the_tags_of_a_series_that_ends_may_record(registry: tm.Registry, end: Any) -> None:
    root = registry.counter("n", ttl=TTL)
    for tags in ({"a": "1"}, {"b": "ends"}, {"c": "1"}):
        root.inc(**tags)
    ref, seen = watched(root.with_tags(b="ends").tags, lambda: root.inc(d="1"))
    end(registry, root)
    gc.collect()
    assert (ref(), seen) == (None, [None])
    assert root.with_tags(d="1").value == 1


def test_the_size_of_a_tag_set_counts_its_tags_and_not_their_text(engine: Any) -> None:
    sizes = [sys.getsizeof(engine.TagSet({f"k{i}": "v" for i in range(n)})) for n in (0, 1, 2, 5, 20)]
    pointer = sys.getsizeof((1,)) - sys.getsizeof(())
    assert all(after - before >= pointer for before, after in pairwise(sizes))
    assert sizes[4] - sizes[0] >= 20 * pointer
    assert sys.getsizeof(engine.TagSet(a="x" * 10_000)) == sys.getsizeof(engine.TagSet(a="x"))
