"""Processes that are killed at any instruction lose nothing that they recorded, and block nobody."""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import tallymark as tm

pytestmark = pytest.mark.slow

WORKERS = 8
KILLS = int(os.environ.get("TALLYMARK_KILLS", "100"))
# Half of the cases, for ten seconds; `make soak` runs all, for longer.
CASES = [("inherited", False), ("file", True), ("inherited", True), ("file", False)][: 2 if KILLS <= 200 else 4]
MANY, FEW = tm.TagLimits(max_series=100_000), tm.TagLimits(max_series=30)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("how", "creating"), CASES)
def test_every_increment_that_returned_is_in_the_total(how: str, creating: bool, path: Path, children: Any) -> None:
    registry = tm.Registry(engine="native", shared=True if how == "inherited" else path, limits=MANY)
    counter = registry.counter("n")
    returned = memoryview(mmap.mmap(-1, 8 * WORKERS)).cast("Q")  # each written at once, and by one process at a time

    def work(worker: int) -> None:
        mine = registry if how == "inherited" else tm.Registry(engine="native", shared=path, limits=MANY)
        mine._rejections._strict = True  # what is rejected, where a process that has the lock does not run for long, raises
        os.nice(10)  # so that who kills need not wait for eight who have enough to do
        own, tag, n, rng = mine.counter("n"), str(worker), returned[worker], random.Random()
        while True:
            with contextlib.suppress(ValueError):
                own.inc(worker=tag)
                n += 1
                returned[worker] = n
                if creating and n % 20 == 0:
                    own.inc(made=str(rng.randrange(3000)))
                    own.with_tags(made=str(rng.randrange(3000))).remove()

    pids = [children.start(lambda worker=worker: work(worker)) for worker in range(WORKERS)]
    seen: dict[str, float] = {}
    scraped = time.monotonic()
    for _ in range(KILLS):
        time.sleep(random.random() * 0.02)
        victim = random.randrange(WORKERS)
        children.kill(pids[victim])
        pids[victim] = children.start(lambda worker=victim: work(worker))
        if time.monotonic() - scraped > 0.05:
            page = tm.render_prometheus(registry.snapshot()).decode()
            for family in text_string_to_metric_families(page):
                for sample in family.samples:
                    if "worker" in sample.labels:
                        assert sample.value >= seen.get(sample.labels["worker"], 0)
                        seen[sample.labels["worker"]] = sample.value
            scraped = time.monotonic()
    for pid in pids:
        children.kill(pid)
    snapshot = registry.snapshot()
    for worker in range(WORKERS):
        found = snapshot.find("n", worker=str(worker))
        assert found is not None
        # At each kill, one increment may have been made whose return nobody saw.
        assert returned[worker] <= found.value <= returned[worker] + KILLS + 1
    assert counter.value == 0


def leave(registry: tm.Registry) -> None:
    """What a process that ends leaves behind, for others to bury."""
    registry.counter("before").inc(made="dead")
    for aggregate in ("sum", "max", "min"):
        registry.gauge(aggregate, aggregate=aggregate).set(9, whose="dead")


def scenario(registry: tm.Registry) -> None:
    """Everything that changes shared memory under the lock: families, slots, appended, revived and used again, and the dead."""
    counter = registry.counter("n")
    for i in range(3):
        counter.inc(made=str(i))
    counter.with_tags(made="1").remove()
    counter.inc(made="1")
    counter.with_tags(made="2").remove()
    counter.inc(other="x")
    registry.gauge("max", aggregate="max").set(3, whose="dead")
    registry.snapshot()
    registry.unregister("n")
    registry.counter("n").inc(made="0")


@pytest.mark.timeout(600)
def test_a_process_may_be_killed_between_any_two_changes(tmp_path: Path, children: Any) -> None:
    """Every step of the protocol, one after the other: the lock's owner dies there; others go on, and find all sound."""
    survived = False
    for step in range(1, 600):
        path = tmp_path / str(step)
        registry = tm.Registry(engine="native", shared=path, limits=FEW)
        registry.counter("before").inc(7, kept="yes")
        for _ in range(2):
            assert children.run(lambda registry=registry: leave(registry)) == 0

        def work(step: int = step, registry: tm.Registry = registry) -> None:
            registry._families.memory.shared._fault(step)  # type: ignore[union-attr]
            scenario(registry)

        status = children.run(work)
        survived = status == 0
        assert survived or status == -signal.SIGKILL
        check(registry)
        check(tm.Registry(engine="native", shared=path, limits=FEW))
        path.unlink()
        if survived:
            assert step > 80  # there are that many, or the test tests nothing
            break
    assert survived


def check(registry: tm.Registry) -> None:
    """What must hold whatever was interrupted; the registry is left as it was found."""
    scenario(registry)
    snapshot = registry.snapshot()
    before = {tuple(one.tags.items()): one.value for one in snapshot["before"]}
    assert before == {(("kept", "yes"),): 7, (("made", "dead"),): 2}
    assert {tuple(one.tags.items()) for one in snapshot["n"]} == {(("made", "0"),)}
    assert [(one.value, one.tags["whose"]) for one in snapshot["max"]] == [(9, "dead")]
    assert [(one.value, one.tags["whose"]) for one in snapshot["min"]] == [(9, "dead")]
    assert list(snapshot["sum"]) == []
    counter = registry.counter("n")
    for i in range(40):
        counter.inc(fresh=str(i))
    found = [one.tags for one in registry.snapshot()["n"] if "overflow" not in one.tags]
    assert len({tuple(tags.items()) for tags in found}) == len(found)  # each once
    assert len(found) == 30  # who was killed is not counted any more, and who lives is
    registry.unregister("n")
