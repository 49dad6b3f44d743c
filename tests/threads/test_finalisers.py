"""Finalisers and callbacks of the garbage collector that record, at whatever moment they run."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

import tallymark as tm
from tallymark.engine.lock import FREE_THREADED


@pytest.fixture(autouse=True)
def eager() -> Iterator[None]:
    """Collect garbage as often as possible."""
    before = gc.get_threshold()
    gc.set_threshold(1)
    yield
    gc.set_threshold(*before)


def total(registry: tm.Registry, name: str = "n") -> float:
    return sum(one.histogram.sum if one.family.bounds else one.value for one in registry.snapshot()[name])


class Cycle:
    """Garbage that records when it is collected."""

    def __init__(self, record: Any, freed: list[int]) -> None:
        self.me, self.record, self.freed = self, record, freed

    def __del__(self) -> None:
        self.record()
        self.freed[0] += 1


def test_a_finaliser_records_to_the_series_that_is_being_created(registry: tm.Registry) -> None:
    root = registry.counter("n")
    freed = [0]
    for i in range(500):
        Cycle(lambda i=i: root.inc(i=i), freed)
        root.inc(i=i)
    gc.collect()
    assert freed[0] == 500
    assert total(registry) == 1000


def test_a_gc_callback_records_and_creates_during_records_and_creations(registry: tm.Registry) -> None:
    root = registry.histogram("n")
    calls = [0]
    newest = 0

    def callback(phase: str, info: dict[str, int]) -> None:
        calls[0] += 1
        root.observe(1, i=newest)

    gc.callbacks.append(callback)
    try:
        for i in range(300):
            newest = i
            root.observe(1, i=f"é{i}")  # what is not ASCII is checked in Python, which has things to collect
            root.observe(1)
    finally:
        gc.callbacks.remove(callback)
    assert calls[0] > 0 or FREE_THREADED  # which collects once its heap has grown by a quarter
    assert total(registry) == 600 + calls[0]


def test_a_tag_value_that_records_when_it_is_freed(registry: tm.Registry) -> None:
    root = registry.counter("n")

    class Value:
        def __str__(self) -> str:
            return "x"

        def __del__(self) -> None:
            root.inc(text="x")

    for _ in range(100):
        root.inc(text=Value())
    gc.collect()
    assert total(registry) == 200


def test_a_finaliser_may_remove_unregister_and_read(registry: tm.Registry) -> None:
    root = registry.counter("n")
    freed = [0]

    def finish() -> None:
        root.with_tags(a="1").remove()
        registry.unregister("n")
        registry.snapshot()

    for i in range(100):
        Cycle(finish, freed)
        root.inc(a="1")
        root.inc(i=i)
    gc.collect()
    root.inc(last="x")
    assert registry.snapshot().find("n", last="x") is not None
