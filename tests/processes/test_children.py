"""A child of any kind of fork records to the same series, holds them itself, and has shares of its own."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import struct
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.engine import load_engine

pytestmark = pytest.mark.slow

PLACES = 511


def processes(registry: tm.Registry) -> int:
    return len(registry._families.memory.shared.processes())  # type: ignore[union-attr]


def total(registry: tm.Registry, name: str) -> float:
    return sum(one.value for one in registry.snapshot()[name])


def test_a_child_finds_its_parents_series_again_and_by_the_same_handles(shared: tm.Registry, children: Any) -> None:
    counter = shared.counter("n")
    bound = counter.with_tags(a="1")
    bound.inc()
    times = shared.timer("t")
    times.record(1)

    def work() -> None:
        assert bound.value == 1
        bound.inc(2)
        assert counter.with_tags(a="1") is bound
        times.record(2)
        assert times.snapshot().count == 2
        assert processes(shared) == 2
        assert children.run(lambda: bound.inc(4)) == 0

    assert children.run(work) == 0
    assert bound.value == 7
    assert times.snapshot().sum == 3


def test_what_a_parent_lets_go_its_child_does_not_keep_using(shared: tm.Registry, children: Any) -> None:
    """The parent's holds are the parent's: a child that waits meanwhile must not record to what became another series."""
    counter = shared.counter("n")
    held = counter.with_tags(user="held")
    held.inc()
    go = os.pipe()

    def work() -> None:
        os.read(go[0], 1)
        held.inc(1000)

    pid = children.start(work)
    held.remove()
    for i in range(300):
        counter.inc(user=str(i))
    os.write(go[1], b"x")
    assert children.wait(pid) == 0
    snapshot = shared.snapshot()
    assert {one.value for one in snapshot["n"] if one.tags.get("user") != "held"} == {1}
    assert held.value == 1000


def test_threads_may_fork_at_once(shared: tm.Registry, children: Any) -> None:
    counter, gauge = shared.counter("n"), shared.gauge("g", aggregate="sum")
    counter.inc()
    hold, ready = os.pipe(), os.pipe()

    def work() -> None:
        counter.inc()
        gauge.set(1)
        os.write(ready[1], b"x")
        os.read(hold[0], 1)

    def fork() -> None:
        for _ in range(5):
            pids.append(children.start(work))

    pids: list[int] = []
    threads = [threading.Thread(target=fork) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in pids:
        os.read(ready[0], 1)
    assert (processes(shared), counter.value) == (21, 21)
    assert total(shared, "g") == 20
    os.write(hold[1], b"x" * len(pids))
    assert [children.wait(pid) for pid in pids] == [0] * 20
    assert total(shared, "g") == 0
    assert processes(shared) == 1


def test_a_fork_that_python_does_not_see(shared: tm.Registry, children: Any) -> None:
    """Such as a fork by C code: the child goes on recording, and joins when it next makes a series."""
    counter = shared.counter("n")
    counter.inc(a="1")
    pid = ctypes.PyDLL(None).fork()
    if pid == 0:
        try:
            counter.inc(a="1")
            counter.inc(a="2")
            counter.inc(a="1")
            os._exit(0 if processes(shared) == 2 and counter.with_tags(a="1").value == 3 else 1)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert {one.tags["a"]: one.value for one in shared.snapshot()["n"]} == {"1": 3, "2": 1}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_who_may_not_open_the_file_is_one_of_the_crowd(path: Path, children: Any) -> None:
    """A master of root's forks a worker, which becomes another user and forks again."""
    for parent in path.parents:
        if parent.stat().st_mode & 0o777 == 0o700 and parent.is_relative_to(tempfile.gettempdir()):
            parent.chmod(0o755)
    registry = tm.Registry(engine="native", shared=path)
    counter = registry.counter("n")
    counter.inc(who="any")

    def work() -> None:
        counter.inc(who="any")
        counter.inc(who="grandchild")
        registry.gauge("g", aggregate="sum").set(2)
        assert total(registry, "n") == 4

    def worker() -> None:
        os.setuid(12345)
        counter.inc(who="any")
        pids = [children.start(lambda: [counter.inc(busy=str(i)) for i in range(300)]) for _ in range(4)]
        assert [children.wait(pid) for pid in pids] == [0] * 4
        counter.remove()
        for i in range(300):
            assert counter.with_tags(busy=str(i)).value == 4  # the lock kept them apart
            counter.with_tags(busy=str(i)).remove()
        assert children.run(work) == 0

    assert children.run(worker) == 0
    assert total(registry, "n") == 4
    assert total(registry, "g") == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_one_of_the_crowd_lets_go_the_others_still_hold(path: Path, children: Any) -> None:
    for parent in path.parents:
        if parent.stat().st_mode & 0o777 == 0o700 and parent.is_relative_to(tempfile.gettempdir()):
            parent.chmod(0o755)
    counter = tm.Registry(engine="native", shared=path).counter("n")
    go, ready = os.pipe(), os.pipe()

    def hold() -> None:
        held = counter.with_tags(a="held")
        held.inc()
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        held.inc(5)

    def remove() -> None:
        counter.with_tags(a="held").inc()
        counter.with_tags(a="held").remove()
        for i in range(100):
            counter.inc(a=str(i))

    def worker() -> None:
        os.setuid(12345)
        holding = children.start(hold)
        os.read(ready[0], 1)
        assert children.run(remove) == 0
        os.write(go[1], b"x")
        assert children.wait(holding) == 0

    assert children.run(worker) == 0
    registry = tm.Registry(engine="native", shared=path)
    found = {one.tags["a"]: one.value for one in registry.snapshot()["n"]}
    assert found.pop("held") == 5
    assert set(found.values()) == {1}


def test_a_child_does_not_keep_its_parent_among_the_living(shared: tm.Registry, children: Any) -> None:
    gauge = shared.gauge("g", aggregate="sum")
    ready = os.pipe()

    def helper() -> None:
        os.write(ready[1], str(os.getpid()).encode() + b"\n")
        os.read(os.pipe()[0], 1)

    def parent() -> None:
        gauge.set(7)
        children.start(helper)
        os.read(os.pipe()[0], 1)

    pid = children.start(parent)
    left = int(os.read(ready[0], 20))
    assert total(shared, "g") == 7
    children.kill(pid)
    try:
        assert total(shared, "g") == 0
    finally:
        os.kill(left, signal.SIGKILL)


def test_who_has_not_begun_yet_and_who_is_being_buried_are_not_among_the_living(path: Path, children: Any) -> None:
    registry, began = tm.Registry(engine="native", shared=path), os.pipe()

    def work() -> None:
        registry.counter("n").inc()
        os.write(began[1], b"x")
        signal.pause()

    pid = children.start(work)
    os.read(began[0], 1)
    assert processes(registry) == 2
    children.kill(pid)
    memory = registry._families.memory  # type: ignore[attr-defined]
    with open(path, "r+b") as file:  # as by others, who hold the locks of all places but ours
        after_ours = 2**40 + 2 + memory.shared.processes()[0][0]
        fcntl.fcntl(file.fileno(), 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, after_ours, PLACES - 1, 0))
        assert [one[1] for one in memory.shared.processes()] == [os.getpid()]


def test_a_childs_descriptor_is_no_standard_stream(shared: tm.Registry, children: Any) -> None:
    def work() -> None:
        for fd in (0, 1, 2):
            os.close(fd)

        def child() -> None:
            shared.counter("n").inc()
            for fd in (0, 1, 2):
                with pytest.raises(OSError, match="Bad file"):
                    os.fstat(fd)

        pid = os.fork()
        if pid == 0:
            try:
                child()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0

    assert children.run(work) == 0
    assert shared.counter("n").value == 1


def test_a_child_that_cannot_join_records_nothing_wrong(shared: tm.Registry, children: Any) -> None:
    """While a stopped process has the lock: what its parent gives back meanwhile may be another's."""
    counter = shared.counter("n")
    held = counter.with_tags(a="held")
    held.inc()
    sharing = shared._families.memory.shared  # type: ignore[union-attr]

    def stop() -> None:
        sharing._fault(3, signal.SIGSTOP)
        counter.inc(a="its")

    stopped, go, ready = children.start(stop), os.pipe(), os.pipe()
    os.waitpid(stopped, os.WUNTRACED)

    def work() -> None:
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        held.inc(5)

    pid = children.start(work)
    os.read(ready[0], 1)
    os.kill(stopped, signal.SIGCONT)
    assert children.wait(stopped) == 0
    held.remove()
    for i in range(100):
        counter.inc(a=str(i))
    os.write(go[1], b"x")
    assert children.wait(pid) == 0
    found = {one.tags["a"]: one.value for one in shared.snapshot()["n"]}
    assert found.pop("held") == 5
    assert set(found.values()) == {1}


def test_more_processes_than_places(path: Path, children: Any) -> None:
    """Those that find no place record as any other; of gauges, they have one share together, until the last of them ends."""
    registry = tm.Registry(engine="native", shared=path, shared_limit=2**21)
    counter, gauge = registry.counter("n"), registry.gauge("g", aggregate="sum")
    held = []
    while processes(registry) < PLACES:
        with open(path, "r+b") as file:
            held.append(load_engine("native").Shared(file.fileno()))

    def work() -> None:
        counter.inc(kind="crowd")
        gauge.inc()
        assert gauge.value >= 1
        assert total(registry, "n") >= 1

    go, ready = os.pipe(), os.pipe()

    def work_and_stay() -> None:
        work()
        os.write(ready[1], b"x")
        os.read(go[0], 1)

    last = children.start(work_and_stay)
    os.read(ready[0], 1)
    pids = [children.start(work) for _ in range(10)]
    assert [children.wait(pid) for pid in pids] == [0] * 10
    assert total(registry, "n") == total(registry, "g") == 11
    os.write(go[1], b"x")
    assert children.wait(last) == 0
    assert total(registry, "n") == 11
    assert total(registry, "g") == 0
    used = registry._families.memory.shared.usage()["used"]  # type: ignore[union-attr]
    gauge.set(2)
    counter.with_tags(kind="crowd").remove()
    counter.inc(kind="other")  # of their space, nothing is lost
    assert registry._families.memory.shared.usage()["used"] == used  # type: ignore[union-attr]
    del held
    assert children.run(lambda: gauge.set(5)) == 0  # which has a place of its own again
    assert total(registry, "g") == 2
