"""The current registry, for a whole process: what tests need where `tallymark.use` is not enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import Any

from tallymark.metric import context
from tallymark.metric.registry import Registry

__all__ = ["DEFAULT", "use_everywhere"]

DEFAULT = Context().run(context.registry)
"""The default registry, to which instruments record that were made on import."""

_variables = [context._current]
"""Those that hold the current registry: the package's own, and one for each block that has not ended."""


@contextmanager
def use_everywhere(registry: Registry) -> Iterator[Registry]:
    """Make `registry` the current one within a `with` block: in all threads, tasks and contexts, new ones and old ones.

    `tallymark.use` reaches the context that it is called in, and what is started from there. A test often runs in another
    context than its fixtures: an event loop that lives longer than the test keeps the one that it was made in. So this
    replaces the default. `tallymark.use` still works inside. One test at a time: not for tests in parallel threads.

    Raises:
        TypeError: `registry` is not a `Registry`.
    """
    if not isinstance(registry, Registry):
        raise TypeError(f"use_everywhere() takes a Registry, not {type(registry).__name__}")
    # Another variable, not another value: so no context holds an older value that would win over this one.
    own: ContextVar[Any] = ContextVar("tallymark_registry", default=(registry, None, None))
    _variables.append(own)
    context._current = own
    try:
        yield registry
    finally:
        _variables.remove(own)  # not always the last: fixtures of different scopes may end in any order
        context._current = _variables[-1]
