"""Children of children, with many series: each records to the right one, and what it holds is its own."""

from __future__ import annotations

import os
from typing import Any

import pytest

import tallymark as tm

pytestmark = pytest.mark.slow

SERIES, GENERATIONS = 300, 4


def shared_of(registry: tm.Registry) -> Any:
    return registry._families.memory.shared  # type: ignore[union-attr]


def values(registry: tm.Registry, name: str) -> dict[str, float]:
    return {one.tags["kind"]: one.value for one in registry.snapshot()[name] if one.tags}


def test_each_generation_records_to_the_same_series(shared: tm.Registry, children: Any) -> None:
    counter, times = shared.counter("n"), shared.histogram("t", buckets=(1, 2))
    gauge = shared.gauge("g", aggregate="sum")
    bound = [counter.with_tags(kind=str(i)) for i in range(SERIES)]

    def live(generation: int) -> None:
        for i, one in enumerate(bound):
            (one.inc(10**generation) if i % 2 else counter.inc(10**generation, kind=str(i)))
        counter.inc(kind=f"of-{generation}")
        times.observe(generation, kind="t")
        assert gauge.with_tags(kind="g").value == 0
        gauge.set(10**generation, kind="g")
        if generation + 1 < GENERATIONS:
            assert children.run(lambda: live(generation + 1)) == 0
            bound[0].inc(0)
            assert gauge.with_tags(kind="g").value == 10**generation
        assert values(shared, "g") == {"g": sum(10**i for i in range(generation + 1))}

    live(0)
    everyone = sum(10**i for i in range(GENERATIONS))
    expected = {str(i): everyone for i in range(SERIES)} | {f"of-{i}": 1 for i in range(GENERATIONS)}
    assert values(shared, "n") == expected
    assert times.with_tags(kind="t").snapshot().count == GENERATIONS
    assert times.with_tags(kind="t").snapshot().sum == sum(range(GENERATIONS))


@pytest.mark.parametrize("depth", [1, 2])
def test_what_a_child_holds_is_free_once_it_is_dead_and_not_before(shared: tm.Registry, children: Any, depth: int) -> None:
    counter = shared.counter("n")
    for i in range(SERIES):
        counter.inc(kind=str(i))
    told, go = os.pipe(), os.pipe()

    def hold(left: int) -> None:
        if left > 0:
            os._exit(children.run(lambda: hold(left - 1)))
        for i in range(SERIES):
            counter.inc(kind=str(i))
        os.write(told[1], b"x")
        os.read(go[0], 1)
        for i in range(SERIES):  # its handles are of series that ended
            counter.inc(100, kind=str(i))
        os.write(told[1], b"x")
        os.read(go[0], 1)

    pid = children.start(lambda: hold(depth - 1))
    os.read(told[0], 1)
    for i in range(SERIES):
        counter.with_tags(kind=str(i)).remove()
    used = shared_of(shared).usage()["used"]
    for i in range(SERIES):
        counter.inc(kind=f"new-{i}")
    assert shared_of(shared).usage()["used"] > used  # the child's are not taken from it
    os.write(go[1], b"x")
    os.read(told[0], 1)
    new = {f"new-{i}": 1.0 for i in range(SERIES)}
    assert values(shared, "n") == new | {str(i): 100 for i in range(SERIES)}
    os.write(go[1], b"x")
    assert children.wait(pid) == 0
    for i in range(SERIES):
        counter.with_tags(kind=str(i)).remove()
    used = shared_of(shared).usage()["used"]
    assert set(values(shared, "n")) == set(new)  # who reads buries the dead
    for i in range(SERIES):
        counter.inc(kind=f"NEW-{i}")
    assert shared_of(shared).usage()["used"] == used
