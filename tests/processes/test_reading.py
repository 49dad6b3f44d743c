"""What a reader sees while others write, and what a hostile owner of a file can do to it."""

from __future__ import annotations

import mmap
import os
import signal
import struct
import time
from pathlib import Path
from typing import Any

from layout import SIZE

import tallymark as tm
from tallymark.engine import load_engine
from tallymark.frozen import replace
from tallymark.metric.shared.contents import read_contents
from tallymark.metric.shared.file import open_to_read


def test_no_sum_runs_ahead_of_its_count(shared: tm.Registry, children: Any) -> None:
    histogram = shared.histogram("size", buckets=[0.5, 2], limits=tm.TagLimits(max_series=1000))
    series = [histogram.with_tags(i=i) for i in range(500)]

    def observe() -> None:
        while True:
            for one in series:
                one.observe(1)

    worker = children.start(observe)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        for one in shared.snapshot()["size"]:
            assert one.histogram.sum <= one.histogram.count
    children.kill(worker)
    kept = [one.histogram for one in shared.snapshot()["size"]]
    assert all(one.count - 1 <= one.sum <= one.count for one in kept)  # killed between the two: counted, and in no sum


def test_who_looks_at_a_file_has_a_copy_that_nobody_changes(path: Path) -> None:
    """A hostile owner would change sizes after they were checked, or cut the file off under the reader."""
    registry = tm.Registry(engine="native", shared=path)
    registry.counter("requests").inc(3, method="GET")
    registry.histogram("size", buckets=[1, 2, 3]).observe(2)
    copy = path.with_name("copy")  # whoever shares the file itself would end with it
    copy.write_bytes(path.read_bytes())
    reader = open_to_read(load_engine("native"), copy)
    families = reader.families()
    before = [(reader.text(offset), reader.series(offset)) for offset, *_ in families]
    with open(copy, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        for offset, *_ in families:
            memory[offset : offset + 128] = b"\xff" * 128
    os.truncate(copy, 4096)
    assert [(reader.text(offset), reader.series(offset)) for offset, *_ in families] == before
    assert reader.families() == families


def test_a_copy_of_a_file_with_holes_costs_what_is_in_it(path: Path) -> None:
    registry = tm.Registry(engine="native", shared=path, shared_limit=2**38)
    registry.counter("requests").inc(3)
    size = 2**37
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    os.truncate(copy, size)
    with open(copy, "r+b") as file:
        file.seek(SIZE)
        file.write(struct.pack("Q", size))  # what a hostile owner says that the file has
    contents = read_contents(copy)
    assert any(family.entry is not None and family.entry.name == "requests" for family in contents.families)


def test_a_gauge_that_was_nan_and_changes_while_the_reader_waits_does_not_expire(path: Path, children: Any) -> None:
    registry = tm.Registry(engine="native", shared=path)
    clock = [1000.0]
    registry._families.hooks = replace(registry._families.hooks, uptime=lambda: clock[0])
    gauge = registry.gauge("n", ttl=100)
    gauge.set(float("nan"), a="1")
    other = registry.counter("other")
    stopped = os.pipe()
    attached = os.pipe()

    def set_while_the_reader_waits() -> None:
        series = gauge.with_tags(a="1")
        os.write(attached[1], b"x")
        pid = int(os.read(stopped[0], 20))
        time.sleep(0.3)  # the reader waits for the lock by now
        series.set(5)
        os.kill(pid, signal.SIGCONT)

    def stop_with_the_lock() -> None:
        registry._families.memory.shared._fault(1, signal.SIGSTOP)  # type: ignore[attr-defined]
        other.inc(made="now")

    setting = children.start(set_while_the_reader_waits)
    os.read(attached[0], 1)
    registry.snapshot()
    clock[0] += 200
    holding = children.start(stop_with_the_lock)
    assert os.WIFSTOPPED(os.waitpid(holding, os.WUNTRACED)[1])
    os.write(stopped[1], str(holding).encode())
    assert registry.expire() == 0
    assert [children.wait(pid) for pid in (holding, setting)] == [0, 0]
    found = registry.snapshot().find("n", a="1")
    assert found is not None
    assert found.value == 5
