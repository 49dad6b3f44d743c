"""`TagSet`: the immutable, interned mapping of a series' tags."""

from __future__ import annotations

import sys
from _collections_abc import Mapping
from weakref import KeyedRef

from tallymark.engine.lock import cells
from tallymark.engine.text import checked_tags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TypeAlias

    Pairs: TypeAlias = tuple[tuple[str, str], ...]

__all__ = ["TagSet"]

_interned: dict[Pairs, KeyedRef[Pairs, TagSet]] = {}


def _forget(dead: KeyedRef[Pairs, TagSet]) -> None:
    try:
        with cells:
            # Atomic
            if _interned[dead.key] is dead:
                del _interned[dead.key]
    except KeyError:
        pass


class TagSet(Mapping[str, str]):
    """An immutable, hashable mapping of text to text, keys sorted. Equal tag sets are one object.

    Compares equal to any mapping with the same items.

    Raises:
        TagError: a key is not a valid tag key, or `str()` of a value failed.
        TypeError: a key is not a `str`, or `mapping` is not a mapping.
    """

    __slots__ = ("__weakref__", "_items", "_labels", "_pairs")

    _items: dict[str, str]
    _pairs: Pairs
    _labels: str | None

    def __new__(cls, mapping: Mapping[str, object] | None = None, /, **tags: object) -> TagSet:
        return cls._of(tuple(checked_tags(mapping, tags).items()))

    @classmethod
    def _of(cls, pairs: Pairs) -> TagSet:
        """Return the one tag set with these pairs, which must be sorted, checked and exact `str`."""
        known = _interned.get(pairs)
        found = None if known is None else known()
        if found is None:
            self = super().__new__(cls)
            self._items = dict(pairs)
            self._pairs = pairs
            self._labels = None
            own = KeyedRef(self, _forget, pairs)
            # Other code that runs meanwhile finds the tag set that this stores, or this finds the one that it stored.
            while (found := (known := _interned.setdefault(pairs, own))()) is None:
                _forget(known)
        return found

    @property
    def _label_text(self) -> str | None:
        """What an exporter stored with `_keep_label_text`; None before."""
        return self._labels

    def _keep_label_text(self, text: str) -> None:
        """Store the escaped text of these tags, so that an exporter makes it once. Equality and hash ignore it."""
        self._labels = text

    def __getitem__(self, key: str) -> str:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TagSet):
            return self is other
        return super().__eq__(other)

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        return f"TagSet({self._items!r})"

    def __sizeof__(self) -> int:
        """Return the size of what this tag set alone owns: all but the texts, which others may hold too."""
        parts = self._items, self._pairs, *self._pairs
        return super().__sizeof__() + sum(map(sys.getsizeof, parts))

    def __reduce__(self) -> tuple[Any, ...]:
        return TagSet, (self._items,)
