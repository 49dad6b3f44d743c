"""Trouble outside does not break the host: it is logged and counted, and recording recovers when it ends."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.metric.rejections import REJECTED

pytestmark = pytest.mark.slow


@pytest.fixture
def stopped(shared: tm.Registry, children: Any) -> int:
    """A process that was stopped while it had the lock."""
    counter = shared.counter("n")
    counter.inc(kind="known")

    def work() -> None:
        shared._families.memory.shared._fault(3, signal.SIGSTOP)  # type: ignore[union-attr]
        counter.inc(kind="its")

    pid = children.start(work)
    assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
    return int(pid)


def test_a_process_that_is_stopped_with_the_lock_keeps_nobody(
    shared: tm.Registry, stopped: int, children: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Who wants the lock waits for it some seconds, once. Records to what exists, and readers, do not need it."""
    counter = shared.counter("n")
    with caplog.at_level(logging.WARNING, "tallymark"):
        for i in range(100):  # each waits for nothing, after the first
            counter.inc(kind=f"new-{i}")
    assert "a process that is stopped holds its lock" in caplog.text
    counter.inc(kind="known")
    assert shared.snapshot().find("n", kind="known").value == 2  # type: ignore[union-attr]
    assert b'n_total{kind="known"} 2.0' in tm.render_prometheus(shared.snapshot())
    shared.counter("another").inc()
    assert shared.counter("another").value == 0
    counter.with_tags(kind="known").remove()  # which it cannot be now
    assert not shared.unregister("nothing")
    os.kill(stopped, signal.SIGCONT)
    assert children.wait(stopped) == 0
    counter.inc(kind="new-0")
    found = {one.tags["kind"]: one.value for one in shared.snapshot()["n"]}
    assert found == {"known": 2, "its": 1, "new-0": 1}
    shared.counter("another").inc(2)
    assert children.run(lambda: shared.counter("another").inc(3)) == 0
    assert shared.snapshot().find("another").value == 5  # type: ignore[union-attr]


def test_a_child_forked_meanwhile_joins_later(shared: tm.Registry, stopped: int, children: Any) -> None:
    counter = shared.counter("n")
    go = os.pipe()

    def work() -> None:
        counter.inc(kind="known")  # lost, and logged: this child has found no slot yet
        os.read(go[0], 1)
        counter.inc(kind="known")

    pid = children.start(work)
    os.kill(stopped, signal.SIGCONT)
    assert children.wait(stopped) == 0
    os.write(go[1], b"x")
    assert children.wait(pid) == 0
    assert counter.with_tags(kind="known").value >= 2


def test_a_registry_made_after_the_host_closed_descriptors_is_left_alone(path: Path) -> None:
    """It may have the descriptor's number, and even the same file."""
    before = tm.Registry(engine="native", shared=path)
    before.gauge("g", aggregate="sum").set(1)
    os.close(descriptor(path))
    after = tm.Registry(engine="native", shared=path)
    after.gauge("g", aggregate="sum").set(2)
    before.snapshot()
    before.counter("n").inc()
    assert after.snapshot().find("g").value == 3  # type: ignore[union-attr]
    del before
    after.counter("n").inc(a="1")
    assert after.snapshot().find("n", a="1") is not None
    assert after.snapshot().find("g").value == 2  # type: ignore[union-attr]


def descriptor(path: Path) -> int:
    """The number of the one descriptor that is open on a file."""
    for name in os.listdir("/proc/self/fd"):
        if os.path.exists(f"/proc/self/fd/{name}") and os.path.samefile(f"/proc/self/fd/{name}", path):
            return int(name)
    raise AssertionError(path)


@pytest.mark.parametrize("reused", [False, True])
def test_a_descriptor_that_the_host_closed_is_not_touched(path: Path, reused: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Code that turns a program into a daemon closes all there are; the number may then be another file's."""
    registry = tm.Registry(engine="native", shared=path)
    counter = registry.counter("n")
    counter.inc(kind="known")
    fd = descriptor(path)
    os.close(fd)
    other = path.with_name("other")
    if reused:
        with open(other, "wb") as file:
            os.dup2(file.fileno(), fd)
    with caplog.at_level(logging.WARNING, "tallymark"):
        for i in range(1000):
            counter.inc(kind=f"new-{i}")
    assert "closed its file" in caplog.text
    counter.inc(kind="known")
    assert counter.with_tags(kind="known").value == 2
    assert registry.snapshot().find("n", kind="known") is not None
    del counter, registry
    if reused:
        os.fstat(fd)  # still open
        os.close(fd)
        assert other.stat().st_size == 0


def test_strict_registries_raise_where_others_count(path: Path, stopped_lock: Any) -> None:
    registry = tm.Registry(engine="native", shared=path, strict=True)
    counter = registry.counter("n")
    with stopped_lock(registry), pytest.raises(ValueError, match="stopped"):
        counter.inc(kind="new")


def test_no_space_at_all_is_counted_where_there_is_space(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Space for the overflow series is reserved from the start, also for that of `tallymark_rejected`."""
    limits = tm.TagLimits(max_series=100_000)
    registry = tm.Registry(engine="native", shared=path, shared_limit=1_200_000, limits=limits)
    counter = registry.counter("n")
    for i in range(20_000):
        counter.inc(user=str(i))
    assert "raise Registry(shared_limit=), which holds from Registry(fresh=True) on" in caplog.text
    snapshot = registry.snapshot()
    assert sum(one.value for one in snapshot["n"]) == 20_000
    over = snapshot.find("n", overflow="true")
    assert over is not None
    assert over.value > 1000
    assert sum(one.value for one in snapshot[REJECTED]) == over.value
    assert path.stat().st_size <= 1_200_000
    later = registry.counter("later")  # not even the metric has space
    later.inc()
    assert later.value == 0
    assert sum(one.value for one in registry.snapshot()[REJECTED]) == over.value + 1
