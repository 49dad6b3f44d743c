"""Gauges of several processes against a model of them: what any reader sees after each of thousands of random changes.

Each registry has the file open for itself, and so is a process to the others: dropped, it is one that died."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

import tallymark as tm
from tallymark.frozen import replace

pytestmark = pytest.mark.slow

STEPS, TTL = 400, 100.0
LIMITS = tm.TagLimits(max_value_length=3000, max_series=10_000)
VALUES = [0.0, 0.1, 0.2, 0.3, 0.7, -0.1, 1e-9, 1.0, -3.0, 1e15 / 3, 2.0**53]

Tags = tuple[tuple[str, str], ...]


def key_pool(rng: random.Random) -> Iterator[Tags]:
    """Tags of all forms, the first of them again and again."""
    known: list[Tags] = [
        (),
        (("queue", "a"),),
        (("queue", "a"), ("zone", "b")),
        (("queue", "x" * 1500),),
        (("queue", "x" * 1499 + "y"),),
        (("queue", "straße"), ("ключ", "\U0001f600\n")),
        (("queue", ""),),
    ]
    while True:
        if rng.random() < 0.05:  # keys that no process has seen yet
            known.append(((f"key{len(known)}", str(rng.random())), ("queue", "new")))
        elif rng.random() < 0.1:
            known.append((("queue", str(rng.random())),))
        yield rng.choice(known[:7] + known[-4:])


class Model:
    """What processes have in one gauge. A share is created, value, records; those of the dead are of process -1."""

    def __init__(self, aggregate: str) -> None:
        self.aggregate = aggregate
        self.shares: dict[Tags, dict[int, tuple[float, float, int]]] = {}
        self.deaths = 0
        self.changed: dict[Tags, tuple[float, object]] = {}  # since when there was no record, as the reader knows

    def set(self, process: int, tags: Tags, value: float, now: float) -> None:
        shares = self.shares.setdefault(tags, {})
        created, _, records = shares.get(process, (now, 0.0, 0))
        shares[process] = (created, value, records + 1)

    def serial(self) -> int:
        """Return a number of records that no share had: what the dead leave counts as a record."""
        self.deaths += 1
        return -self.deaths

    def get(self, process: int, tags: Tags) -> float:
        return self.shares.get(tags, {}).get(process, (0.0, 0.0, 0))[1]

    def remove(self, tags: Tags) -> None:
        self.shares.pop(tags, None)

    def die(self, process: int) -> None:
        for tags, shares in list(self.shares.items()):
            gone = shares.pop(process, None)
            if gone is not None and self.aggregate != "sum":
                kept = shares.get(-1, gone)
                shares[-1] = (min(kept[0], gone[0]), {"max": max, "min": min}[self.aggregate](kept[1], gone[1]), self.serial())
            if not shares:
                del self.shares[tags]

    def expire(self, now: float) -> None:
        for tags in list(self.changed):
            if tags not in self.shares:
                del self.changed[tags]
        for tags, shares in list(self.shares.items()):
            mark = sorted((created, records) for created, _, records in shares.values())
            if self.changed.get(tags, (now, None))[1] != mark:
                self.changed[tags] = (now, mark)
            elif now - self.changed[tags][0] >= TTL:
                self.remove(tags)
                del self.changed[tags]

    def read(self) -> dict[Tags, tuple[float, float]]:
        combine = {"sum": math.fsum, "max": max, "min": min}[self.aggregate]
        found = {}
        for tags, shares in self.shares.items():
            created, values, _ = zip(*shares.values(), strict=True)
            found[tags] = (min(created), combine(values))
        return found


class Processes:
    """Registries on one file with a clock that they share. The first of them reads, and never ends."""

    def __init__(self, path: Path, aggregate: str) -> None:
        self.path, self.aggregate, self.clock = path, aggregate, 1000.0
        self.registries = {0: self.opened()}

    def opened(self) -> tm.Registry:
        registry = tm.Registry(engine="native", shared=self.path, limits=LIMITS)
        registry._families.hooks = replace(registry._families.hooks, uptime=lambda: self.clock, now=lambda: self.clock)
        return registry

    def gauge(self, process: int, tags: Tags) -> tm.Gauge:
        gauge = self.registries[process].gauge("g", aggregate=self.aggregate, ttl=TTL)  # type: ignore[arg-type]
        return gauge.with_tags(dict(tags)) if tags else gauge

    def end(self, process: int) -> None:
        del self.registries[process]


def read(registry: tm.Registry) -> list[tuple[Tags, tuple[float, float]]]:
    return [(tuple(one.tags.items()), (one.created, one.value)) for one in registry.snapshot()["g"]]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("aggregate", ["sum", "max", "min"])
def test_any_reader_sees_what_all_processes_have(aggregate: str, seed: int, path: Path) -> None:
    rng = random.Random(seed)
    keys, model, processes = key_pool(rng), Model(aggregate), Processes(path, aggregate)
    processes.gauge(0, ())
    for step in range(1, STEPS):
        process, tags = rng.choice(list(processes.registries)), next(keys)
        what = rng.choices(["set", "inc", "remove", "start", "die", "later"], [40, 20, 8, 6, 3, 10])[0]
        if what in ("set", "inc"):
            value = rng.choice(VALUES) + (model.get(process, tags) if what == "inc" else 0)
            processes.gauge(process, tags).set(value)
            model.set(process, tags, value, processes.clock)
        elif what == "remove":
            processes.gauge(process, tags).remove()
            model.remove(tags)
        elif what == "start" and len(processes.registries) < 6:
            processes.registries[step] = processes.opened()
        elif what == "die" and process != 0:
            processes.end(process)
            model.die(process)
        else:
            processes.clock += rng.choice([1, 10, 40])
        if what != "die" and rng.random() < 0.5:  # two that died are buried in whichever order
            continue
        model.expire(processes.clock)
        found = read(processes.registries[0])
        wanted = model.read() or dict(found)
        assert wanted == model.read() or wanted == {(): (found[0][1][0], 0.0)}, (step, what)
        assert set(dict(found)) == set(wanted), (step, what)
        for one, (created, value) in found:
            assert (created, value) == (wanted[one][0], pytest.approx(wanted[one][1], rel=1e-15)), (step, what)
        assert read(processes.registries[0]) == found  # in the same order
        if step % 20 == 0:
            assert dict(read(processes.opened())) == dict(found)
