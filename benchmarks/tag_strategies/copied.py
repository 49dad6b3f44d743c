"""`copy`, the algorithm of the Go original: every `with_tags` merges the tags into a new dict, which a new instrument holds."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping, Sequence

#: A series is found by the set of its tags: their order does not matter.
Key = frozenset[tuple[str, str]]


class Totals:
    """Sums by key, exact over threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: dict[Hashable, float] = {}

    def add(self, key: Hashable, amount: float) -> None:
        with self._lock:
            self._totals[key] = self._totals.get(key, 0.0) + amount

    def __getitem__(self, key: Hashable) -> float:
        return self._totals.get(key, 0.0)


class CopyInstrument:
    """What the four kinds of the Go original share. `with_tags` returns an instrument of the same kind."""

    __slots__ = ("_tags", "_totals")

    def __init__(self, tags: dict[str, str] | None = None, totals: Totals | None = None) -> None:
        self._tags = {} if tags is None else tags
        self._totals = Totals() if totals is None else totals

    def with_tags(self, **tags: str) -> CopyInstrument:
        merged = dict(self._tags)
        merged.update(tags)
        return type(self)(merged, self._totals)

    @property
    def tags(self) -> Mapping[str, str]:
        """A copy, so that nobody changes the instrument's own."""
        return dict(self._tags)


class CopyCounter(CopyInstrument):
    """A counter."""

    __slots__ = ()

    def inc(self, amount: float = 1.0, /, **tags: str) -> None:
        if tags:
            self.with_tags(**tags).inc(amount)
        else:
            self._totals.add(self._key(), amount)

    @property
    def value(self) -> float:
        return self._totals[self._key()]

    def _key(self) -> Key:
        return frozenset(self._tags.items())


class CopyGauge(CopyCounter):
    """A gauge: for `with_tags`, the same as a counter."""

    __slots__ = ()


class CopyHistogram(CopyInstrument):
    """A histogram: each one made has its own buckets, as in the Go original."""

    __slots__ = ("_counts",)

    def __init__(self, tags: dict[str, str] | None = None, totals: Totals | None = None) -> None:
        super().__init__(tags, totals)
        self._counts = [0] * 13


class CopyTimer(CopyInstrument):
    """A timer: it owns a histogram."""

    __slots__ = ("_histogram",)

    def __init__(self, tags: dict[str, str] | None = None, totals: Totals | None = None) -> None:
        super().__init__(tags, totals)
        self._histogram = CopyHistogram(self._tags, self._totals)


class CopyOperations:
    """The operational layer of the Go original: tags in a new dict, and metrics cached under a key of joined text."""

    def __init__(self) -> None:
        self._cache: dict[str, tuple[CopyCounter, Totals]] = {}

    def record_operation(self, operation: str, status: str, seconds: float) -> None:
        tags = {"operation": operation, "status": status}
        counter, sums = self._cached("operation", operation, status, tags=tags)
        counter.inc()
        sums.add("seconds", seconds)

    def record_error(self, operation: str, error_type: str, category: str) -> None:
        tags = {"operation": operation, "error_type": error_type, "error_category": category}
        self._cached("error", operation, error_type, category, tags=tags)[0].inc()

    def _cached(self, *parts: str, tags: dict[str, str]) -> tuple[CopyCounter, Totals]:
        key = ":".join(parts)
        if key not in self._cache:
            self._cache[key] = (CopyCounter(tags), Totals())
        return self._cache[key]


#: The Go original's kinds: the "before" of the benchmarks of `.With()` in its tag-map optimisation plan.
COPY_KINDS: Sequence[type[CopyInstrument]] = (CopyCounter, CopyGauge, CopyHistogram, CopyTimer)
