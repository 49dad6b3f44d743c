"""Series of several families come and go at random: each keeps its own numbers, wherever its record lies."""

from __future__ import annotations

import random
from typing import Any
from zlib import crc32

import pytest

import tallymark as tm

pytestmark = pytest.mark.slow

DEEDS = {"few": 40, "burst": 3, "remove some": 20, "remove all": 3, "hold": 10, "drop": 8, "unregister": 1}
LIMITS = tm.TagLimits(max_series=50_000)
STEPS = {"native": 400, "reference": 60}
BURST = 3000  # a burst is more series than a segment of the native engine's arena holds


class Numbers:
    """A family, and what each of its series must have. Each value tells which series it is of."""

    def __init__(self, registry: tm.Registry, name: str, kind: str) -> None:
        self.kind, self.name = kind, name
        self.root: Any = {
            "counter": lambda: registry.counter(name),
            "gauge": lambda: registry.gauge(name),
            "histogram": lambda: registry.histogram(name, buckets=(10, 1000)),
        }[kind]()
        self.expected: dict[str, float] = {}
        self.handles: dict[str, Any] = {}

    def record(self, key: str, handle: Any = None) -> None:
        value = float(crc32(key.encode()) % 1000)
        instrument = handle or self.root.with_tags(k=key)
        getattr(instrument, "observe" if self.kind == "histogram" else "inc")(value)
        self.expected[key] = self.expected.get(key, 0.0) + value

    def remove(self, key: str) -> None:
        self.root.with_tags(k=key).remove()
        self.expected.pop(key, None)

    def check(self, snapshot: tm.Snapshot) -> None:
        points = [one for one in snapshot[self.name] if one.tags]
        found = {one.tags["k"]: one.sum if self.kind == "histogram" else one.value for one in points}
        assert len(points) == len(found)
        assert found == self.expected
        for key, handle in self.handles.items():
            value = handle.snapshot().sum if self.kind == "histogram" else handle.value
            assert value == self.expected.get(key, 0.0)


@pytest.mark.parametrize("seed", range(2))
def test_series_that_come_and_go_keep_their_numbers(engine: Any, seed: int) -> None:
    rng = random.Random(seed)
    registry = tm.Registry(engine=engine.name, limits=LIMITS)
    families = [Numbers(registry, f"{kind}{i}", kind) for i in range(2) for kind in ("counter", "gauge", "histogram")]
    for step in range(STEPS[engine.name]):
        one = rng.choice(families)
        what = rng.choices(
            ["few", "burst", "remove some", "remove all", "hold", "drop", "unregister"], [40, 3, 20, 3, 10, 8, 1]
        )[0]
        if what == "few":
            for _ in range(rng.randrange(50)):
                one.record(str(rng.randrange(2000)))
        elif what == "burst":
            for i in range(BURST):
                one.record(f"{step}-{i}")
        elif what in ("remove some", "remove all"):
            keys = list(one.expected)
            rng.shuffle(keys)
            for key in keys if what == "remove all" else keys[: rng.randrange(1 + len(keys))]:
                one.remove(key)
        elif what == "hold":
            key = rng.choice([*one.expected, str(step)])
            one.handles[key] = one.root.with_tags(k=key)
            one.expected.setdefault(key, 0.0)
            one.record(key, one.handles[key])
        elif what == "drop" and one.handles:
            del one.handles[rng.choice(list(one.handles))]
        elif what == "unregister":
            registry.unregister(one.name)
            one.expected.clear()
            one.record("back")
        if step % 20 == 0:
            snapshot = registry.snapshot()
            for each in families:
                each.check(snapshot)
    snapshot = registry.snapshot()
    for each in families:
        each.check(snapshot)
