"""Process metrics of a shared registry are of all live processes, whoever is read, and CPU time is counted once."""

from __future__ import annotations

import os
import random
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from layout import PLACES

import tallymark as tm
from tallymark import process
from tallymark.metric.shared.contents import read_contents
from tallymark.metric.shared.inspect import snapshot_of
from tallymark.processes.collector import LivingProcesses
from tallymark.processes.proc import Proc, Stat

CPU = "process_cpu_seconds_total"
TICK = 1 / os.sysconf("SC_CLK_TCK")


class FakeProc(Proc):
    """The real `/proc`, but for the CPU time of processes, in ticks by pid; and with what happens before one is read."""

    def __init__(self) -> None:
        super().__init__()
        self.ticks: dict[int, int] = {}
        self.before: dict[int, Callable[[], object]] = {}

    def stat(self, pid: int | str = "self") -> Stat:
        number = os.getpid() if pid == "self" else int(pid)
        self.before.pop(number, int)()
        return super().stat(pid)._replace(cpu_ticks=self.ticks.get(number, 0))


@pytest.fixture
def proc(monkeypatch: pytest.MonkeyPatch) -> FakeProc:
    fake = FakeProc()
    monkeypatch.setattr(process, "_PROC", fake)
    return fake


def reader(path: Path) -> tm.Registry:
    registry = tm.Registry(engine="native", shared=path)
    tm.process_metrics(registry)
    return registry


def value(registry: tm.Registry, name: str, **tags: str) -> float:
    series = registry.snapshot().find(name, tags)
    assert series is not None, name
    return series.value


def cpu_ticks(registry: tm.Registry) -> int:
    return round(value(registry, CPU) / TICK)


def collector(registry: tm.Registry) -> Any:
    (found,) = [one for one in registry._reader().collectors._collectors if isinstance(one, LivingProcesses)]
    return found


class Sleeper:
    """A forked child that shares a registry, and never reads it."""

    def __init__(self, registry: tm.Registry, children: Any, prepare: Callable[[], object] = int) -> None:
        reading, writing = os.pipe()

        def work() -> None:
            prepare()
            registry.counter("work").inc()
            os.write(writing, b".")
            os.close(writing)
            os.read(self.leave[0], 1)

        self.leave = os.pipe()
        self.pid: int = children.start(work)
        os.close(writing)
        assert os.read(reading, 1) == b"."
        os.close(reading)
        self._children = children

    @property
    def is_running(self) -> bool:
        return self.pid in self._children.pids

    def end(self) -> None:
        if self.is_running:
            self._children.kill(self.pid)
        for end in self.leave:
            os.close(end)
        self.leave = ()  # type: ignore[assignment]


# All that live


def test_children_that_never_read_are_covered(shared: tm.Registry, children: Any) -> None:
    tm.process_metrics(shared)
    names = ("resident_memory_bytes", "virtual_memory_bytes", "open_fds", "threads")
    before = {name: value(shared, f"process_{name}") for name in names}
    began = value(shared, "process_start_time_seconds")

    def hold_files() -> None:
        hold_files.files = [os.open(os.devnull, os.O_RDONLY) for _ in range(100)]  # type: ignore[attr-defined]

    sleepers = [Sleeper(shared, children, hold_files) for _ in range(3)]
    present = {name: value(shared, f"process_{name}") for name in names}
    assert present["threads"] == before["threads"] + 3
    assert present["open_fds"] >= before["open_fds"] + 300
    assert present["virtual_memory_bytes"] > 2 * before["virtual_memory_bytes"]
    assert present["resident_memory_bytes"] > before["resident_memory_bytes"] + 3 * 1_000_000
    assert value(shared, "process_start_time_seconds") > began
    for sleeper in sleepers:
        sleeper.end()
    assert value(shared, "process_threads") == before["threads"]
    assert value(shared, "process_start_time_seconds") == began


def test_the_limit_of_descriptors_is_the_least_not_a_sum(shared: tm.Registry, children: Any) -> None:
    tm.process_metrics(shared)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    Sleeper(shared, children)
    assert value(shared, "process_max_fds") == soft
    Sleeper(shared, children, lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard)))
    assert value(shared, "process_max_fds") == 200


def test_cpu_time_of_a_child_that_never_reads_is_counted_and_stays(shared: tm.Registry, children: Any) -> None:
    tm.process_metrics(shared)
    before = value(shared, CPU)

    def burn() -> None:
        while sum(os.times()[:2]) < 0.2:
            pass

    sleeper = Sleeper(shared, children, burn)
    present = value(shared, CPU)
    assert present >= before + 0.15
    sleeper.end()
    assert value(shared, CPU) >= present


def test_a_process_that_opened_the_file_twice_counts_once(path: Path) -> None:
    first = reader(path)
    alone = value(first, "process_threads"), value(first, CPU)
    second = reader(path)
    for registry in (first, second):
        assert value(registry, "process_threads") == alone[0]
        assert alone[1] <= value(registry, CPU) < alone[1] + 1


def test_each_process_is_read_once_for_all_metrics(path: Path, children: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = reader(path)
    sleeper = Sleeper(registry, children)
    value(registry, CPU)
    read: list[str] = []
    real = Proc._read
    monkeypatch.setattr(Proc, "_read", lambda self, name: read.append(name) or real(self, name))
    value(registry, CPU)
    assert sorted(name for name in read if name.startswith(str(sleeper.pid))) == [
        f"{sleeper.pid}/limits", f"{sleeper.pid}/stat",
    ]  # fmt: skip


# Who is left out


def damage(path: Path, pid: int, field: int, number: int) -> None:
    """Change a number in the file's table of processes: 1 for the start of a process, 3 for its namespace."""
    data = path.read_bytes()
    (at,) = [at for at in range(PLACES, PLACES + 512 * 32, 32) if struct.unpack_from("Q", data, at)[0] == pid]
    with open(path, "r+b") as file:
        os.pwrite(file.fileno(), struct.pack("Q", number), at + 8 * field)


@pytest.mark.parametrize(
    "changes", [{3: 12345}, {1: 12345}, {1: 12345, 3: 0}], ids=["another namespace", "another start", "neither known"]
)
def test_a_pid_that_means_another_process_here_is_left_out(
    path: Path, children: Any, proc: FakeProc, changes: dict[int, int]
) -> None:
    registry = reader(path)
    alone = value(registry, "process_threads")
    sleeper = Sleeper(registry, children)
    proc.ticks[sleeper.pid] = 500
    for field, number in changes.items():
        damage(path, sleeper.pid, field, number)
    assert value(registry, "process_threads") == alone
    assert cpu_ticks(registry) == 0


def test_where_the_namespace_is_not_known_the_start_tells(path: Path, children: Any) -> None:
    registry = reader(path)
    alone = value(registry, "process_threads")
    sleeper = Sleeper(registry, children)
    damage(path, sleeper.pid, 3, 0)
    assert value(registry, "process_threads") == alone + 1


@pytest.mark.skipif(
    subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True).returncode != 0,
    reason="this user may not make a PID namespace",
)
def test_a_process_of_another_pid_namespace_is_left_out(path: Path) -> None:
    registry = reader(path)
    alone = value(registry, "process_threads")
    work = (
        "import sys, os, tallymark as tm; r = tm.Registry(shared=sys.argv[1]); r.counter('work').inc(); print(os.getpid(),"
        " flush=True); sys.stdin.read(1); tm.process_metrics(r); print(r.snapshot().find('process_threads').value, flush=True)"
    )
    command = ["unshare", "--pid", "--fork", sys.executable, "-c", work, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "1\n"
        assert len(registry._families.memory.shared.processes()) == 2  # type: ignore[attr-defined]
        assert value(registry, "process_threads") == alone
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "1.0\n"  # of itself, though its /proc here is that of our namespace


def test_one_that_ends_before_it_is_read_is_left_out(path: Path, children: Any, proc: FakeProc) -> None:
    registry = reader(path)
    alone = value(registry, "process_threads")
    sleeper = Sleeper(registry, children)
    proc.before[sleeper.pid] = sleeper.end
    snapshot = registry.snapshot()
    assert not sleeper.is_running
    assert snapshot.find("process_threads").value == alone  # type: ignore[union-attr]
    assert snapshot.find("tallymark_rejected", metric="process", reason="collector") is None


@pytest.mark.parametrize("error", [FileNotFoundError, ProcessLookupError, PermissionError])
def test_one_whose_files_may_not_be_read_is_left_out_of_that_metric_alone(
    path: Path, children: Any, proc: FakeProc, monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    registry = reader(path)
    alone, fds = value(registry, "process_threads"), value(registry, "process_open_fds")
    Sleeper(registry, children)

    def open_fds(self: Proc, pid: int | str = "self") -> int:
        if pid != "self":
            raise error(13, "no", f"/proc/{pid}/fd")
        return int(fds)

    monkeypatch.setattr(Proc, "open_fds", open_fds)
    snapshot = registry.snapshot()
    assert snapshot.find("process_open_fds").value == fds  # type: ignore[union-attr]
    assert snapshot.find("process_threads").value == alone + 1  # type: ignore[union-attr]
    assert snapshot.find("tallymark_rejected", metric="process_open_fds", reason="collector") is None


def test_a_metric_that_cannot_be_read_of_anyone_is_left_out_and_counted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = reader(path)

    def none_left(self: Proc, pid: int | str = "self") -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Proc, "open_fds", none_left)
    snapshot = registry.snapshot()
    assert "process_open_fds" not in snapshot
    assert "process_threads" in snapshot
    assert value(registry, "tallymark_rejected", metric="process_open_fds", reason="collector") >= 1


# The reader without a place


class NoTable:
    """Shared memory in which no process has a place."""

    def processes(self) -> list[tuple[int, int, int, float, int]]:
        return []


def test_a_reader_without_a_place_tells_of_itself_once(path: Path, children: Any, proc: FakeProc) -> None:
    registry = tm.Registry(engine="native", shared=path)
    proc.ticks[os.getpid()] = 100
    for _ in range(2):
        tm.process_metrics(registry)
        collector(registry)._shared = NoTable()
        assert value(registry, "process_threads") == os.stat("/proc/self/task").st_nlink - 2
        assert cpu_ticks(registry) == 100

    def work() -> None:
        proc.ticks[os.getpid()] = 150
        assert [cpu_ticks(registry) for _ in range(2)] == [250, 250]
        proc.ticks[os.getpid()] = 170
        assert cpu_ticks(registry) == 270

    assert children.run(work) == 0
    proc.ticks[os.getpid()] = 101
    assert cpu_ticks(registry) == 271


# CPU time


def test_a_place_that_is_given_again_keeps_what_it_held(path: Path, children: Any, proc: FakeProc) -> None:
    registry = reader(path)
    total = 0
    for ticks in (70, 30, 0, 500):
        sleeper = Sleeper(registry, children)
        proc.ticks[sleeper.pid] = ticks
        assert cpu_ticks(registry) == total + ticks
        sleeper.end()
        total += ticks
        assert cpu_ticks(registry) == total


def test_what_is_used_after_the_last_reading_is_all_that_is_lost(path: Path, children: Any, proc: FakeProc) -> None:
    registry = reader(path)
    sleeper = Sleeper(registry, children)
    proc.ticks[sleeper.pid] = 50
    assert cpu_ticks(registry) == 50
    proc.ticks[sleeper.pid] = 60
    sleeper.end()
    assert cpu_ticks(registry) == 50


def test_readers_agree_whichever_is_read_and_whoever_dies(path: Path, children: Any, proc: FakeProc) -> None:
    readers = [reader(path) for _ in range(3)]
    choose = random.Random(7)
    living: list[Sleeper] = []
    ended = 0
    for _ in range(60):
        event = choose.choice(["start", "end", "read", "read in a child"])
        if event == "start" and len(living) < 5:
            living.append(Sleeper(readers[0], children))
        for sleeper in living:
            proc.ticks[sleeper.pid] = proc.ticks.get(sleeper.pid, 0) + choose.randrange(100)
        total = ended + sum(proc.ticks[sleeper.pid] for sleeper in living)
        registry = choose.choice(readers)
        if event == "read in a child":
            assert children.run(lambda registry=registry, total=total: check(registry, total)) == 0
        check(registry, total)
        if event == "end" and living:
            sleeper = living.pop(choose.randrange(len(living)))
            ended += proc.ticks[sleeper.pid]
            sleeper.end()
    for registry in readers:
        check(registry, ended + sum(proc.ticks[sleeper.pid] for sleeper in living))


def check(registry: tm.Registry, total: int) -> None:
    assert cpu_ticks(registry) == total


@pytest.mark.parametrize("tags", [{}, {"service": "api"}], ids=["", "tagged"])
@pytest.mark.parametrize("meanwhile", ["before it proposes", "while it reads"])
def test_two_readers_that_find_a_new_process_at_once_count_it_once(
    path: Path, children: Any, proc: FakeProc, meanwhile: str, tags: dict[str, str]
) -> None:
    first, second = reader(path), tm.Registry(engine="native", shared=path, tags=tags)
    tm.process_metrics(second)
    cpu = collector(first)._cpu_total
    rows, observe = cpu._rows, cpu._observe

    def read_rows() -> list[Any]:
        """The other reader comes after the bases were read, and before the accounts."""
        cpu._rows = rows
        bases = [row for row in rows() if "/" in row[0]]
        second.snapshot()
        return bases + [row for row in rows() if "/" not in row[0]]

    def propose(key: str, number: float) -> None:
        cpu._observe = observe
        second.snapshot()
        observe(key, number)

    for ticks, total in ((70, 70), (30, 100)):
        sleeper = Sleeper(first, children)
        proc.ticks[sleeper.pid] = ticks
        if meanwhile == "while it reads":
            cpu._rows = read_rows
        else:
            cpu._observe = propose
        assert [cpu_ticks(first) for _ in range(2)] == [total, total]
        sleeper.end()


def test_a_late_reader_adds_nothing_twice(path: Path, children: Any, proc: FakeProc) -> None:
    """One that has read a process, and tells when it has ended, was forgotten, and another has its place."""
    first, second = reader(path), reader(path)
    old = Sleeper(first, children)
    proc.ticks[old.pid] = 50
    assert cpu_ticks(second) == 50
    cpu = collector(first)._cpu_total
    real, new = cpu.tell, []

    def tell(*given: Any) -> Any:
        cpu.tell = real
        old.end()
        assert cpu_ticks(second) == 50
        new.append(Sleeper(second, children))
        proc.ticks[new[0].pid] = 30
        assert cpu_ticks(second) == 80
        return real(*given)

    cpu.tell = tell
    proc.ticks[old.pid] = 60
    seen = [cpu_ticks(first)]
    for ticks in (30, 35, 45, 60):
        proc.ticks[new[0].pid] = ticks
        seen += [cpu_ticks(first), cpu_ticks(second)]
    assert seen == sorted(seen)
    assert seen[0] >= 80
    assert 50 + 60 <= seen[-1] <= 60 + 60


def test_one_that_opens_the_file_again_is_not_counted_twice(path: Path, proc: FakeProc) -> None:
    registry = reader(path)
    child = subprocess.Popen(
        [sys.executable, "-c", OPENS_AND_CLOSES, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert child.stdin is not None
    assert child.stdout is not None
    total = 0
    with child:
        proc.ticks[child.pid] = 100
        for _ in range(3):
            for is_open in (True, False):
                child.stdin.write(b".")
                assert child.stdout.read(1) == b"."
                if is_open:
                    proc.ticks[child.pid] += 10
                    total = proc.ticks[child.pid]
                assert cpu_ticks(registry) == total
        child.stdin.close()


OPENS_AND_CLOSES = """
import gc, os, sys, tallymark as tm
while os.read(0, 1):
    registry = tm.Registry(shared=sys.argv[1])
    os.write(1, b".")
    os.read(0, 1)
    del registry
    gc.collect()
    os.write(1, b".")
"""


@pytest.mark.slow
def test_space_does_not_grow_with_the_number_of_lifetimes(path: Path, children: Any, proc: FakeProc) -> None:
    registry = reader(path)
    family: Any = registry._families.find("tallymark_process_cpu")
    used = []
    for _ in range(100):
        sleepers = [Sleeper(registry, children) for _ in range(3)]
        for sleeper in sleepers:
            proc.ticks[sleeper.pid] = 1
        registry.snapshot()
        for sleeper in sleepers:
            sleeper.end()
        used.append(registry._families.memory.shared.usage()["used"])  # type: ignore[attr-defined]
    assert cpu_ticks(registry) == 300
    assert used[-1] == used[10]
    assert len(family.root.series()) < 12


def test_what_it_is_made_from_is_not_shown(path: Path) -> None:
    registry = reader(path)
    assert not [one.name for one in registry.snapshot().families if "process_cpu" in one.name and one.name != CPU]
    assert registry.snapshot().find("tallymark_series", metric="tallymark_process_cpu") is None
    assert "tallymark_process_cpu" not in snapshot_of(read_contents(path))


def test_registries_with_different_tags_count_each_process_once(path: Path, children: Any, proc: FakeProc) -> None:
    readers = []
    for tags in ({}, {"service": "api"}, {"of": "3"}):
        readers.append(tm.Registry(engine="native", shared=path, tags=tags))
        tm.process_metrics(readers[-1])

    def totals() -> list[int]:
        return [round(registry.snapshot()[CPU].data.values[0] / TICK) for registry in readers]

    sleeper = Sleeper(readers[0], children)
    proc.ticks[sleeper.pid] = 70
    assert totals() == [70, 70, 70]
    sleeper.end()
    proc.ticks[Sleeper(readers[0], children).pid] = 5
    assert totals() == [75, 75, 75]


def test_without_space_cpu_time_is_left_out_and_counted(path: Path) -> None:
    registry = tm.Registry(
        engine="native", shared=path, shared_limit=1_400_000, tags={"of": "3"}, limits=tm.TagLimits(max_series=10**6)
    )
    full = registry.counter("n")
    for i in range(10_000):
        full.inc(i=i)
    tm.process_metrics(registry)
    snapshot = registry.snapshot()
    assert registry._families.memory.shared.usage()["failed"] > 0  # type: ignore[attr-defined]
    assert CPU not in snapshot
    assert "process_threads" in snapshot


# What only a process itself can tell


def test_asking_for_the_metrics_again_tells_nothing_twice(shared: tm.Registry) -> None:
    names = ("python_gc_objects_collected_total", "python_gc_collections_total")
    tm.process_metrics(shared)
    before = [value(shared, name, generation="2") for name in names]
    tm.process_metrics(shared)
    assert [value(shared, name, generation="2") for name in names] == before


def test_a_child_tells_what_the_garbage_collector_did_in_it(shared: tm.Registry, children: Any) -> None:
    import gc

    gc.collect()
    tm.process_metrics(shared)
    before = value(shared, "python_gc_collections_total", generation="2")

    def work() -> None:
        for _ in range(7):
            gc.collect()
        value(shared, "python_gc_collections_total", generation="2")

    gc.disable()
    try:
        gc.collect()  # untold at the fork, so that the child could tell it too
        assert children.run(work) == 0
        assert value(shared, "python_gc_collections_total", generation="2") == before + 8
    finally:
        gc.enable()


def test_names_that_are_taken_raise_before_anything_is_registered(shared: tm.Registry) -> None:
    shared.counter("process_threads")
    with pytest.raises(tm.MetricConflictError, match="process_threads"):
        tm.process_metrics(shared)
    assert "python_info" not in shared.snapshot()
