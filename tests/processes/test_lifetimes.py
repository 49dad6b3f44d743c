"""Workers come and go, each with tags of its own: what they leave in shared memory is used again. `make soak` has many."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm

pytestmark = pytest.mark.slow

LIFETIMES = int(os.environ.get("TALLYMARK_LIFETIMES", "300"))
METRICS = 10


def live(path: Path, worker: int, how: str) -> tm.Registry:
    registry = tm.Registry(engine="native", shared=path, tags={"worker": f"{worker:06}"}, shared_limit=2**22)
    for i in range(METRICS):
        registry.counter(f"n{i}", ttl=1e-9).inc(i)
        registry.counter(f"n{i}").inc(kind="a")
        registry.gauge(f"g{i}", aggregate="sum").set(i, kind="a")
    registry.snapshot()
    registry.snapshot()  # nothing has changed since the last
    if how == "unregisters":
        for i in range(METRICS):
            registry.unregister(f"n{i}")
            registry.unregister(f"g{i}")
    return registry


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("how", ["unregisters", "ends"])
def test_the_lifetimes_of_workers_take_no_space(path: Path, how: str) -> None:
    used = []
    for worker in range(LIFETIMES):
        shared: Any = live(path, worker, how)._families.memory.shared  # type: ignore[union-attr]
        used.append(shared.usage()["used"])
        assert shared.usage()["failed"] == 0
        del shared
    assert used[LIFETIMES // 10] == used[-1]
