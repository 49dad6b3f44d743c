"""`Instrument`: what counters, gauges, histograms and timers have in common."""

from __future__ import annotations

from tallymark.engine.description import describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, ClassVar, NoReturn, Self

    from tallymark.engine.columns import Columns
    from tallymark.engine.exemplar import Exemplar
    from tallymark.engine.reference.family import Family
    from tallymark.engine.reference.tagset import TagSet

__all__ = ["Instrument"]


class Instrument:
    """What a user holds and records to: one series of a family."""

    __slots__ = ("__weakref__", "_asked", "_created", "_exemplars", "_family", "_live", "_tags")

    kind: ClassVar[str]
    """`"counter"`, `"gauge"`, `"histogram"` or `"timer"`."""

    _family: Family
    _tags: TagSet
    _live: bool
    _created: float

    _exemplars: dict[int, Exemplar]
    """By their places."""

    _asked: dict[int, float]
    """When the registry was last asked for one, or one was kept."""

    _in_use = False
    """True while a series must not expire."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError(f"a {type(self).__name__} is made by a registry: registry.{self.kind}(name), or tm.{self.kind}(name)")

    @classmethod
    def _make(cls, family: Family, tags: TagSet) -> Self:
        self = cls.__new__(cls)
        self._family = family
        self._tags = tags
        self._created = 0.0
        self._exemplars = {}
        self._asked = {}
        self._live = True
        self._clear(None)
        return self

    @property
    def name(self) -> str:
        """The metric's name, as it was given to the registry."""
        return self._family.options.name

    @property
    def description(self) -> str:
        """What the metric counts or measures."""
        return self._family.description

    @property
    def unit(self) -> str:
        """The unit of the values, `""` where there is none."""
        return self._family.options.unit

    @property
    def tags(self) -> TagSet:
        """The tags of this series: always the same object, never a copy."""
        return self._tags

    def with_tags(self, /, *given: Mapping[str, object] | object | None, **tags: object) -> Self:
        """Return the series of this metric with these tags added: the same object each time.

        Tags come from a mapping, from keywords, or both (keywords win), and win over the tags that this series has already.
        If the metric has declared keys (`tag_keys=`), the values of all may be positional: `with_tags("GET", "200")`.
        A value that is not text is recorded as `str(value)`. The series is exported from now on. Without any tags, the result
        is the instrument itself.

        Raises:
            TagError: a key is not valid or not allowed, or the series would have too many tags.
            TypeError: a key is not a `str`, a value is a collection, or the positional arguments are neither one mapping nor a
                value for each declared key.
        """
        if given:
            tags = self._family.policy.given_tags(given, tags)
        if not tags:
            return self
        return self._family.named(self._family.find(self, tags))

    def series(self) -> list[Self]:
        """Return the live series of this metric that have all tags of this one; the oldest first."""
        return self._family.series(self)

    def remove(self) -> None:
        """Remove this series from its family, so that it is no longer exported. A later record starts it from nothing."""
        self._family._tell_leaving(self)
        self._family.drop(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object: what a copy counts would never be reported")

    def __repr__(self) -> str:
        return describe(self)

    # The seam to the family. `_mark` returns what differs after any record. `_clear` empties the cells of a live series and
    # makes it dormant, given a mark only if nothing was recorded since; it returns True if it did. `_columns` reads rows.

    def _mark(self) -> object:
        raise NotImplementedError

    def _clear(self, mark: Any) -> bool:
        raise NotImplementedError

    @classmethod
    def _columns(cls, rows: Sequence[Self]) -> Columns:
        raise NotImplementedError
