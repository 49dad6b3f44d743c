"""Exponential buckets in memory that processes share: the same as elsewhere, and sound whatever the file holds."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.cli import main
from tallymark.engine.exponential import index_of
from tallymark.engine.exponential_snapshot import ExponentialSnapshot
from tallymark.metric.shared.contents import read_contents
from tallymark.metric.shared.exponential import WORDS
from tallymark.metric.shared.inspect import snapshot_of


def on(path: Path, **options: Any) -> tm.Registry:
    return tm.Registry(engine="native", shared=path, **options)


def numbers(seed: int, n: int = 500) -> list[float]:
    rng = random.Random(seed)
    return [rng.choice((-1, 1, 1)) * rng.choice((0, 1, 1)) * 2.0 ** rng.uniform(-seed, seed) for _ in range(n)]


@pytest.mark.parametrize("seed", [1, 8, 60, 1000])
def test_shared_memory_holds_what_private_memory_does(seed: int, shared: tm.Registry) -> None:
    private = tm.Registry(engine="native").histogram("n", exponential=True)
    histogram = shared.histogram("n", exponential=True)
    for value in numbers(seed):
        histogram.observe(value)
        private.observe(value)
    assert repr(histogram.snapshot()._values()) == repr(private.snapshot()._values())


def test_all_processes_count_in_the_same_buckets(path: Path, children: Any) -> None:
    registry = on(path)
    registry.histogram("n", exponential=True)

    def work(seed: int) -> None:
        own = on(path).histogram("n", exponential=True)
        for value in numbers(seed):
            own.observe(value, a="1")

    pids = [children.start(lambda seed=seed: work(seed)) for seed in (2, 30, 400)]
    assert [children.wait(pid) for pid in pids] == [0, 0, 0]
    alone = tm.Registry(engine="native").histogram("n", exponential=True)
    for seed in (2, 30, 400):
        for value in numbers(seed):
            alone.observe(value)
    read: Any = registry.histogram("n").with_tags(a="1").snapshot()
    wanted: Any = alone.snapshot()
    assert (read.scale, read.positives, read.negatives) == (wanted.scale, wanted.positives, wanted.negatives)
    assert (read.count, read.min, read.max) == (1500, wanted.min, wanted.max)


def test_the_registry_of_a_forked_child_goes_on(shared: tm.Registry, children: Any) -> None:
    histogram = shared.histogram("n", exponential=True)
    histogram.observe(-1)

    def work() -> None:
        histogram.observe(-1e300)
        histogram.observe(-2, a="1")

    assert children.run(work) == 0
    histogram.observe(-3, a="1")
    assert histogram.snapshot().count == 2
    assert histogram.with_tags(a="1").snapshot().count == 2


def test_a_slot_that_is_used_again_keeps_its_space_for_numbers_below_0(path: Path) -> None:
    registry = on(path)
    histogram = registry.histogram("n", exponential=True)
    for i in range(20):
        histogram.observe(-(2.0**i), a=str(i))
        histogram.observe(-(2.0**-i), a=str(i))
        read: Any = histogram.with_tags(a=str(i)).snapshot()
        assert read.count == 2
        histogram.with_tags(a=str(i)).remove()
        histogram.observe(7.0, b=str(i))
        again: Any = histogram.with_tags(b=str(i)).snapshot()
        assert (again.count, again.negatives) == (1, (0, ()))
        histogram.with_tags(b=str(i)).remove()
        if i == 4:
            used = registry._families.memory.shared.usage()["used"]  # type: ignore[union-attr]
    assert registry._families.memory.shared.usage()["used"] == used  # type: ignore[union-attr]


def test_a_series_takes_little_more_than_its_cells(path: Path) -> None:
    registry = on(path)
    timer = registry.timer("t", exponential=True)
    usage = registry._families.memory.shared.usage  # type: ignore[union-attr]
    before = usage()["used"]
    for i in range(100):
        timer.record(i, route=str(i))
    each = (usage()["used"] - before) / 100
    assert WORDS * 8 < each <= WORDS * 8 + 200  # docs/exponential.md says how many fit


def test_where_there_is_no_space_numbers_below_0_are_rejected(path: Path) -> None:
    registry = on(path, shared_limit=1_200_000)
    histogram = registry.histogram("n", exponential=True, limits=tm.TagLimits(max_series=10_000))
    histogram.observe(1, a="first")
    for i in range(1000):
        histogram.observe(1, a=str(i))
    histogram.observe(-1, a="first")
    histogram.observe(2, a="first")
    assert histogram.with_tags(a="first").snapshot().count == 2
    before = sum(one.value for one in registry.snapshot()["tallymark_rejected"])
    histogram.observe(-1, a="first")
    assert sum(one.value for one in registry.snapshot()["tallymark_rejected"]) == before + 1


@pytest.mark.slow
def test_where_the_memory_is_locked_numbers_below_0_are_rejected(path: Path, stopped_lock: Callable[..., Any]) -> None:
    registry = on(path)
    histogram = registry.histogram("n", exponential=True)
    histogram.observe(1)
    with stopped_lock(registry):
        histogram.observe(-1)
        histogram.observe(2)
    histogram.observe(-3)
    assert histogram.snapshot().count == 3
    rejected = registry.snapshot().find("tallymark_rejected", metric="n", reason="unreachable")
    assert rejected is not None
    assert rejected.value == 1


def test_the_first_process_decides_which_buckets_there_are(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old, new = on(path), on(path)
    old.histogram("n", buckets=[1, 2]).observe(1)
    old.timer("t", exponential=True).record(1)
    assert new.histogram("n", exponential=True).bounds == (1, 2)
    assert new.timer("t", buckets=[1, 2]).bounds == ()
    said = [record.getMessage() for record in caplog.records]
    assert ["they are (1.0, 2.0), while this process asked for exponential." in said[0]] == [True]
    assert ["they are exponential, while this process asked for (1.0, 2.0)." in said[1]] == [True]
    with pytest.raises(tm.MetricConflictError):
        new.timer("t", exponential=True)


# Those who only look on


def test_inspect_tells_them(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    registry = on(path, self_metrics=False)
    histogram = registry.histogram("n", exponential=True)
    for value in (0, 1, 2, 3, -4):
        histogram.observe(value)
    registry.timer("silent", exponential=True)
    main(["inspect", "--prometheus", str(path)])
    assert capsys.readouterr().out == tm.render_prometheus(registry.snapshot()).decode()
    main(["inspect", str(path)])
    assert "histogram n\n  {} count 5, sum 2\n" in capsys.readouterr().out
    main(["inspect", "--json", str(path)])
    by_name = {one["name"]: one for one in json.loads(capsys.readouterr().out)["metrics"]}
    assert by_name["n"]["exponential"] is True
    [series] = by_name["n"]["series"]
    read: Any = histogram.snapshot()
    assert (series["count"], series["scale"], series["zero_count"]) == (5, read.scale, 1)
    assert series["negatives"] == {"first": read.negatives[0], "counts": [1]}
    assert series["positives"] == {"first": read.positives[0], "counts": list(read.positives[1])}


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_slot_harms_nobody(seed: int, path: Path) -> None:
    """Words of a slot's cells are replaced; each process goes on to record and to read."""
    rng = random.Random(seed)
    registry = on(path)
    histogram = registry.histogram("n", exponential=True)
    for value in (1.0, 1.5, -2.0, 0.0):
        histogram.observe(value)
    [offset] = [at for at, *_ in registry._families.memory.shared.families() if registry._families.memory.entry(at).name == "n"]  # type: ignore[union-attr]
    [(_, _, _, cells)] = registry._families.memory.shared.series(offset)  # type: ignore[union-attr]
    content = path.read_bytes()
    at = content.index(struct.pack(f"{WORDS}Q", *cells))
    with open(path, "r+b") as file:
        for place in (1, 322, rng.randrange(WORDS), rng.randrange(WORDS)):
            if rng.random() < 0.7:
                odd = rng.choice((rng.getrandbits(64), 2**64 - 1, rng.getrandbits(20), (rng.getrandbits(32) << 32) | 0x1A00C))
                file.seek(at + 8 * place)
                file.write(struct.pack("Q", odd))
    for value in (1.0, -1.0, 0.0, 1e300, -1e300, 1e-300):
        histogram.observe(value)
    for read in (registry.snapshot(), on(path).snapshot(), snapshot_of(read_contents(str(path)))):
        tm.render_prometheus(read)
    assert isinstance(histogram.snapshot(), ExponentialSnapshot)


@pytest.mark.parametrize("first", [2**20, 2**31, 2**32 - 128, 2**32 - 1])
def test_a_window_beyond_all_doubles_is_damaged(first: int, path: Path) -> None:
    """No arithmetic on it may overflow, as where buckets become coarser to be shown with those below 0."""
    histogram = on(path).histogram("n", exponential=True)
    histogram.observe(3.0)
    for i in range(30):
        histogram.observe(-(2.0 ** (3 * i)))
    content = path.read_bytes()
    header = (index_of(3.0) + 2**19) << 32 | 1 << 8
    [at] = [at for at in range(0, len(content), 8) if int.from_bytes(content[at : at + 8], "little") & ~0xFF == header]
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(struct.pack("Q", first << 32 | 160 << 8 | content[at]))
    for _ in range(2):
        read: Any = histogram.snapshot()
        assert (read.positives, sum(read.negatives[1])) == ((0, ()), 30)
        histogram.observe(5.0)
        histogram.observe(1e300)
