"""The strategies for tags, behind one interface: what `with_tags`, `inc` and `tags` of Tallymark's counters promise.

They differ in what they do with the tags between the call and the series. Only the last two are in the library; the others are
here only to be measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from copied import CopyCounter
from pooled import Pool, PoolAsProposed, PooledCounter

import tallymark as tm


class TaggedCounter(Protocol):
    """A counter whose tags tell its series apart."""

    def with_tags(self, **tags: str) -> TaggedCounter:
        """Return the counter with these tags added; later tags win."""

    def inc(self, amount: float = 1.0, /, **tags: str) -> None:
        """Add to the series of this counter's tags and these."""

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags. A change to the returned mapping changes no series."""

    @property
    def value(self) -> float:
        """The sum of what was added to the series of these tags."""


#: What makes an untagged counter, by strategy.
STRATEGIES: dict[str, Callable[[], TaggedCounter]] = {
    "copy": CopyCounter,
    "pool": lambda: PooledCounter(Pool()),
    "pool as proposed": lambda: PooledCounter(PoolAsProposed()),
    "interned": lambda: tm.Registry(engine="reference").counter("requests"),
    "native": lambda: tm.Registry(engine="native").counter("requests"),
}
