"""`NullRegistry`: instruments that do nothing, at the lowest cost, for code that must run without metrics."""

from __future__ import annotations

from math import nan

from tallymark.engine import TagSet
from tallymark.engine.histogram_snapshot import HistogramSnapshot
from tallymark.metric.registry import Registry
from tallymark.metric.snapshot import Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ParamSpec, Self, TypeVar

    from tallymark.engine import Instrument, OperationRecorder
    from tallymark.metric.collector import Collector

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["NullRegistry"]


class NullRegistry(Registry):
    """A registry whose instruments do nothing: they keep no value and check no argument. Its snapshot is always empty."""

    def _instrument(self, wanted: Any, tags: object = None, callback: object = None) -> Instrument:
        null: Any = _NullInstrument(wanted.kind, wanted.name, wanted.description, wanted.unit)
        instrument: Instrument = null
        return instrument

    def info(self, name: str, mapping: Any = None, /, **tags: object) -> Any:
        """Return a gauge that stays at 0."""
        return self.gauge(name)

    def state(self, name: str, states: Any, *, description: str = "", tags: Any = None) -> Any:
        """Return a state that is never entered."""
        from tallymark.metric.state import State

        return State(self.gauge(name, description=description), states, tags)

    def _operation_recorder(self, counter: Any, keys: Any, **options: Any) -> OperationRecorder:
        """Return an operation recorder that counts nothing."""
        nothing: Any = _do_nothing
        recorder: OperationRecorder = nothing
        return recorder

    def register(self, collector: Collector) -> None:
        """Do nothing: nobody asks for its families."""

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

    def __init__(self, kind: str, name: str, description: str, unit: str) -> None:
        self.kind = kind
        self.name = name
        self.description = description
        self.unit = unit

    def with_tags(self, /, *given: object, **tags: object) -> Self:
        return self

    def series(self) -> list[Self]:
        return []

    def remove(self) -> None:
        pass

    def inc(self, amount: object = 1.0, /, **tags: object) -> None:
        pass

    def dec(self, amount: object = 1.0, /, **tags: object) -> None:
        pass

    def add(self, amount: object, /, **tags: object) -> None:
        pass

    def set(self, value: object, /, **tags: object) -> None:
        pass

    def observe(self, value: object, /, **tags: object) -> None:
        pass

    def record(self, duration: object, /, **tags: object) -> None:
        pass

    def record_since(self, start: object, /, **tags: object) -> None:
        pass

    def time(self, /, **tags: object) -> _NullBlock:
        return _BLOCK

    def track_in_progress(self, /, **tags: object) -> _NullBlock:
        return _BLOCK

    def count_exceptions(self, /, *exceptions: object, **tags: object) -> _NullBlock:
        return _BLOCK

    def snapshot(self) -> HistogramSnapshot:
        return HistogramSnapshot((), (0,), 0.0, nan, nan)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name} of a NullRegistry>"


class _NullBlock:
    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        return function


_BLOCK = _NullBlock()
