"""The garbage collector's pauses and what it found, through `gc.callbacks`.

OpenTelemetry's conventions for CPython name three of the four metrics. They have none for the pause itself; its name follows
`jvm.gc.duration` and `v8js.gc.duration`, which other runtimes have there.
"""

from __future__ import annotations

import contextlib
import gc
import os
from functools import cache
from time import perf_counter

from tallymark.metric import context
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tallymark.engine import Counter, Timer

__all__ = ["instrument", "uninstrument"]

PAUSE_BUCKETS = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Seconds. A young generation takes microseconds; a full collection of a large service takes a good part of a second."""

GENERATION = "cpython.gc.generation"
NO_EXEMPLAR: dict[str, object] = {}


def instrument(*, registry: Registry | None = None) -> None:
    """Record each run of the garbage collector: how long the process stood still, and what was found.

    | metric | kind | tags |
    | --- | --- | --- |
    | `cpython.gc.duration` | timer | `cpython.gc.generation` |
    | `cpython.gc.collections` | counter | `cpython.gc.generation` |
    | `cpython.gc.collected_objects` | counter | `cpython.gc.generation` |
    | `cpython.gc.uncollectable_objects` | counter | `cpython.gc.generation` |

    Another call replaces this one. What happened before is not in the counters.

    Args:
        registry: where to record; by default the current registry.

    Raises:
        TypeError: `registry` is not a `Registry`.
        MetricConflictError: one of the names belongs to another kind or unit.
    """
    target = context.registry() if registry is None else registry
    check_type("registry", target, Registry)
    begun = Collections(target)
    uninstrument()
    if target._families.is_shared:
        _follow_forks()
    _active.append(begun)
    gc.callbacks.append(begun)


def uninstrument() -> None:
    """Record no further runs. What was recorded stays. Does nothing where nothing is instrumented."""
    while _active:
        with contextlib.suppress(ValueError):  # somebody else took it away
            gc.callbacks.remove(_active.pop())


class Generation:
    """The series of one generation. All are live before the first run, so that a run only moves cells."""

    __slots__ = ("collected", "collections", "duration", "uncollectable")

    def __init__(self, duration: Timer, collections: Counter, collected: Counter, uncollectable: Counter, number: int) -> None:
        tags = {GENERATION: number}
        self.duration = duration.with_tags(tags)
        self.collections = collections.with_tags(tags)
        self.collected = collected.with_tags(tags)
        self.uncollectable = uncollectable.with_tags(tags)

    def record(self, pause: float, collected: int, uncollectable: int) -> None:
        """Record a run."""
        self.duration.record(pause)
        self.collections.inc()
        self.collected.inc(collected)
        self.uncollectable.inc(uncollectable)

    def wake(self) -> None:
        """Have the series be live again, as after a fork of a process that shares its registry."""
        instruments: tuple[Any, ...] = (self.duration, self.collections, self.collected, self.uncollectable)
        for one in instruments:
            one.with_tags(one.tags)


class GenerationWithoutExemplars(Generation):
    """One of a registry that asks for exemplars. It must not be asked amid an allocation: it may hold a lock that it wants."""

    __slots__ = ()

    def record(self, pause: float, collected: int, uncollectable: int) -> None:
        """Record a run, with an exemplar that says nothing, and is not kept."""
        self.duration.record(pause, exemplar=NO_EXEMPLAR)
        self.collections.inc(exemplar=NO_EXEMPLAR)
        self.collected.inc(collected, exemplar=NO_EXEMPLAR)
        self.uncollectable.inc(uncollectable, exemplar=NO_EXEMPLAR)


class Collections:
    """The callback. It runs amid any allocation, in any thread: so it makes no series, takes no lock and logs nothing."""

    def __init__(self, registry: Registry) -> None:
        bounds = None if registry._exponential else PAUSE_BUCKETS
        pause, runs = "How long the garbage collector stopped the process.", "Runs of the garbage collector."
        freed, kept = "Objects that the garbage collector freed.", "Garbage that the garbage collector could not free."
        kinds = (
            registry.timer("cpython.gc.duration", description=pause, buckets=bounds),
            registry.counter("cpython.gc.collections", unit="{collection}", description=runs),
            registry.counter("cpython.gc.collected_objects", unit="{object}", description=freed),
            registry.counter("cpython.gc.uncollectable_objects", unit="{object}", description=kept),
        )
        made = Generation if registry._exemplars is None else GenerationWithoutExemplars
        self._generations = tuple([made(*kinds, number) for number in range(len(gc.get_count()))])
        self._began = 0.0  # there is one run at a time
        self._now: Callable[[], float] = perf_counter

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        """Take the time at the start of a run; record the run at its end."""
        if phase == "start":
            self._began = self._now()
        elif self._began:  # else it began before there was this callback
            pause = self._now() - self._began
            self._generations[info["generation"]].record(pause, info["collected"], info["uncollectable"])

    def wake(self) -> None:
        """Have all series be live."""
        for generation in self._generations:
            generation.wake()


_active: list[Collections] = []


def _in_child() -> None:
    for one in _active:
        one.wake()


@cache
def _follow_forks() -> None:
    """Have the series be live in children of this process. Called once memory is shared, whose own hook must run before."""
    os.register_at_fork(after_in_child=_in_child)
