"""The current registry, and instruments of it in one call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tallymark.engine import Counter, Gauge, Histogram, Timer
from tallymark.metric.registry import Registry

__all__ = ["counter", "gauge", "histogram", "registry", "timer", "use"]

_default = Registry()
_current: ContextVar[Registry] = ContextVar("tallymark_registry", default=_default)


def registry() -> Registry:
    """Return the current registry: the one set by `use`, or else the default one."""
    return _current.get()


@contextmanager
def use(registry: Registry) -> Iterator[Registry]:
    """Make `registry` the current one within a `with` block, and in the async tasks that are started there.

    Raises:
        TypeError: `registry` is not a `Registry`.
    """
    if not isinstance(registry, Registry):
        raise TypeError(f"use() takes a Registry, not {type(registry).__name__}")
    current = _current  # the one that the token belongs to
    token = current.set(registry)
    try:
        yield registry
    finally:
        current.reset(token)


def counter(name: str, **options: Any) -> Counter:
    """Get or create a counter in the current registry; see `Registry.counter`."""
    return registry().counter(name, **options)


def gauge(name: str, **options: Any) -> Gauge:
    """Get or create a gauge in the current registry; see `Registry.gauge`."""
    return registry().gauge(name, **options)


def histogram(name: str, **options: Any) -> Histogram:
    """Get or create a histogram in the current registry; see `Registry.histogram`."""
    return registry().histogram(name, **options)


def timer(name: str, **options: Any) -> Timer:
    """Get or create a timer in the current registry; see `Registry.timer`."""
    return registry().timer(name, **options)
