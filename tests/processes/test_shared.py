"""One registry over many processes: all of it works as it does in one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.bench.allocations import allocations_per_op


def value(registry: tm.Registry, name: str, **tags: str) -> float:
    found = registry.snapshot().find(name, tags)
    assert found is not None, (name, tags)
    return found.value


def test_all_processes_move_the_same_cells(shared: tm.Registry, children: Any) -> None:
    counter = shared.counter("requests")

    def work() -> None:
        for _ in range(1000):
            counter.inc(method="GET")
            counter.inc(2)

    pids = [children.start(work) for _ in range(4)]
    assert [children.wait(pid) for pid in pids] == [0] * 4
    assert value(shared, "requests", method="GET") == 4000
    assert counter.value == 8000


def test_what_one_process_makes_all_see(shared: tm.Registry, children: Any) -> None:
    def work() -> None:
        shared.counter("late", description="Made by a child.", unit="bytes").inc(5, who="child")
        shared.histogram("sizes", buckets=[1, 2]).observe(1.5)
        shared.timer("times").record(0.25, route="/")

    assert children.run(work) == 0
    snapshot = shared.snapshot()
    assert snapshot["late"].description == "Made by a child."
    assert (snapshot["late"].unit, snapshot["late"].kind) == ("bytes", "counter")
    assert value(shared, "late", who="child") == 5
    sizes = snapshot.find("sizes")
    assert sizes is not None
    assert (sizes.histogram.bounds, sizes.histogram.bucket_counts, sizes.histogram.sum) == ((1, 2), (0, 1, 0), 1.5)
    assert (sizes.histogram.min, sizes.histogram.max) == (1.5, 1.5)
    assert snapshot.find("times", route="/") is not None
    assert "late_bytes_total" in tm.render_prometheus(snapshot).decode()


def test_a_child_that_began_after_records_on(shared: tm.Registry, children: Any) -> None:
    counter = shared.counter("n", tags={"a": "1"})
    counter.inc()
    assert children.run(lambda: counter.inc(2)) == 0
    assert children.run(lambda: [counter.inc() for _ in range(int(counter.value))]) == 0
    assert counter.value == 6


def test_a_name_belongs_to_one_kind_over_all_processes(shared: tm.Registry, children: Any) -> None:
    assert children.run(lambda: shared.gauge("taken").set(1)) == 0
    with pytest.raises(tm.MetricConflictError, match="taken"):
        shared.counter("taken")
    assert shared.gauge("taken").value == 1


def test_bounds_that_nobody_asked_for_are_those_that_are_there(shared: tm.Registry, children: Any) -> None:
    assert children.run(lambda: shared.histogram("sizes", buckets=[1, 2, 3])) == 0
    assert shared.histogram("sizes").bounds == (1, 2, 3)
    with pytest.raises(tm.MetricConflictError):
        shared.histogram("sizes", buckets=[1, 2])


def test_remove_removes_everywhere(shared: tm.Registry, children: Any) -> None:
    series = shared.counter("n").with_tags(a="1")
    series.inc(3)
    assert children.run(lambda: shared.counter("n").with_tags(a="1").remove()) == 0
    assert shared.snapshot().find("n", a="1") is None
    assert series.value == 0
    series.inc()
    assert value(shared, "n", a="1") == 1


def test_unregister_unregisters_everywhere(shared: tm.Registry, children: Any) -> None:
    counter = shared.counter("n")
    counter.inc()
    assert children.run(lambda: shared.unregister("n")) == 0
    assert "n" not in shared.snapshot()
    counter.inc(2)
    assert value(shared, "n") == 2
    assert children.run(lambda: shared.counter("n").inc()) == 0
    assert counter.value == 3


def test_what_does_not_change_expires_everywhere(shared: tm.Registry, children: Any) -> None:
    counter = shared.counter("n", ttl=0.05)
    counter.inc(a="1")

    def work() -> None:
        mine = shared.counter("n")
        shared.snapshot()
        time.sleep(0.1)
        assert mine.with_tags(a="1").value == 1
        assert shared.expire() >= 1

    assert children.run(work) == 0
    assert shared.snapshot().find("n", a="1") is None
    counter.inc(a="1")
    assert value(shared, "n", a="1") == 1


def test_space_of_removed_series_is_used_again(shared: tm.Registry) -> None:
    counter = shared.counter("n")
    for i in range(100):
        series = counter.with_tags(user=str(i))
        series.inc()
        series.remove()
        del series
    before = shared._families.memory.shared.usage()["used"]  # type: ignore[union-attr]
    for i in range(100, 2000):
        series = counter.with_tags(user=str(i))
        series.inc()
        assert series.value == 1
        series.remove()
        del series
    assert shared._families.memory.shared.usage()["used"] == before  # type: ignore[union-attr]


def test_a_handle_that_another_process_keeps_is_never_given_away(shared: tm.Registry, children: Any) -> None:
    """A removed series' space is not reused while a process holds the series, however long it does not sync."""
    go, done = os.pipe(), os.pipe()
    counter = shared.counter("n")

    def work() -> None:
        held = counter.with_tags(user="held")
        held.inc()
        os.write(done[1], b"x")
        os.read(go[0], 1)
        held.inc(1000)

    pid = children.start(work)
    os.read(done[0], 1)
    counter.with_tags(user="held").remove()
    for i in range(300):
        counter.inc(user=str(i))
    os.write(go[1], b"x")
    assert children.wait(pid) == 0
    snapshot = shared.snapshot()
    assert {one.value for one in snapshot["n"] if one.tags.get("user") != "held"} == {1}
    assert value(shared, "n", user="held") == 1000


def test_the_limit_on_series_is_of_all_processes_together(path: Path, children: Any) -> None:
    registry = tm.Registry(engine="native", shared=path, limits=tm.TagLimits(max_series=10))
    counter = registry.counter("n")
    for half in range(2):
        assert children.run(lambda half=half: [counter.inc(user=f"{half}-{i}") for i in range(8)]) == 0
    snapshot = registry.snapshot()
    assert len(snapshot["n"]) == 11
    assert value(registry, "n", overflow="true") == 6
    assert value(registry, "tallymark_rejected", metric="n", reason="max_series") == 6


def test_gauges_move_one_value_by_default(shared: tm.Registry, children: Any) -> None:
    gauge = shared.gauge("depth")
    gauge.set(5)
    assert children.run(lambda: gauge.dec(2)) == 0
    assert gauge.value == 3


def test_the_operational_layer_and_host_info_work_as_ever(shared: tm.Registry, children: Any) -> None:
    def work() -> None:
        ops = tm.OperationalMetrics(shared)
        ops.record_operation("auth", "success", 0.1)
        ops.record_error("auth", "ValueError", "user")
        shared.info("build", version="1")

    assert [children.run(work) for _ in range(2)] == [0, 0]
    assert value(shared, "operations", operation="auth", status="success") == 2
    assert value(shared, "operation_errors", operation="auth", error_type="ValueError", error_category="user") == 2
    assert value(shared, "build_info", version="1") == 1


def test_any_process_serves_the_same(path: Path) -> None:
    first, second = (tm.Registry(engine="native", shared=path) for _ in range(2))
    first.counter("n", description="N.").inc(3, a="1")
    second.counter("n").inc(4, a="1")
    assert value(first, "n", a="1") == value(second, "n", a="1") == 7
    pages = [tm.render_prometheus(one.snapshot()) for one in (first, second)]
    assert pages[0] == pages[1]


def test_a_process_of_another_program_shares_the_file(path: Path) -> None:
    registry = tm.Registry(engine="native", shared=path)
    registry.counter("n").inc()
    program = f"import tallymark as tm; tm.Registry(engine='native', shared={str(path)!r}).counter('n').inc(2)"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert registry.counter("n").value == 3


def test_many_that_start_at_once_make_one_file(path: Path, children: Any) -> None:
    pids = [children.start(lambda: tm.Registry(engine="native", shared=path).counter("n").inc()) for _ in range(20)]
    assert [children.wait(pid) for pid in pids] == [0] * 20
    assert value(tm.Registry(engine="native", shared=path), "n") == 20
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == [path.name]


def test_a_registry_that_goes_gives_its_place_back(path: Path) -> None:
    for _ in range(300):
        tm.Registry(engine="native", shared=path).counter("n").inc()
    registry = tm.Registry(engine="native", shared=path)
    assert value(registry, "n") == 300
    assert len(registry._families.memory.shared.processes()) == 1  # type: ignore[union-attr]


def test_nothing_is_allocated(shared: tm.Registry) -> None:
    counter, sizes = shared.counter("n"), shared.histogram("sizes")

    def records(iterations: Any) -> None:
        for _ in iterations:
            counter.inc()
            counter.inc(method="GET", status="200")
            counter.with_tags(method="GET").with_tags(status="500").inc()
            sizes.observe(3.5)

    assert allocations_per_op(records).allocs == 0


def test_the_reference_engine_raises(path: Path) -> None:
    with pytest.raises(ValueError, match=r"reference engine .* cannot share"):
        tm.Registry(engine="reference", shared=path)
    with pytest.raises(TypeError, match="shared"):
        tm.Registry(engine="native", shared=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="limit"):
        tm.Registry(engine="native", shared=True, shared_limit=10)


@pytest.mark.slow
def test_a_signal_that_kills_leaves_nothing_behind(shared: tm.Registry, children: Any) -> None:
    counter = shared.counter("n")
    began = os.pipe()

    def work() -> None:
        counter.inc()
        os.write(began[1], b"x")
        while True:
            counter.inc()

    for _ in range(30):
        pid = children.start(work)
        os.read(began[0], 1)
        time.sleep(0.001)
        os.kill(pid, signal.SIGTERM)
        assert children.wait(pid) == -signal.SIGTERM
    assert counter.value > 0
    assert len(shared._families.memory.shared.processes()) == 1  # type: ignore[union-attr]


def test_workers_with_tags_of_their_own_leave_no_space_taken(path: Path) -> None:
    """What is set aside for the overflow series of each is free when the worker has gone."""

    def live_and_go(worker: int) -> None:
        registry = tm.Registry(engine="native", shared=path, tags={"worker": worker}, limits=tm.TagLimits(max_series=10))
        for metric in range(3):
            registry.counter(f"metric_{metric}").inc(kind="any")
            registry.unregister(f"metric_{metric}")

    watching = tm.Registry(engine="native", shared=path)
    used = []
    for worker in range(600):
        live_and_go(worker)
        if worker in (99, 599):
            used.append(watching._families.memory.shared.usage()["used"])  # type: ignore[attr-defined]
    assert used[0] == used[1]


def test_workers_that_die_leave_no_space_taken(path: Path, children: Any) -> None:
    watching = tm.Registry(engine="native", shared=path)

    def live_and_die(worker: int) -> None:
        registry = tm.Registry(engine="native", shared=path, tags={"worker": worker})
        registry.counter("n", limits=tm.TagLimits(max_series=1)).inc(kind="any")
        registry.counter("n").with_tags(kind="any").remove()
        os.kill(os.getpid(), signal.SIGKILL)

    used = []
    for worker in range(60):
        assert children.run(lambda worker=worker: live_and_die(worker)) == -signal.SIGKILL
        watching.snapshot()
        if worker in (9, 59):
            used.append(watching._families.memory.shared.usage()["used"])  # type: ignore[attr-defined]
    assert used[0] == used[1]
