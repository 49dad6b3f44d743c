"""The name of each metric in Prometheus' formats, where not every name is allowed and two may become the same.

If names become the same, the metric whose name needs no change keeps it; else the older metric. The others get a number. Once
a metric was exported, its name never changes while the process runs, whatever other metrics come or go.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeAlias

    Key: TypeAlias = tuple[str, str, str]  # name, kind, unit

__all__ = ["ExpositionNames", "exposition_name"]

_SUFFIXES = {
    "histogram": ("", "_bucket", "_sum", "_count"),
    "timer": ("", "_bucket", "_sum", "_count"),
    "summary": ("", "_sum", "_count"),
}
"""What a kind's samples add to its name."""


def exposition_name(name: str, kind: str, unit: str) -> str:
    """Return the name that Prometheus knows a metric by.

    What is not allowed becomes `_`, a unit is a suffix (`_seconds` for timers), and counters end in `_total`.
    """
    stem = name if name.isascii() and name.isidentifier() else _mangled(name, "_:")
    if kind == "counter":
        stem = stem.removesuffix("_total") or stem
    if unit:
        ending = "_".join([part for part in _mangled(unit, "").split("_") if part])
        if ending and not stem.endswith(f"_{ending}") and stem != ending:
            stem = f"{stem}_{ending}"
    return f"{stem}_total" if kind == "counter" else stem


def _mangled(text: str, allowed: str) -> str:
    return "".join([c if c.isascii() and (c.isalnum() or c in allowed) else "_" for c in text])


class ExpositionNames:
    """The exposition names of one registry's metrics: given when a metric is first read, and kept from then on."""

    __slots__ = ("_claims", "_given", "_numbers", "_owners")

    def __init__(self) -> None:
        self._claims: dict[str, Key] = {}  # the first metric that wants a sample's name
        self._given: dict[Key, str] = {}
        self._owners: dict[str, Key] = {}  # of the names of samples
        self._numbers: dict[str, int] = {}  # the last number of a name, so that the search for the next does not start at 1

    def claim(self, name: str, kind: str, unit: str) -> str:
        """Note a new metric; return what to log if another has its name, else an empty text."""
        key = (name, kind, unit)
        wanted = exposition_name(*key)
        other = key
        for sample in _samples(wanted, kind):
            first = self._claims.setdefault(sample, key)
            if first is not key and first[0] != name:
                other = first
        if other is key:
            return ""
        winner, loser = (key, other) if self._is_before(key, other, wanted) else (other, key)
        return (
            f"metrics {other[0]!r} and {name!r} have one name in Prometheus, {wanted!r}: {winner[0]!r} keeps it,"
            f" and {loser[0]!r} gets a number; rename one of them"
        )

    def give(self, metrics: Iterable[Key]) -> None:
        """Give names to those of the metrics that have none, the oldest first."""
        new = [key for key in metrics if key not in self._given]
        for key in sorted(new, key=lambda key: exposition_name(*key) != key[0]):
            self._given[key] = self._free(key)

    def of(self, name: str, kind: str, unit: str) -> str:
        """Return the name that a metric was given."""
        return self._given[name, kind, unit]

    def _is_before(self, key: Key, older: Key, wanted: str) -> bool:
        return older not in self._given and key[0] == wanted and older[0] != exposition_name(*older)

    def _free(self, key: Key) -> str:
        wanted = exposition_name(*key)
        stem, total = (wanted.removesuffix("_total"), "_total") if key[1] == "counter" else (wanted, "")
        number, free = self._numbers.get(wanted, 1), wanted
        if number > 1:
            free = f"{stem}_{number}{total}"
        while any(self._owners.get(sample, key) != key for sample in _samples(free, key[1])):
            number += 1
            free = f"{stem}_{number}{total}"
        self._numbers[wanted] = number
        self._owners.update(dict.fromkeys(_samples(free, key[1]), key))
        return free


def _samples(name: str, kind: str) -> Sequence[str]:
    return [name + suffix for suffix in _SUFFIXES.get(kind, ("",))]
