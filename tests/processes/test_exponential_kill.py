"""Exponential buckets over processes: however many count, make the buckets coarser, help each other, and are killed amid it, no
count is lost, and none is counted twice."""

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

import tallymark as tm

pytestmark = pytest.mark.slow

WORKERS = 4
KILLS = int(os.environ.get("TALLYMARK_KILLS", "100"))
PER_ROUND = 400  # observations of all workers, after which they go on to a new series


def value_of(rng: random.Random, n: int) -> float:
    """Return a value; the more there are, the further they spread, so that buckets are made coarser again and again."""
    spread = 10.0 ** min(280.0, n * n / 400)
    return float(min(max(spread ** rng.uniform(-1, 1), 1e-290), 1e290)) * (1 if rng.random() < 0.5 else -1)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("how", ["inherited", "file"])
def test_every_observation_that_returned_is_in_its_bucket(how: str, path: Path, children: Any) -> None:
    limits = tm.TagLimits(max_series=1_000_000)
    options: Any = {"engine": "native", "limits": limits, "shared_limit": 2**29}
    registry = tm.Registry(shared=True if how == "inherited" else path, **options)
    registry.histogram("n", exponential=True)
    # For each worker: observations of 1 and less, and of more; the same of their opposites. And the number of the round.
    returned = [memoryview(mmap.mmap(-1, 4 * 8)).cast("Q") for _ in range(WORKERS)]
    total = memoryview(mmap.mmap(-1, 8 * WORKERS)).cast("Q")

    def work(worker: int) -> None:
        mine = registry if how == "inherited" else tm.Registry(shared=path, **options)
        mine._rejections._strict = True  # what is rejected, where a process that has the lock does not run for long, raises
        own, rng = mine.histogram("n", exponential=True), random.Random()
        os.nice(10)
        while True:
            n = sum(total)
            value = value_of(rng, n % PER_ROUND)
            with contextlib.suppress(ValueError):
                own.observe(value, round=str(n // PER_ROUND))
                returned[worker][(value < 0) * 2 + (abs(value) > 1)] += 1
                total[worker] += 1

    pids = [children.start(lambda worker=worker: work(worker)) for worker in range(WORKERS)]
    for _ in range(KILLS):
        time.sleep(random.random() * 0.02)
        victim = random.randrange(WORKERS)
        children.kill(pids[victim])
        pids[victim] = children.start(lambda worker=victim: work(worker))
    for pid in pids:
        children.kill(pid)
    data = registry.snapshot()["n"].data
    assert isinstance(data, tm.ExponentialHistogramData)
    found = [0] * 4
    for row in range(len(data.tags)):
        for negative, (first, counts) in enumerate((data.positives[row], data.negatives[row])):
            assert len(counts) <= 160
            for index, count in enumerate(counts, first):
                found[negative * 2 + (index >= 0)] += count
    assert len(data.tags) > 10  # so often the scale went down, a dozen times each
    for part in range(4):
        sure = sum(one[part] for one in returned)
        assert sure <= found[part] <= sure + KILLS + WORKERS, part
    assert sum(found) <= sum(map(sum, returned)) + KILLS + WORKERS


def spread(histogram: tm.Histogram, lowest: int = 0) -> int:
    """Observe values that need the buckets made coarser nine times, above 0 and below; return how many."""
    values = [sign * 2.0 ** (i * i / 40) for sign in (1, -1) for i in range(lowest, 70)]
    for value in values:
        histogram.observe(value)
    return len(values)


@pytest.mark.timeout(600)
def test_a_process_may_be_killed_between_any_two_steps(tmp_path: Path, children: Any) -> None:
    """The one that makes the buckets coarser dies after each of its steps; the next one finishes, or begins anew."""
    steps = [*range(1, 150), *range(150, 20_000, 151)]
    survived = False
    for step in steps:
        path = tmp_path / str(step)
        registry = tm.Registry(engine="native", shared=path)
        histogram = registry.histogram("n", exponential=True)
        histogram.observe(1.5)
        done = memoryview(mmap.mmap(-1, 8)).cast("Q")

        def work(step: int = step, registry: tm.Registry = registry, done: Any = done) -> None:
            own = registry.histogram("n", exponential=True)
            registry._families.memory.shared._fault(step)  # type: ignore[union-attr]
            for i in range(60):
                own.observe((-1) ** i * 2.0 ** (i * i / 30))
                done[0] += 1

        status = children.run(work)
        survived = status == 0
        assert survived or status == -signal.SIGKILL
        more = spread(histogram, 50)
        read = histogram.snapshot()
        assert 1 + done[0] + more <= read.count <= 1 + done[0] + more + (not survived)
        assert tm.Registry(engine="native", shared=path).histogram("n", exponential=True).snapshot() == read
        path.unlink()
        if survived:
            assert step > 300  # there are that many, or the test tests nothing
            return
    pytest.fail("it never comes to an end")


@pytest.mark.parametrize("step", [2, 3, 20, 126, 179, 232, 285, 400])
def test_one_that_was_stopped_harms_no_series_that_was_made_anew_meanwhile(step: int, path: Path, children: Any) -> None:
    """It makes buckets coarser; the series is removed, and made again in the same slot; then it goes on."""
    registry = tm.Registry(engine="native", shared=path)
    histogram = registry.histogram("n", exponential=True)
    for i in range(160):
        histogram.observe(2.0 ** ((i + 0.5) / 256))

    def work() -> None:
        own = tm.Registry(engine="native", shared=path)
        own.histogram("n", exponential=True).observe(1.001)
        own._families.memory.shared._fault(step, signal.SIGSTOP)  # type: ignore[union-attr]
        own.histogram("n", exponential=True).observe(4.0)

    pid = children.start(work)
    assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
    histogram.remove()
    new = [4.0 * 2.0 ** (-(i + 0.5) / 512) for i in range(160)]
    for value in new:
        histogram.observe(value)
    os.kill(pid, signal.SIGCONT)
    assert children.wait(pid) == 0
    for value in new:
        histogram.observe(value)
    read: Any = histogram.snapshot()
    assert (read.count, read.scale) == (2 * len(new) + 1, 8)
    histogram.observe(1e300)
    assert histogram.snapshot().count == 2 * len(new) + 2
