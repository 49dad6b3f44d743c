"""Event loops of asyncio: how late they are, and how many tasks they have.

A loop is asked to call back in a tenth of a second, again and again. What it is late by is its lag: how long anything that
became ready then had to wait, because a callback or a step of a coroutine held the loop. `call_later` is all that this needs,
so that it works with any loop, and makes no task. It keeps no loop from closing, nor alive.
"""

from __future__ import annotations

import asyncio
import os
from time import monotonic
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from tallymark.metric import context
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallymark.engine import Gauge, Timer

__all__ = ["instrument", "uninstrument"]

LAG_BUCKETS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds. An idle loop is late by the time that the system takes to wake it, about a tenth of a millisecond."""

COUNT_EVERY = 1.0
"""Seconds between two counts of tasks by their loop, where processes share the registry."""


def instrument(
    loop: asyncio.AbstractEventLoop | None = None,
    *,
    name: str = "",
    every: float = 0.1,
    registry: Registry | None = None,
) -> None:
    """Record how late an event loop is, and count its tasks: the timer `asyncio.eventloop.lag`, the gauge `asyncio.tasks`.

    Call it once for each loop, in any thread, before the loop runs or while it does. Another call for the same loop replaces
    this one. It ends when the loop closes.

    Args:
        loop: by default the running loop.
        name: tells this loop from others, in the tag `loop` of both metrics. Loops without a name have no tag, and add up.
        every: seconds between two measurements.
        registry: where to record; by default the current registry.

    Raises:
        RuntimeError: no `loop` is given, and none runs in this thread; or the loop is closed.
        TypeError: `registry` is not a `Registry`, or `name` is not text.
        ValueError: `every` is not a positive number of seconds.
        MetricConflictError: one of the names belongs to another kind.
    """
    target = context.registry() if registry is None else registry
    check_type("registry", target, Registry)
    check_type("name", name, str)
    if not 0.0 < every < float("inf"):
        raise ValueError(f"every must be a positive number of seconds, not {every!r}")
    loop = _running() if loop is None else loop
    metrics = _metrics.get(target) or LoopMetrics(target)
    watch = Watch(loop, name, every, metrics)
    loop.call_soon_threadsafe(watch.begin)  # first, as it raises where the loop is closed
    uninstrument(loop)
    _metrics[target] = metrics
    metrics.add(watch)
    metrics.ask_for_tasks(target)


def uninstrument(loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Record no more of a loop; without one, of any. What was recorded stays. Does nothing where nothing is instrumented."""
    for metrics in list(_metrics.values()):
        for watch in metrics.watches():
            if loop is None or watch.loop is loop:
                metrics.end(watch)


def _running() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError("no event loop runs in this thread: call instrument() in a coroutine, or give the loop") from None


class LoopMetrics:
    """What is recorded of the loops of one registry.

    Tasks are counted when the registry is read. Where processes share it, that would count those of one process: so there, a
    loop counts once a second too.
    """

    def __init__(self, registry: Registry) -> None:
        bounds = None if registry._exponential else LAG_BUCKETS
        self.lag: Timer = registry.timer("asyncio.eventloop.lag", description="How late event loops were.", buckets=bounds)
        self._tasks = self.ask_for_tasks(registry)
        self._is_shared = registry._families.is_shared
        self._names: set[str] = set()
        self._watches: dict[int, ref[Watch]] = {}  # the timers of a loop hold the others end of these
        self._count_due = 0.0

    def ask_for_tasks(self, registry: Registry) -> Gauge:
        """Have a registry count the tasks when it is read; return their gauge."""
        return registry.gauge(
            "asyncio.tasks", unit="{task}", description="Tasks that are not done.", aggregate="sum", callback=self.count_tasks
        )

    def add(self, watch: Watch) -> None:
        """Count the tasks of a loop, too."""
        key = id(watch)
        if key not in self._watches:
            watches = self._watches
            watches[key] = ref(watch, lambda _: watches.pop(key, None))
            self._names.add(watch.name)

    def end(self, watch: Watch) -> None:
        """Record no more of a loop."""
        watch.ended = True
        self._watches.pop(id(watch), None)
        if self._is_shared:
            self._tell_tasks()

    def watches(self) -> list[Watch]:
        """Return those of all loops that are there still."""
        return [watch for one in list(self._watches.values()) if (watch := one()) is not None]

    def forget(self) -> None:
        """Forget all loops. In a forked child, none of them runs; one that goes on after all adds itself."""
        self._watches.clear()

    def count_tasks(self) -> list[tuple[dict[str, object], float]]:
        """Return how many tasks the loops of each name have. One that closed forgot its timers, and so its watch."""
        counts = dict.fromkeys(self._names, 0)
        for watch in self.watches():
            counts[watch.name] += len(asyncio.all_tasks(watch.loop))
        return [(_tags(name), count) for name, count in counts.items()]

    def count_in_turn(self, now: float) -> None:
        """Count the tasks, if that is for the loops to do, and due."""
        if self._is_shared and now >= self._count_due:
            self._count_due = now + COUNT_EVERY
            self._tell_tasks()

    def _tell_tasks(self) -> None:
        for tags, count in self.count_tasks():
            self._tasks.with_tags(tags).set(count)


class Watch:
    """Measures one loop. Only the loop's own timers hold it: where the loop goes, it goes.

    Attributes:
        loop: the loop.
        name: of its series.
        ended: True once it is to measure no more.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, every: float, metrics: LoopMetrics) -> None:
        self.loop = loop
        self.name = name
        self.ended = False
        self._every = every
        self._metrics = metrics
        self._lag = metrics.lag.with_tags(_tags(name))
        self._due = 0.0
        self._now: Callable[[], float] = monotonic  # not the loop's clock: that of uvloop stands still within a turn

    def begin(self) -> None:
        """Have the loop call back."""
        self._due = self._now() + self._every
        self.loop.call_later(self._every, self._tick)

    def _tick(self) -> None:
        if self.ended:
            return
        now = self._now()
        self._lag.record(max(0.0, now - self._due))  # a loop may be early, by the resolution of its clock
        self._metrics.add(self)
        self._metrics.count_in_turn(now)
        self.begin()


def _tags(name: str) -> dict[str, object]:
    return {"loop": name} if name else {}


_metrics: WeakKeyDictionary[Registry, LoopMetrics] = WeakKeyDictionary()


def _in_child() -> None:
    for metrics in list(_metrics.values()):
        metrics.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
