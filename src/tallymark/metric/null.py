"""`NullRegistry`: instruments that do nothing, at the lowest cost, for code that must run without metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from math import nan
from typing import Any, ParamSpec, Self, TypeVar, cast

from tallymark.engine import Counter, Gauge, Histogram, Number, OperationRecorder, TagSet, Timer
from tallymark.engine.histogram_snapshot import HistogramSnapshot
from tallymark.metric.registry import Registry
from tallymark.metric.snapshot import Snapshot

__all__ = ["NullRegistry"]

P = ParamSpec("P")
R = TypeVar("R")


class NullRegistry(Registry):
    """Hands out instruments that do nothing: they keep no value and check no argument. Its snapshot is always empty."""

    def counter(self, name: str, **options: Any) -> Counter:
        """Return a counter that counts nothing."""
        return cast(Counter, _NullInstrument("counter", name, options))

    def gauge(self, name: str, **options: Any) -> Gauge:
        """Return a gauge that stays at 0."""
        return cast(Gauge, _NullInstrument("gauge", name, options))

    def histogram(self, name: str, **options: Any) -> Histogram:
        """Return a histogram that observes nothing."""
        return cast(Histogram, _NullInstrument("histogram", name, options))

    def timer(self, name: str, **options: Any) -> Timer:
        """Return a timer that times nothing."""
        return cast(Timer, _NullInstrument("timer", name, options | {"unit": "seconds"}))

    def info(self, name: str, mapping: Mapping[str, object] | None = None, /, **tags: object) -> Gauge:
        """Return a gauge that stays at 0."""
        return self.gauge(name)

    def _operation_recorder(self, counter: Counter, keys: tuple[str, ...], **options: Any) -> OperationRecorder:
        """Return an operation recorder that counts nothing."""
        return cast(OperationRecorder, _do_nothing)

    def snapshot(self) -> Snapshot:
        """Return an empty snapshot."""
        return Snapshot((), 0.0)


def _do_nothing(*values: object, **context: object) -> None:
    pass


class _NullInstrument:
    __slots__ = ("description", "kind", "name", "unit")

    tags = TagSet()
    value = 0.0
    bounds = ()

    def __init__(self, kind: str, name: str, options: Mapping[str, Any]) -> None:
        self.kind = kind
        self.name = name
        self.description: str = options.get("description", "")
        self.unit: str = options.get("unit", "")

    def with_tags(self, mapping: Mapping[str, object] | None = None, /, **tags: object) -> Self:
        return self

    def remove(self) -> None:
        pass

    def inc(self, amount: Number = 1.0, /, **tags: object) -> None:
        pass

    def dec(self, amount: Number = 1.0, /, **tags: object) -> None:
        pass

    def add(self, amount: Number, /, **tags: object) -> None:
        pass

    def set(self, value: Number, /, **tags: object) -> None:
        pass

    def observe(self, value: Number, /, **tags: object) -> None:
        pass

    def record(self, duration: Number | timedelta, /, **tags: object) -> None:
        pass

    def record_since(self, start: Number, /, **tags: object) -> None:
        pass

    def time(self, /, **tags: object) -> _NullTiming:
        return _TIMING

    def snapshot(self) -> HistogramSnapshot:
        return HistogramSnapshot((), (0,), 0.0, nan, nan)


class _NullTiming:
    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        return function


_TIMING = _NullTiming()
