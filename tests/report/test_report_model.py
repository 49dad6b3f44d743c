"""Whatever fails, and whatever series come and go: what backends were told in the end is what was recorded."""

from __future__ import annotations

import random
from collections import defaultdict
from itertools import count
from typing import Any

import pytest
from recording_backend import RecordingBackend

import tallymark as tm
from tallymark.client.deadline import Deadline
from tallymark.frozen import replace
from tallymark.report.base import Base
from tallymark.report.delivery import Delivery
from tallymark.report.errors import SendError

pytestmark = pytest.mark.slow

TTL = 30.0
NAMES = ["a", "b", "c"]


class World:
    """A registry, three backends that fail at random, and what was recorded."""

    def __init__(self, seed: int, engine: str, fails: str, most_waiting: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.registry = tm.Registry(engine=engine)  # type: ignore[arg-type]
        births = count(1)
        self.registry._families.hooks = replace(
            self.registry._families.hooks, uptime=lambda: self.now, now=lambda: float(next(births))
        )
        self.counter = self.registry.counter("jobs", ttl=TTL)
        self.sizes = self.registry.histogram("sizes", buckets=[1, 2, 3], ttl=TTL)
        self.spans = self.registry.histogram("spans", exponential=True)
        self.recorded: dict[tuple[str, str], float] = defaultdict(float)
        self.fails = fails
        self.backends = [RecordingBackend("delta"), RecordingBackend("delta"), RecordingBackend("cumulative")]
        self.backends[1].at_least_once = False  # type: ignore[misc]
        for backend in self.backends:
            backend.most_bytes = 150
        self.deliveries = [self.delivery(backend, most_waiting) for backend in self.backends]
        self.is_up = False

    def delivery(self, backend: RecordingBackend, most_waiting: int) -> Delivery:
        backend.before, backend.after = self.fail_before, self.fail_after
        return Delivery(
            backend, self.registry, most_waiting, Base(), clock=lambda: self.now, random=self.random.random, wall=lambda: 0.0
        )

    def fail_before(self, body: bytes) -> int:
        if not self.is_up and "before" in self.fails and self.random.random() < 0.5:
            raise self.random.choice([SendError("not now"), OSError("broken pipe"), SendError("wait", after=3.0)])
        return len(body)

    def fail_after(self, body: bytes) -> None:
        if not self.is_up and "after" in self.fails and self.random.random() < 0.3:
            raise SendError("no answer")

    def step(self) -> None:
        name = self.random.choice(NAMES)
        what = self.random.choice(["inc"] * 6 + ["report"] * 3 + ["remove", "unregister", "scrape", "expire", "wait"])
        if what == "inc":
            amount = self.random.randrange(1, 9)
            self.counter.inc(amount, tag=name)
            self.recorded["jobs", name] += amount
            for histogram in (self.sizes, self.spans):
                histogram.observe(self.random.randrange(5), tag=name)
                self.recorded[histogram.name, name] += 1
        elif what == "remove":
            self.random.choice([self.counter, self.sizes, self.spans]).with_tags(tag=name).remove()
        elif what == "unregister":
            self.registry.unregister(self.random.choice(["jobs", "sizes", "spans"]))
        elif what == "scrape":
            self.registry.snapshot()
        elif what == "expire":
            self.registry.expire()
        elif what == "wait":
            self.now += self.random.choice([1.0, TTL / 2, TTL, 3 * TTL])
        else:
            self.report()

    def report(self) -> None:
        self.now += 1.0
        snapshot = self.registry.snapshot()
        for delivery in self.deliveries:
            if self.random.random() < 0.8:
                delivery.take(snapshot)
            if self.random.random() < 0.8 and delivery.next_try <= self.now:
                delivery.send(lambda: Deadline(1.0, lambda: self.now))

    def finish(self) -> None:
        self.is_up = True
        for _ in range(3):  # the outbox may have been full
            snapshot = self.registry.snapshot()
            for delivery in self.deliveries:
                delivery.take(snapshot)
                assert delivery.send(lambda: Deadline(1.0, lambda: self.now))


@pytest.mark.parametrize("fails", ["", "before", "before and after"])
@pytest.mark.parametrize("seed", range(3))
def test_what_was_recorded_is_told(seed: int, fails: str, engine: Any) -> None:
    world = World(seed, engine.name, fails, most_waiting=[10**6, 2000, 1][seed % 3])
    for _ in range(150):
        world.step()
    world.finish()
    at_least, at_most, cumulative = world.backends
    for (name, tag), recorded in world.recorded.items():
        if "after" in fails:
            assert at_least.total(name, tag=tag) >= recorded
        else:
            assert at_least.total(name, tag=tag) == recorded
        assert at_most.total(name, tag=tag) <= recorded
        if not fails:
            assert at_most.total(name, tag=tag) == recorded
    for series in world.registry.snapshot():
        if series.tags and not series.name.startswith("tallymark_"):
            value = series.value if series.kind == "counter" else series.count
            assert cumulative.last(series.name, tag=series.tags["tag"]) == value
