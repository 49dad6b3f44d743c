"""What is made and dropped leaves nothing behind: neither Python objects nor memory that an engine allocates.

Each run is a process of its own: it makes and drops registries, families, series and instruments in random order, drops all,
and counts; then does the same again. `TALLYMARK_SOAK=20` makes the runs twenty times as long.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import logging
import os
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.engine import load_engine
from tallymark.engine.lock import FREE_THREADED

SCALE = float(os.environ.get("TALLYMARK_SOAK", "1"))
STEPS = {"native": 100_000, "reference": 8_000}

BLOCKS = 300
"""How many blocks of memory may be left over: caches of Python's own still fill."""
RSS = 3 * 2**20

REMEMBERED = 4096
"""MAX_PLANS in native/shape.h."""

KINDS = ("counter", "gauge", "histogram", "timer")
METHODS = {"counter": "inc", "gauge": "set", "histogram": "observe", "timer": "record"}


class Churn:
    """Makes and drops, at random."""

    def __init__(self, engine: Any, seed: int) -> None:
        self.engine = engine
        self.random = random.Random(seed)
        self.registries: list[tm.Registry] = [self.registry()]
        self.handles: list[Any] = []
        self.others: list[Any] = []

    def registry(self) -> tm.Registry:
        limits = tm.TagLimits(max_series=self.random.choice((20, 1000)), max_value_length=12)
        source = None
        if self.random.random() < 0.5:
            source = lambda: self.random.choice((None, {"id": self.random.random()}, {"id": "x" * 200}))  # noqa: E731
        strict = self.random.random() < 0.1
        return tm.Registry(engine=self.engine.name, limits=limits, tags={"host": "h"}, strict=strict, exemplars=source)

    def root(self) -> Any:
        registry = self.random.choice(self.registries)
        kind = self.random.choice(KINDS)
        number = self.random.randrange(4)
        options = {"exponential": number > 1} if kind in ("histogram", "timer") else {}
        return getattr(registry, kind)(f"{kind}_{number}", ttl=self.random.choice((None, 1e-9)), **options)

    def handle(self) -> Any:
        return self.random.choice(self.handles) if self.handles else self.root()

    def keep(self, kept: list[Any], one: Any, most: int = 100) -> None:
        """Hold something, and let go of something else where there is much already."""
        if len(kept) >= most:
            kept[self.random.randrange(most)] = one
        else:
            kept.append(one)

    def step(self) -> None:
        with contextlib.suppress(ValueError):  # strict registries
            self.random.choice(_STEPS)(self)

    def drop_all(self) -> None:
        self.handles.clear()
        self.others.clear()
        self.registries[:] = [self.registry()]

    # Steps

    def new_registry(self) -> None:
        if self.random.random() < 0.05:
            self.keep(self.registries, self.registry(), 3)

    def record(self) -> None:
        for one in (self.root(), self.handle()):
            getattr(one, METHODS[one.kind])(1.5, a=self.random.randrange(2000), b="x")
            if one.kind == "histogram":
                one.observe(-1.5, a=self.random.randrange(2000), b="x")

    def record_exemplars(self) -> None:
        one = self.handle()
        if one.kind != "gauge":
            given = self.random.choice(({"id": self.random.random()}, {"a b": "x"}, {}))
            getattr(one, METHODS[one.kind])(self.random.random() * 10, exemplar=given, a=self.random.randrange(50))

    def record_oddly(self) -> None:
        value = self.random.choice((b"bytes", None, "é" * 20, "\udc80", 1.5, self))
        one = self.handle()
        getattr(one, METHODS[one.kind])(self.random.choice((-1, 10**400, float("nan"), 2**62)), a=value)

    def record_badly(self) -> None:
        one = self.handle()
        for args, tags in (((object(),), {}), ((1,), {"": 1}), ((1, 2), {}), ((1,), dict.fromkeys(_MANY, 1))):
            with contextlib.suppress(TypeError, tm.TagError):
                getattr(one, METHODS[one.kind])(*args, **tags)

    def bind(self) -> None:
        mapping = {"a": str(self.random.randrange(2000)), "c": self.random.randrange(5)}
        self.keep(self.handles, self.root().with_tags(mapping))
        self.keep(self.handles, self.handle().with_tags(self.engine.TagSet(mapping), d="y"))

    def revive(self) -> None:
        one = self.handle()
        one.remove()
        getattr(one, METHODS[one.kind])(2)

    def unbind(self) -> None:
        if self.handles:
            del self.handles[self.random.randrange(len(self.handles))]

    def remove(self) -> None:
        self.handle().remove()

    def unregister(self) -> None:
        registry = self.random.choice(self.registries)
        registry.unregister(f"{self.random.choice(KINDS)}_{self.random.randrange(4)}")

    def read(self) -> None:
        if self.random.random() < 0.05:
            registry = self.random.choice(self.registries)
            snapshot = registry.snapshot()
            tm.render_prometheus(snapshot)
            tm.render_openmetrics(snapshot, created=True, escaping="allow-utf-8")
            self.keep(self.others, [family.data for family in snapshot.families], 80)
            registry.expire()

    def observe(self) -> None:
        registry = self.random.choice(self.registries)
        value = self.random.randrange(10)
        registry.gauge(f"observed_{self.random.randrange(3)}", callback=lambda: [({"a": value}, registry and 1)])
        if self.random.random() < 0.02:
            registry.close()

    def time(self) -> None:
        timer = self.random.choice(self.registries).timer("timer_0")
        with timer.time(a=self.random.randrange(50)) as timing, timing, timing:
            self.keep(self.others, timing, 80)
        timer.record(timedelta(seconds=1))
        timer.record_since(0.0)

    def decorate(self) -> None:
        @self.random.choice(self.registries).timer("timer_0").time(a="f")
        def timed(fails: bool) -> None:
            if fails:
                raise ZeroDivisionError

        timed.itself = timed  # type: ignore[attr-defined]
        timed(False)
        with contextlib.suppress(ZeroDivisionError):
            timed(True)
        self.keep(self.others, timed, 80)

    def tag(self) -> None:
        tags = self.engine.TagSet(a=self.random.randrange(5000), b="é")
        assert tags != {"a": "x"}
        assert tags.get("z") is None
        tags._keep_label_text(repr(tags))
        self.engine.tag_fields([tags], {("a", "b"): ((b"x", None, (1,)),)}, b"\x0a\x12")
        self.keep(self.others, tags, 80)
        with contextlib.suppress(TypeError):
            self.engine.TagSet({1: 2})


_MANY = [f"k{i}" for i in range(40)]
_STEPS: tuple[Callable[[Churn], None], ...] = (
    Churn.new_registry, Churn.record, Churn.record, Churn.record, Churn.record_exemplars,
    Churn.record_oddly, Churn.record_badly, Churn.bind,
    Churn.bind, Churn.revive, Churn.unbind, Churn.remove, Churn.unregister, Churn.read, Churn.observe, Churn.time,
    Churn.decorate, Churn.tag,
)  # fmt: skip


def churn(engine: Any, steps: int, seed: int) -> None:
    one = Churn(engine, seed)
    for i in range(steps):
        one.step()
        if i % 5_000 == 0:
            one.drop_all()


def leak(engine: Any, steps: int, seed: int) -> None:
    """Do the same, and lose a reference now and then: the control."""
    root = tm.Registry(engine=engine.name).counter("n", limits=tm.TagLimits(max_series=10**6))
    for i in range(steps):
        if i % 10 == 0:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(root.with_tags(i=i, seed=seed)))
    churn(engine, steps // 10, seed)


def many_series(engine: Any, steps: int, seed: int) -> None:
    """Fill families with many series, held or not, and drop family and handles in either order."""
    for turn in range(4):
        registry = tm.Registry(engine=engine.name, limits=tm.TagLimits(max_series=10**6))
        for kind in KINDS:
            root = getattr(registry, kind)("n")
            record = getattr(root, METHODS[kind])
            for i in range(steps // 4):
                record(1, a=i, seed=seed)
            handles = [root.with_tags(b=i) for i in range(steps // 20)]
            if turn % 2:
                registry.unregister("n")
                del handles
            else:
                handles.clear()
                registry.unregister("n")
            del root, record
        if turn == 3:
            registry.snapshot()


def many_call_sites(engine: Any, steps: int, seed: int) -> None:
    """Give other keys each time: more than are kept, many times over."""
    root = tm.Registry(engine=engine.name).counter("n", limits=tm.TagLimits(max_series=50))
    for i in range(max(1, steps // 4 // REMEMBERED) * REMEMBERED):
        root.inc(**{f"k{i % 100}": "v", f"l{i // 100 % 100}": "v"})


RUNS = {run.__name__: run for run in (churn, many_series, many_call_sites, leak)}


def measured(run: Callable[[Any, int, int], None], engine: Any, steps: int) -> dict[str, int]:
    """Return how much more there is after each further run: the least of two, as a leak shows in both and a cache in one."""

    def now() -> tuple[int, int]:
        for _ in range(3):
            gc.collect()
        with open("/proc/self/statm") as statm:
            return sys.getallocatedblocks(), int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    logging.disable()
    readings = []
    for seed in (1, 2, 3):
        run(engine, steps, seed)
        readings.append(now())
    (blocks, resident), (later_blocks, later_resident), (last_blocks, last_resident) = readings
    return {
        "blocks": min(later_blocks - blocks, last_blocks - later_blocks),
        "rss": min(later_resident - resident, last_resident - later_resident),
    }


def growth(engine: Any, name: str) -> dict[str, int]:
    """Return what a run in a process of its own leaves behind."""
    steps = str(int(STEPS[engine.name] * SCALE))
    environment = os.environ | {
        "PYTHONMALLOC": "default" if FREE_THREADED else "pymalloc",  # what counts its blocks
        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1",
    }
    done = subprocess.run(
        [sys.executable, __file__, engine.name, name, steps],
        env=environment, capture_output=True, text=True, timeout=100 * max(1.0, SCALE), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    left: dict[str, int] = json.loads(done.stdout)
    return left


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux reports how much memory is resident"),
    pytest.mark.timeout(120 * max(1.0, SCALE)),
]


@pytest.mark.parametrize("name", [name for name in RUNS if name != "leak"])
def test_nothing_is_left_of_what_is_dropped(engine: Any, name: str) -> None:
    left = growth(engine, name)
    assert left["blocks"] < BLOCKS
    assert left["rss"] < RSS


def test_a_leak_would_be_seen(engine: Any) -> None:
    left = growth(engine, "leak")
    assert left["blocks"] > 2 * BLOCKS


if __name__ == "__main__":
    print(json.dumps(measured(RUNS[sys.argv[2]], load_engine(sys.argv[1]), int(sys.argv[3]))))
