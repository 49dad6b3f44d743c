"""What a registry and the memory that it shares with other processes say to each other. `docs/processes.md` tells the whole."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from weakref import WeakSet

from tallymark.engine import Family
from tallymark.engine.columns import Columns
from tallymark.engine.options import FamilyOptions, TagLimits
from tallymark.metric.shared.process_values import Shares
from tallymark.metric.validation import check_ttl

__all__ = ["SharedEntry", "Sharing"]

AGGREGATES = ("last", "sum", "max", "min")

_logger = logging.getLogger("tallymark")


@dataclass(frozen=True, slots=True)
class SharedEntry:
    """What shared memory says of a family, for all processes: the first of them to ask for the metric says it."""

    name: str
    kind: str
    unit: str
    bounds: tuple[float, ...]
    aggregate: str
    description: str
    ttl: float | None
    limits: TagLimits

    @classmethod
    def of(cls, options: FamilyOptions, description: str) -> SharedEntry:
        """Return what a family's options say that all processes must agree on."""
        aggregate = options.aggregate or "last"
        return cls(
            options.name, options.kind, options.unit, options.bounds, aggregate, description, options.ttl, options.limits
        )

    def options(self, like: FamilyOptions) -> FamilyOptions:
        """Return options that agree with this, and else are like those of another family."""
        return replace(
            like, name=self.name, kind=self.kind, unit=self.unit, bounds=self.bounds, aggregate=self.aggregate,
            ttl=self.ttl, limits=self.limits,
        )  # fmt: skip

    @classmethod
    def read(cls, text: bytes | None) -> SharedEntry | None:
        """Return what a text says, or None for one that `write` cannot have written."""
        try:
            text = text or b""
            name, _, rest = text.decode().partition("\n")
            kind, unit, bounds, aggregate, description, ttl, limits = json.loads(rest)
            of_limits = TagLimits(**limits)
            entry = cls(name, kind, unit, tuple(map(float, bounds)), aggregate, description, check_ttl(name, ttl), of_limits)
        except (ValueError, TypeError, OverflowError, RecursionError):
            return None
        texts = all(isinstance(one, str) for one in (kind, unit, description, *of_limits.disallowed_keys))
        buckets = kind in ("histogram", "timer")
        known = buckets or kind in ("counter", "gauge")
        ascending = all(a < b for a, b in zip(entry.bounds, entry.bounds[1:], strict=False))
        combines = aggregate == "last" or (kind == "gauge" and aggregate in AGGREGATES)
        return entry if texts and known and buckets == bool(bounds) and ascending and combines else None

    def write(self) -> bytes:
        """Return the text that `read` takes."""
        limits = {name: getattr(self.limits, name) for name in TagLimits.__slots__}
        rest = [self.kind, self.unit, self.bounds, self.aggregate, self.description, self.ttl, limits]
        return f"{self.name}\n{json.dumps(rest)}".encode()

    @property
    def words(self) -> int:
        """Cells of a series: one, or a count for each bucket, the sum, and the least and greatest value."""
        return len(self.bounds) + 4 if self.bounds else 1


class Sharing:
    """The shared memory of one registry, in this process.

    Attributes:
        shared: what maps it.
        path: the file, or None for memory that is inherited.
    """

    def __init__(self, shared: Any, path: Path | None) -> None:
        self.shared = shared
        self.path = path
        self._shares = Shares(shared)
        self._entries: dict[int, SharedEntry | None] = {}
        self._told = False
        _open.add(shared)

    def enter(self, options: FamilyOptions, description: str) -> tuple[int, SharedEntry] | None:
        """Find or make a family; return its place and what all know of it; None where there is no room, or it is damaged."""
        wanted = SharedEntry.of(options, description)
        place = self.shared.add_family(wanted.write(), wanted.words, AGGREGATES.index(wanted.aggregate))
        found = self.entry(place) if place else None
        return None if found is None else (place, found)

    def entry(self, place: int) -> SharedEntry | None:
        """Return what is known of the family at a place, which never changes; None where that is damaged."""
        if place not in self._entries:
            self._entries[place] = SharedEntry.read(self.shared.text(place))
        return self._entries[place]

    @staticmethod
    def place(family: Any) -> int:
        """Return where a family is in the memory; 0: there was no room for it yet."""
        return int(family._place)

    @staticmethod
    def settle(family: Any, place: int) -> bool:
        """Give a family its place in the memory; say whether there is one of its shape."""
        try:
            family._settle(place)
        except ValueError:
            return False
        return True

    def register(self, family: Family) -> bool:
        """Register a family for all processes; say whether its name was free."""
        place = self.place(family)
        return not place or bool(self.shared.register(place))

    def unregister(self, family: Family) -> bool:
        """Take a family out for all processes, with all its series; say whether that was possible."""
        place = self.place(family)
        return not place or bool(self.shared.unregister(place))

    def read_shares(self, engine: Any, family: Family) -> Columns | None:
        """Return the series of a family of which each process has its own; None for others, and where it has none."""
        return self._shares.read(engine, self.place(family), family.options.aggregate) if self._is_combined(family) else None

    def expire_shares(self, family: Family, now: float) -> int:
        """Remove those of such a family's series that expired; return how many."""
        return self._shares.expire(self.place(family), family.options.ttl, now) if self._is_combined(family) else 0

    def _is_combined(self, family: Family) -> bool:
        return bool(self.place(family)) and family.options.aggregate not in ("", "last")

    def check(self) -> None:
        """Say, once, that the file was replaced or removed: this process then shares only with those that have the old one."""
        if self.path is None or self._told:
            return
        try:
            now = os.stat(self.path)
            gone = (now.st_dev, now.st_ino) != self.shared.identity
        except OSError:
            gone = True
        if gone:
            self._told = True
            _logger.error(
                "%s was replaced or removed while in use: processes that start from now on do not share with this one."
                " Restart all processes, and remove the file only when none runs.", self.path,
            )  # fmt: skip


_open: WeakSet[Any] = WeakSet()  # what this process has mapped


def _in_child() -> None:
    for shared in list(_open):
        shared.in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
