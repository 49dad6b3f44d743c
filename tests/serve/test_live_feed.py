"""`Feed`, with a clock and a renderer that the test moves: who is sent what, and when."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import tallymark as tm
from tallymark.serve.limits import Limits
from tallymark.serve.live import readings as readings_module
from tallymark.serve.live.feed import HEARTBEAT, Feed
from tallymark.serve.live.readings import Readings, readings_of
from tallymark.serve.renderer import Renderer


class Timer:
    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self.when, self.callback = when, callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """An event loop whose time the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        self.timers.append(Timer(when, callback))
        return self.timers[-1]

    def call_soon_threadsafe(self, callback: Callable[[Any], object], argument: Any) -> None:
        callback(argument)

    def waiting(self) -> list[Timer]:
        return [timer for timer in self.timers if not timer.cancelled]

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self.waiting() if timer.when <= end]:
            timer = min(due, key=lambda one: one.when)
            self.now = max(self.now, timer.when)
            timer.cancelled = True
            timer.callback()
        self.now = end


class Viewer:
    """Takes all that it is sent at once, unless it is stuck."""

    def __init__(self, feed: Feed, *, stuck: bool = False) -> None:
        self.feed = feed
        self.stuck = stuck
        self.events: list[bytes] = []
        self.aborted = False

    def join(self) -> Viewer:
        assert self.feed.join(self)
        self.feed.is_ready(self)  # the beginning is sent
        return self

    def show(self, event: bytes) -> None:
        self.events.append(event)
        if not self.stuck:
            self.feed.is_ready(self)

    def abort(self) -> None:
        self.aborted = True

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(event.removeprefix(b"data: ")) for event in self.events if event != HEARTBEAT]

    @property
    def kinds(self) -> str:
        """A letter for each event: whole, changes, heartbeat."""
        told = iter(self.documents)
        return "".join(["h" if event == HEARTBEAT else "w" if next(told)["complete"] else "c" for event in self.events])


class Stage:
    """A feed whose registry is read when the test says so."""

    def __init__(self, registry: tm.Registry, monkeypatch: pytest.MonkeyPatch, **limits: float) -> None:
        self.loop: Any = Loop()
        self.renderer = Renderer(registry)
        self.work: list[Callable[[], object]] = []
        self.renderer.call = self._call  # type: ignore[method-assign]
        self.waits = False
        self.readings = 0
        registry.gauge("readings", callback=self._count)
        monkeypatch.setattr(readings_module.time, "monotonic", lambda: self.loop.now)
        monkeypatch.setattr(readings_module.time, "thread_time", lambda: 0.0)
        self.feed = Feed(self.renderer, self.loop, Limits(**limits))  # type: ignore[arg-type]

    def _count(self) -> float:
        self.readings += 1
        return self.readings

    def _call(self, work: Callable[[], object]) -> bool:
        self.work.append(work)
        if not self.waits:
            self.finish()
        return True

    def finish(self) -> None:
        while self.work:
            self.work.pop(0)()


@pytest.fixture
def registry() -> tm.Registry:
    """A fresh registry. The record path is not near, so one engine will do."""
    return tm.Registry()


@pytest.fixture
def stage(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(registry, monkeypatch, pages=2, hold=5, viewers=100)


def test_a_viewer_is_told_everything_and_then_what_changes_each_second(stage: Stage, registry: tm.Registry) -> None:
    viewer = Viewer(stage.feed).join()
    assert viewer.kinds == "w"  # at once
    registry.counter("hits").inc()
    stage.loop.advance(1)
    assert viewer.kinds == "wc"
    assert "hits" in [family["name"] for family in viewer.documents[1]["families"]]
    stage.loop.advance(10)
    assert viewer.kinds == "w" + 11 * "c"


def test_nothing_happens_while_nobody_looks(stage: Stage, registry: tm.Registry) -> None:
    stage.loop.advance(1000)
    assert (stage.readings, stage.loop.waiting(), registry._reporters) == (0, [], [])
    viewer = Viewer(stage.feed).join()
    stage.loop.advance(2.5)
    assert stage.readings == 3
    stage.feed.leave(viewer)
    assert (stage.loop.waiting(), registry._reporters) == ([], [])
    assert stage.feed.is_idle()
    readings = readings_of(registry)
    assert (readings._last, readings._documents._families) == (None, {})
    stage.loop.advance(1000)
    assert stage.readings == 3


def test_one_reading_serves_all_viewers(stage: Stage) -> None:
    viewers = [Viewer(stage.feed).join() for _ in range(100)]
    stage.loop.advance(5)
    assert stage.readings == 6
    assert {viewer.kinds for viewer in viewers} == {"wccccc"}
    assert len({id(event) for viewer in viewers for event in viewer.events}) == 6


def test_all_feeds_of_a_registry_share_its_readings(stage: Stage, registry: tm.Registry) -> None:
    other = Feed(stage.renderer, stage.loop, Limits())
    one = Viewer(stage.feed).join()
    stage.loop.advance(0.5)
    two = Viewer(other).join()
    assert two.kinds == "w"
    assert stage.readings == 1
    stage.loop.advance(10)
    assert stage.readings <= 12
    assert (one.kinds, two.kinds) == ("w" + 10 * "c", "w" + 10 * "c")
    stage.feed.leave(one)
    assert readings_of(registry)._last is not None  # the other one goes on
    other.leave(two)
    assert readings_of(registry)._last is None


def test_who_comes_while_the_registry_is_read_is_told_everything_next(stage: Stage) -> None:
    first = Viewer(stage.feed).join()
    stage.waits = True
    stage.loop.advance(1)
    assert len(stage.work) == 1
    late = Viewer(stage.feed).join()
    stage.work.pop(0)()
    assert (first.kinds, late.kinds) == ("wc", "")
    stage.finish()
    assert late.kinds == "w"
    stage.waits = False
    stage.loop.advance(1)
    assert (first.kinds, late.kinds) == ("wcc", "wc")


def test_a_slow_viewer_is_told_everything_anew_and_nothing_is_kept_for_it(stage: Stage) -> None:
    slow, quick = Viewer(stage.feed).join(), Viewer(stage.feed).join()
    slow.stuck = True
    stage.loop.advance(4)
    assert (slow.kinds, quick.kinds) == ("wc", "wcccc")
    slow.stuck = False
    stage.feed.is_ready(slow)
    stage.loop.advance(2)
    assert (slow.kinds, quick.kinds) == ("wcwc", "wcccccc")


def test_old_documents_are_taken_from_those_that_are_stuck(stage: Stage) -> None:
    stuck = []
    for _ in range(20):
        stuck.append(Viewer(stage.feed, stuck=True).join())
        stage.loop.advance(1)
    # Those of the last seconds, and two older ones.
    assert [viewer.aborted for viewer in stuck] == [True] * 13 + [False] * 7
    held = {event for viewer in stuck if not viewer.aborted for event in viewer.events}
    assert len(held) == 2 + 5


def test_who_is_stuck_for_very_long_makes_room_for_others(stage: Stage) -> None:
    quick, stuck = Viewer(stage.feed).join(), Viewer(stage.feed, stuck=True).join()
    stage.loop.advance(59)
    assert not stuck.aborted
    stage.loop.advance(3)
    assert stuck.aborted
    assert not quick.aborted
    assert list(stage.feed._viewers) == [quick]


def test_viewers_are_bounded(stage: Stage) -> None:
    viewers = [Viewer(stage.feed).join() for _ in range(100)]
    late = Viewer(stage.feed)
    assert not stage.feed.join(late)
    stage.feed.leave(viewers[0])
    assert stage.feed.join(late)


def test_a_reading_of_long_ago_is_nobodys_while_another_is_made(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = Readings(registry)
    now = 100.0
    monkeypatch.setattr(readings_module.time, "monotonic", lambda: now)
    monkeypatch.setattr(readings_module, "_MOMENT", 0.001)
    last = readings.get(registry, whole=True)
    with readings._reading:  # another thread makes one
        now += 59
        assert readings.get(registry, whole=True) is last
        now += 2
        with pytest.raises(TimeoutError):
            readings.get(registry, whole=True)
    assert readings.get(registry, whole=True).number == last.number + 1


def test_a_reading_that_was_begun_while_nobody_watched_tells_no_changes(stage: Stage, registry: tm.Registry) -> None:
    readings = readings_of(registry)
    readings.get(registry, whole=True)
    viewer = Viewer(stage.feed).join()
    readings._watchers = 0  # as it was when a poll began the next one
    stage.loop.now += 0.8
    readings.get(registry, whole=False)
    readings._watchers = 1
    stage.loop.advance(3)
    assert viewer.kinds == "wwcc"[: len(viewer.kinds)]
    assert len(viewer.kinds) >= 3


def test_a_viewer_is_told_soon_after_a_thread_could_not_be_started(stage: Stage) -> None:
    stage.renderer.call = lambda work: False  # type: ignore[method-assign]
    viewer = Viewer(stage.feed).join()
    stage.renderer.call = stage._call  # type: ignore[method-assign]
    stage.loop.advance(Limits().retry)
    assert viewer.kinds == "w"


def test_heartbeats_while_there_is_nothing_to_tell(stage: Stage) -> None:
    viewer, stuck = Viewer(stage.feed).join(), Viewer(stage.feed).join()
    stuck.stuck = True
    stage.waits = True  # a callback does not return
    stage.loop.advance(61)
    assert viewer.kinds == "whhhh"
    assert stuck.kinds == "wh"  # which it has not taken yet
    stage.waits = False
    stage.finish()
    assert viewer.kinds == "whhhhc"


def test_a_reading_that_fails_ends_nothing(
    stage: Stage, registry: tm.Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    viewer = Viewer(stage.feed).join()
    monkeypatch.setattr(registry, "snapshot", lambda: exec("raise SystemExit"))
    stage.loop.advance(9)
    assert viewer.kinds == "w"
    assert len(caplog.records) == 1
    monkeypatch.undo()
    monkeypatch.setattr(readings_module.time, "monotonic", lambda: stage.loop.now)
    stage.loop.advance(5)
    assert viewer.kinds.startswith("ww")  # what changed since is not known


def test_no_thread_can_be_started(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage.renderer, "call", lambda work: False)
    viewer = Viewer(stage.feed).join()
    stage.loop.advance(60)
    assert set(viewer.kinds) <= {"h"}
    assert len(stage.loop.timers) < 100  # it does not try without a pause
    monkeypatch.setattr(stage.renderer, "call", stage._call)
    stage.loop.advance(20)
    assert "w" in viewer.kinds


def test_the_registry_closes(stage: Stage, registry: tm.Registry) -> None:
    viewers = [Viewer(stage.feed).join() for _ in range(3)]
    registry.close()
    assert all(viewer.aborted for viewer in viewers)
    assert stage.loop.waiting() == []


def test_a_stopped_feed_takes_nobody(stage: Stage) -> None:
    viewer = Viewer(stage.feed).join()
    stage.feed.stop()
    assert viewer.aborted
    assert not stage.feed.join(Viewer(stage.feed))


def test_viewers_leave_when_the_loop_is_about_to_end(stage: Stage) -> None:
    ending = []
    feed = Feed(stage.renderer, stage.loop, Limits(), is_ending=lambda: bool(ending))
    viewer = Viewer(feed).join()
    stage.loop.advance(3)
    assert not viewer.aborted
    ending.append(True)
    stage.loop.advance(1.5)
    assert viewer.aborted
    assert stage.loop.waiting() == []


# Readings


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    times = {"monotonic": 100.0, "thread_time": 0.0}
    for name in times:
        monkeypatch.setattr(readings_module.time, name, lambda name=name: times[name])
    return times


@pytest.mark.parametrize(
    ("name", "cost", "every"),
    [("thread_time", 0.001, 1.0), ("thread_time", 0.1, 5.0), ("monotonic", 0.2, 1.0), ("monotonic", 3.0, 12.0)],
)
def test_readings_that_cost_much_are_seldom(
    registry: tm.Registry, clock: dict[str, float], name: str, cost: float, every: float
) -> None:
    def spend() -> float:
        clock[name] += cost
        return 1.0

    registry.gauge("costly", callback=spend)
    readings = Readings(registry)
    assert readings.get(registry, whole=True).every == 1.0  # the first one costs more than the others, and says nothing
    clock["monotonic"] += 1
    assert readings.get(registry, whole=False).every == pytest.approx(every)


def test_who_asks_within_a_second_shares_a_reading(registry: tm.Registry, clock: dict[str, float]) -> None:
    readings = Readings(registry)
    first = readings.get(registry, whole=True)
    clock["monotonic"] += 0.7
    assert readings.get(registry, whole=True) is first
    clock["monotonic"] += 0.1
    assert readings.get(registry, whole=False).number == first.number + 1


def test_what_changed_is_told_only_where_somebody_watches(registry: tm.Registry, clock: dict[str, float]) -> None:
    readings = Readings(registry)
    for _ in range(2):
        assert readings.get(registry, whole=True).changes == b""
        clock["monotonic"] += 1
    readings.watch()
    assert readings.get(registry, whole=False).changes
    readings.unwatch()
    readings.watch()
    assert readings.get(registry, whole=False).changes == b""  # since nothing is known to compare with


def test_while_another_thread_reads_the_last_reading_will_do(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings_module, "_PATIENCE", 0.01)
    readings = Readings(registry)
    with readings._reading, pytest.raises(TimeoutError):
        readings.get(registry, whole=True)
    first = readings.get(registry, whole=True)
    with readings._reading:
        assert readings.get(registry, whole=True) is first


def test_readings_keep_no_registry_alive() -> None:
    import gc
    import weakref

    registry = tm.Registry()
    registry.counter("hits").inc()
    readings_of(registry).get(registry, whole=True)
    weakly = weakref.ref(registry)
    del registry
    gc.collect()
    assert weakly() is None
