"""A metric is the same to all processes: its kind, its rules, whether it is registered, and which series it has."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.frozen import replace


@pytest.fixture
def pair(path: Path) -> tuple[tm.Registry, tm.Registry]:
    """Two registries on one file, as in two processes."""
    first, second = (tm.Registry(engine="native", shared=path) for _ in range(2))
    return first, second


def series(registry: tm.Registry, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    return {tuple(one.tags.items()): one.value for one in registry.snapshot()[name]}


def test_a_process_that_finds_a_metric_in_the_file_keeps_its_rules(pair: Any) -> None:
    first, second = pair
    first.counter("n", ttl=0.5, limits=tm.TagLimits(max_series=2)).inc(a="1")
    assert second.snapshot().find("n", a="1") is not None  # a scrape comes before the code that asks for the metric
    late = second.counter("n", ttl=60, limits=tm.TagLimits(max_series=5))
    for i in range(5):
        late.inc(a=str(i))
    found = series(first, "n")
    assert found.pop((("overflow", "true"),)) == 3
    assert found == {(("a", "0"),): 1, (("a", "1"),): 2}
    families = second._families
    assert families._by_name["n"].options.ttl == 0.5


def test_a_name_may_become_another_kinds(pair: Any, caplog: pytest.LogCaptureFixture) -> None:
    first, second = pair
    old = second.counter("n")
    old.inc(a="1")
    first.unregister("n")
    first.gauge("n").set(3)
    assert second.gauge("n").value == 3
    with caplog.at_level(logging.WARNING, "tallymark"):
        old.inc(a="1")
    assert "its name now belongs to another metric" in caplog.text
    assert series(second, "n") == series(first, "n") == {(): 3}
    second.unregister("n")
    old.inc(a="1")
    assert series(first, "n") == {(("a", "1"),): 1}
    assert first.snapshot()["n"].kind == "counter"


def test_a_kind_is_checked_against_what_others_made_since(pair: Any) -> None:
    first, second = pair
    first.counter("n").inc()
    with pytest.raises(tm.MetricConflictError, match=r"n.* exists already .*defined in .*metrics, which persists; delete it"):
        second.gauge("n")
    first.unregister("n")
    second.gauge("n").set(1)
    with pytest.raises(tm.MetricConflictError):
        first.counter("n")


def test_what_another_process_brings_back_is_read_again(pair: Any) -> None:
    first, second = pair
    held = first.counter("n")
    held.inc()
    first.unregister("n")
    assert "n" not in first.snapshot()
    second.counter("n").inc(5)
    assert series(first, "n") == {(): 5}
    assert held.value == 5


def test_unregister_takes_out_what_this_process_never_knew(pair: Any) -> None:
    first, second = pair
    first.counter("n").inc(a="1")
    assert second.unregister("n")
    assert "n" not in first.snapshot()
    first.counter("n")
    assert series(first, "n") == {}


def test_remove_needs_no_knowledge_of_the_series(pair: Any) -> None:
    """Such as the root, which another process recorded to."""
    first, second = pair
    root = second.counter("n")
    first.counter("n").inc()
    first.counter("n").inc(a="1")
    root.remove()
    assert series(first, "n") == {(("a", "1"),): 1}


def test_what_changed_unseen_does_not_expire(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = pair
    clock = [1000.0]
    for registry in pair:
        monkeypatch.setattr("time.monotonic", lambda: clock[0])
        registry._families.hooks = type(registry._families.hooks)(
            registry._families.hooks.reject, registry._families.hooks.readmit, registry._families.hooks.now, lambda: clock[0]
        )
    counter = first.counter("n", ttl=100)
    counter.inc(a="1")
    counter.inc(a="2")
    assert len(series(second, "n")) == 2
    clock[0] += 99
    counter.inc(a="1")
    clock[0] += 2
    assert series(second, "n") == {(("a", "1"),): 2}
    clock[0] += 101
    assert second.expire() == 1
    assert series(first, "n") == {}
    counter.inc(a="1")
    assert series(second, "n") == {(("a", "1"),): 1}


@pytest.mark.slow
def test_a_series_that_another_process_removes_meanwhile_expires_once(path: Path, children: Any) -> None:
    """A reader that waits for the lock to end a series finds it ended, and does not count it out of the limit again."""
    registry = tm.Registry(engine="native", shared=path, limits=tm.TagLimits(max_series=3))
    clock = [1000.0]
    registry._families.hooks = replace(registry._families.hooks, uptime=lambda: clock[0])
    counter = registry.counter("n", ttl=100)
    stopped = os.pipe()

    def go_on() -> None:
        pid = int(os.read(stopped[0], 20))
        time.sleep(0.5)
        os.kill(pid, signal.SIGCONT)

    def remove() -> None:
        series = counter.with_tags(a="0")
        registry._families.memory.shared._fault(1, signal.SIGSTOP)  # type: ignore[union-attr]
        series.remove()

    for i in range(3):
        counter.inc(a=str(i))
    going_on = children.start(go_on)
    registry.snapshot()  # the change has to be seen before it is old
    clock[0] += 60
    counter.inc(a="1")
    counter.inc(a="2")
    registry.snapshot()
    clock[0] += 60
    removing = children.start(remove)
    assert os.WIFSTOPPED(os.waitpid(removing, os.WUNTRACED)[1])
    os.write(stopped[1], str(removing).encode())
    registry.expire()
    assert [children.wait(pid) for pid in (removing, going_on)] == [0, 0]
    for i in range(10):
        counter.inc(a=f"new-{i}")
    found = {one.tags["a"] for one in registry.snapshot()["n"] if "a" in one.tags}
    assert found == {"1", "2", "new-0"}


def test_info_is_what_was_set_last_by_whichever_process(pair: Any) -> None:
    first, second = pair
    first.info("service", version="1")
    second.info("service", version="2")
    assert series(first, "service_info") == {(("version", "2"),): 1}


def test_who_makes_series_without_reading_lets_removed_ones_go(pair: Any) -> None:
    """Else their space could not be used again, in the file and in the process."""
    first, second = pair
    counter = second.counter("n")
    for i in range(5000):
        counter.inc(user=str(i))
        first.counter("n").with_tags(user=str(i)).remove()
    used = first._families.memory.shared.usage()["used"]
    assert used < 73728 + 400 * 300 + 2**17


def test_tags_that_anothers_limits_forbid_end_no_scrape(path: Path) -> None:
    first = tm.Registry(engine="native", shared=path)
    first.counter("n", limits=tm.TagLimits(disallowed_keys=("host",))).inc(a="1")
    second = tm.Registry(engine="native", shared=path, tags={"host": "h"})
    assert series(second, "n") == {(("a", "1"),): 1}
    second.counter("m").inc()
    assert series(second, "m") == {(("host", "h"),): 1}


def test_a_metric_that_came_and_went_has_one_family(pair: Any) -> None:
    """Two would share one hold on its series: what one lets go, the other would still write to."""
    first, second = pair
    old = first.counter("n")
    for kind in ("gauge", "counter", "gauge", "counter"):
        first.unregister("n")
        getattr(first, kind)("n")
    assert first.counter("n") is old
    second.counter("n").inc(3, a="other")
    assert old.with_tags(a="other").value == 3
    assert series(first, "n") == {(("a", "other"),): 3}


@pytest.mark.timeout(60, method="thread")  # the other method uses the very signal that is used here
def test_a_handler_may_ask_for_a_metric_at_any_time(pair: Any) -> None:
    first, _ = pair
    made: list[tm.Counter] = []

    def handler(*_: object) -> None:
        made.append(first.counter(f"made_{len(made)}"))
        if len(made) < 300:
            signal.setitimer(signal.ITIMER_REAL, 0.0003)  # again, but not before this one has ended

    previous = signal.signal(signal.SIGALRM, handler)
    handler()
    try:
        while len(made) < 300:
            first.expire()
            first.snapshot()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    snapshot = first.snapshot()
    assert all(one.name in snapshot for one in made)


def test_descriptions_units_and_bounds_are_the_first_ones(pair: Any) -> None:
    first, second = pair
    first.histogram("size", description="First.", unit="bytes", buckets=[1, 2])
    late = second.histogram("size", description="Second.")
    assert (late.description, late.unit, late.bounds) == ("First.", "bytes", (1.0, 2.0))
