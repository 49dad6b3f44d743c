"""`pool`, the proposal of the Go library's tag-map optimisation plan: dicts for tags come from a pool, and go back to it.

In CPython that is a pool in front of a pool: the interpreter keeps up to 80 freed dicts on a list of its own, so in most
cases the allocation that a pool would save does not happen. What remains is the cost of the pool itself, in Python.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from copied import Key, Totals


class Pool:
    """Dicts to use again: at most `size`, all empty while they are in the pool.

    Safe with threads, as a deque's `pop` and `append` are atomic.
    """

    def __init__(self, size: int = 256) -> None:
        self._free: deque[dict[str, str]] = deque(maxlen=size)

    def take(self) -> dict[str, str]:
        try:
            return self._free.pop()
        except IndexError:
            return {}

    def scratch(self) -> dict[str, str]:
        """Take a dict for one record."""
        return self.take()

    def give(self, tags: dict[str, str]) -> None:
        tags.clear()
        self._free.append(tags)


class PoolAsProposed(Pool):
    """The pool with the proposal's fault.

    `defer tagMapPool.Put(clearMap(tags))` looks like 'clear, then put back, when done'. But Go evaluates what is given to a
    deferred call at the `defer`: the map is cleared *before* use and goes back dirty. A record that begins with that same
    line has no fault, as it clears what the last one left. Other code that takes a map from the pool expects it to be empty, as
    `New` makes it, and gets the tags of a stranger.
    """

    def scratch(self) -> dict[str, str]:
        tags = self.take()
        tags.clear()
        return tags

    def give(self, tags: dict[str, str]) -> None:
        self._free.append(tags)


class PooledCounter:
    """A counter whose tags live in a pooled dict for as long as it lives; those of a record for as long as the call."""

    __slots__ = ("_pool", "_tags", "_totals")

    def __init__(self, pool: Pool, tags: dict[str, str] | None = None, totals: Totals | None = None) -> None:
        self._pool = pool
        self._tags = {} if tags is None else tags
        self._totals = Totals() if totals is None else totals

    def __del__(self) -> None:
        self._pool.give(self._tags)

    def with_tags(self, **tags: str) -> PooledCounter:
        merged = self._pool.take()
        merged.update(self._tags)
        merged.update(tags)
        return PooledCounter(self._pool, merged, self._totals)

    def inc(self, amount: float = 1.0, /, **tags: str) -> None:
        scratch = self._pool.scratch()
        try:
            scratch.update(self._tags)
            scratch.update(tags)
            self._totals.add(frozenset(scratch.items()), amount)
        finally:
            self._pool.give(scratch)

    @property
    def tags(self) -> Mapping[str, str]:
        return dict(self._tags)

    @property
    def value(self) -> float:
        return self._totals[self._key()]

    def _key(self) -> Key:
        return frozenset(self._tags.items())
