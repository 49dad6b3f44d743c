"""`tracemalloc` sees what series take, and sees it come back."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

import tallymark as tm
from tallymark.frozen import replace

pytestmark = pytest.mark.slow

MANY = tm.TagLimits(max_series=200_000)


@pytest.fixture(autouse=True)
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def taken() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def expiring() -> tuple[tm.Registry, Callable[[], None]]:
    """Return a registry, and what has all its series of the metrics that expire do so."""
    clock = [1000.0]
    registry = tm.Registry(engine="native", limits=MANY)
    registry._families.hooks = replace(registry._families.hooks, uptime=lambda: clock[0])

    def expire() -> None:
        registry.expire()  # sees the last records
        clock[0] += 101
        registry.expire()

    return registry, expire


def make(counter: tm.Counter, n: int) -> None:
    for i in range(n):
        counter.inc(user=str(i))


def remove(counter: tm.Counter, n: int) -> None:
    for i in range(n):
        counter.with_tags(user=str(i)).remove()


@pytest.mark.parametrize("how", ["removed", "expired", "dropped"])
def test_series_are_seen_while_they_are_there(how: str) -> None:
    n, cells = 5000, 8 * 104  # a count for each of 101 buckets, sum, least and greatest: more than all objects of a series
    registry, expire = expiring()
    histogram = registry.histogram("n", buckets=range(100), ttl=100)
    before = taken()
    for i in range(n):
        histogram.observe(i, user=str(i))
    assert taken() - before > cells * n
    if how == "removed":
        for i in range(n):
            histogram.with_tags(user=str(i)).remove()
    elif how == "expired":
        expire()
    else:
        del registry, histogram, expire
    assert taken() - before < cells * n / 10


@pytest.mark.parametrize("how", ["removed", "expired"])
def test_after_a_burst_the_memory_is_given_back(how: str) -> None:
    n = 100_000
    registry, expire = expiring()
    counter = registry.counter("n", ttl=100)
    make(counter, 10)
    remove(counter, 10)
    before = taken()
    make(counter, n)
    peak = taken() - before
    assert peak > 60 * n
    if how == "removed":
        remove(counter, n)
    else:
        expire()
    registry.snapshot()  # who reads gives back what lists of series took
    assert taken() - before < peak / 50
    make(counter, 10)
    assert len(registry.snapshot()["n"]) == 10
