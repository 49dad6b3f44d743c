"""Code that may interrupt a call at any point (a signal handler, a finaliser, a GC callback) and use the same registry.

A profiler hook simulates it, exactly and repeatably: it is called where CPython starts a function or returns from a built-in
one, which is where signal handlers run. Each test interrupts one call at its first such point, then, in a fresh world, at its
second, and so on to its last.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tallymark as tm

KINDS = {"counter": "inc", "gauge": "inc", "histogram": "observe", "timer": "record"}


class Scene:
    """A fresh registry, and how often the handler ran."""

    def __init__(self, engine: Any, **options: Any) -> None:
        self.registry = tm.Registry(engine=engine.name, **options)
        self.interruptions = 0
        self.kept: list[Any] = []

    def total(self, name: str = "n") -> float:
        """Return what the series of a metric add up to, as a reader sees it."""
        return sum(one.histogram.sum if one.family.bounds else one.value for one in self.registry.snapshot()[name])


def interrupt(point: int, call: Callable[[], object], handler: Callable[[], object]) -> bool:
    """Call `call`, and `handler` at its `point`-th chance; return True if there was that chance."""
    left = point

    def hook(frame: Any, event: str, arg: object) -> None:
        nonlocal left
        if event in ("call", "c_return") and arg is not sys.setprofile:
            if left == 0:
                handler()
            left -= 1

    sys.setprofile(hook)
    try:
        call()
    finally:
        sys.setprofile(None)
    return left < 0


def scenes(
    engine: Any, play: Callable[[Scene], tuple[Callable[[], object], Callable[[], object]]], **options: Any
) -> Iterator[Scene]:
    """Yield a scene for each point at which the call that `play` returns was interrupted by the handler that it returns."""
    for point in range(1000):
        scene = Scene(engine, **options)
        call, handler = play(scene)
        scene.interruptions = int(interrupt(point, call, handler))
        yield scene
        if not scene.interruptions:
            return
    raise AssertionError("the call never ends")


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_during_a_record_to_the_same_series_is_counted(engine: Any, kind: str) -> None:
    def play(scene: Scene) -> Any:
        record = getattr(getattr(scene.registry, kind)("n"), KINDS[kind])
        record(1)
        return lambda: record(1), lambda: record(1)

    for scene in scenes(engine, play):
        assert scene.total() == 2 + scene.interruptions


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_during_the_creation_of_the_same_series_is_counted(engine: Any, kind: str) -> None:
    def play(scene: Scene) -> Any:
        record = getattr(getattr(scene.registry, kind)("n"), KINDS[kind])
        return lambda: record(1, a="new"), lambda: record(1, a="new")

    for scene in scenes(engine, play):
        assert scene.total() == 1 + scene.interruptions


def test_a_series_made_during_its_own_creation_is_one_object(engine: Any) -> None:
    def play(scene: Scene) -> Any:
        root = scene.registry.counter("n")

        def make() -> None:
            scene.kept.append(root.with_tags(a="new"))

        return make, make

    for scene in scenes(engine, play):
        assert len({id(one) for one in scene.kept}) == 1
        assert len({id(one.tags) for one in scene.kept}) == 1


def test_a_tag_set_made_during_its_own_creation_is_one_object(engine: Any) -> None:
    def play(scene: Scene) -> Any:
        def make() -> None:
            scene.kept.append(engine.TagSet(interrupted="once"))

        return make, make

    for scene in scenes(engine, play):
        assert len({id(one) for one in scene.kept}) == 1
        scene.kept.clear()


@pytest.mark.parametrize("kind", KINDS)
def test_a_metric_made_during_its_own_creation_is_one_object(engine: Any, kind: str) -> None:
    def play(scene: Scene) -> Any:
        def make() -> None:
            instrument = getattr(scene.registry, kind)("n")
            scene.kept.append(instrument)
            getattr(instrument, KINDS[kind])(1)

        return make, make

    for scene in scenes(engine, play):
        assert len({id(one) for one in scene.kept}) == 1
        assert scene.total() == 1 + scene.interruptions


def test_a_record_during_the_first_overflow_is_counted(engine: Any) -> None:
    def play(scene: Scene) -> Any:
        root = scene.registry.counter("n")
        root.inc(a="1")
        return lambda: root.inc(a="2"), lambda: root.inc(a="3")

    for scene in scenes(engine, play, limits=tm.TagLimits(max_series=1)):
        assert scene.total() == 2 + scene.interruptions
        assert len(scene.registry.snapshot()["n"]) == 2


def test_creation_during_creation_never_exceeds_max_series(engine: Any) -> None:
    def play(scene: Scene) -> Any:
        root = scene.registry.counter("n")
        return lambda: root.inc(a="1"), lambda: root.inc(a="2")

    for scene in scenes(engine, play, limits=tm.TagLimits(max_series=1)):
        tags = [dict(one.tags) for one in scene.registry.snapshot()["n"]]
        assert len([one for one in tags if "overflow" not in one]) == 1
        assert scene.total() == 1 + scene.interruptions


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_during_a_removal_is_kept_or_removed_whole(engine: Any, kind: str) -> None:
    def play(scene: Scene) -> Any:
        bound = getattr(scene.registry, kind)("n").with_tags(a="1")
        record = getattr(bound, KINDS[kind])
        record(100)
        scene.kept = [bound]
        return bound.remove, lambda: record(1)

    for scene in scenes(engine, play):
        before = scene.total()
        assert before in (0, 1)
        getattr(scene.kept[0], KINDS[kind])(1)
        assert scene.total() == before + 1


def test_a_removal_during_a_record_never_leaves_a_handle_that_records_into_the_void(engine: Any) -> None:
    def play(scene: Scene) -> Any:
        bound = scene.registry.counter("n").with_tags(a="1")
        scene.kept = [bound]
        return bound.inc, bound.remove

    for scene in scenes(engine, play):
        before = scene.total()
        scene.kept[0].inc()
        assert scene.total() == before + 1


@pytest.mark.parametrize("action", ["creation", "record", "revival"])
def test_unregistering_during_a_record_never_leaves_a_series_that_records_into_the_void(engine: Any, action: str) -> None:
    def play(scene: Scene) -> Any:
        root = scene.registry.counter("n")
        bound = root.with_tags(a="1")
        if action == "revival":
            bound.remove()
        record = (lambda: root.inc(a="new")) if action == "creation" else bound.inc
        scene.kept = [root, record]
        return record, lambda: scene.registry.unregister("n")

    for scene in scenes(engine, play):
        scene.kept[1]()
        assert "n" in scene.registry.snapshot()
        assert scene.total() in (1, 2)


def test_a_record_during_unregistering_is_kept_or_removed_whole(engine: Any) -> None:
    def play(scene: Scene) -> Any:
        bound = scene.registry.counter("n").with_tags(a="1")
        bound.inc(100)
        scene.kept = [bound]
        return lambda: scene.registry.unregister("n"), bound.inc

    for scene in scenes(engine, play):
        bound = scene.kept[0]
        before = bound.value
        assert before in (0, 1)
        bound.inc()
        found = scene.registry.snapshot().find("n", a="1")
        assert found is not None
        assert found.value == before + 1


@pytest.mark.parametrize("handler", ["record", "create", "remove", "unregister", "snapshot"])
def test_anything_may_happen_during_a_snapshot(engine: Any, handler: str) -> None:
    def play(scene: Scene) -> Any:
        root = scene.registry.counter("n")
        bound = root.with_tags(a="1")
        bound.inc()
        scene.kept = [root, bound]
        handlers = {
            "record": bound.inc,
            "create": lambda: root.inc(a="2"),
            "remove": bound.remove,
            "unregister": lambda: scene.registry.unregister("n"),
            "snapshot": scene.registry.snapshot,
        }
        return scene.registry.snapshot, handlers[handler]

    for scene in scenes(engine, play):
        before = scene.kept[1].value
        scene.kept[1].inc()
        found = scene.registry.snapshot().find("n", a="1")
        assert found is not None
        assert found.value == before + 1


def test_a_timing_used_during_itself_still_pairs_up(engine: Any) -> None:
    def play(scene: Scene) -> Any:
        timing = scene.registry.timer("n").time()

        def use() -> None:
            with timing:
                pass

        return use, use

    for scene in scenes(engine, play):
        assert scene.registry.timer("n").snapshot().count == 1 + scene.interruptions


def test_a_rejection_during_a_rejection_is_counted(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("tallymark"), "disabled", True)

    def play(scene: Scene) -> Any:
        root = scene.registry.counter("n")
        return lambda: root.inc(-1), lambda: root.inc(-1)

    for scene in scenes(engine, play):
        assert scene.total("tallymark_rejected") == 1 + scene.interruptions


def test_facts_that_are_told_during_the_telling_of_others_leave_one(engine: Any) -> None:
    def play(scene: Scene) -> Any:
        scene.registry.info("n", v="0")
        return lambda: scene.registry.info("n", v="1"), lambda: scene.registry.info("n", v="2")

    for scene in scenes(engine, play):
        assert len(scene.registry.snapshot()["n_info"]) == 1
