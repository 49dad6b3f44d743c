"""The name of each metric in Prometheus' formats, where not every name is allowed and two may become the same.

Where a scraper takes any name, `spelled_name` tells what a metric is called: its name as it was given, with the same unit,
number and ending. What is not allowed becomes `_` one character at a time, so two of these names differ if the others do.

If names become the same, the metric whose name needs no change keeps it; else the older metric. The others get a number. Once
a metric was exported, its name never changes while the process runs, whatever other metrics come or go. The registry's own
metrics have their names from the start.

Processes that share a registry read it at different times, and must find the same names. So there the older metric keeps its
name, whatever it is: the order in the shared file is the same for all. Metrics that are not in the file, as those of
collectors, come after those that are.
"""

from __future__ import annotations

from tallymark.engine.lock import held, slow_path
from tallymark.log import logger
from tallymark.metric.validation import CENSUS, REJECTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    Key: TypeAlias = tuple[str, str, str]  # name, kind, unit

__all__ = ["ExpositionNames", "exposition_name", "samples_of", "spelled_name", "unit_ending"]

_ENDINGS = {"counter": "_total", "info": "_info"}
"""What the name of a kind's samples always ends in."""

_SUFFIXES = {
    "histogram": ("", "_bucket", "_sum", "_count", "_created"),
    "timer": ("", "_bucket", "_sum", "_count", "_created"),
    "summary": ("", "_sum", "_count", "_created"),
}
"""What a kind's samples add to its name, in any format."""


def exposition_name(name: str, kind: str, unit: str) -> str:
    """Return the name that Prometheus knows a metric by.

    What is not allowed becomes `_`, a unit is a suffix (`_seconds` for timers), counters end in `_total`, infos in `_info`.
    """
    return "".join(_parts(name, kind, unit))


def spelled_name(name: str, kind: str, unit: str, given: str) -> str:
    """Return the name of a metric for a scraper that takes any UTF-8: `given`, its exposition name, with no character replaced.

    The unit, a number and the ending are those of `given`.
    """
    stem, _ = _parts(name, kind, unit)
    return name[: len(stem)] + given[len(stem) :] if given.startswith(stem) else given


def _parts(name: str, kind: str, unit: str) -> tuple[str, str]:
    """Return what of a metric's name is left as it is, though without what is not allowed; and what follows that."""
    stem = _mangled(name, "_:")
    ending = _ENDINGS.get(kind, "")
    if ending:
        stem = stem.removesuffix(ending) or stem
    suffix = unit_ending(unit)
    if suffix and stem != suffix[1:]:
        return stem.removesuffix(suffix), suffix + ending
    return stem, ending


def unit_ending(unit: str) -> str:
    """Return how a name ends that tells a unit: `_seconds`. It is empty if nothing of the unit is allowed in a name.

    What is in braces, such as `{request}`, tells what is counted, and is no unit: so say UCUM and OpenTelemetry.
    """
    if unit[:1] == "{" and unit[-1:] == "}":
        return ""
    words = [part for part in _mangled(unit, "").split("_") if part] if unit else []
    return "_".join(["", *words])


def _mangled(text: str, allowed: str) -> str:
    if text.isascii() and text.isidentifier():
        return text
    return "".join([c if c.isascii() and (c.isalnum() or c in allowed) else "_" for c in text])


def samples_of(name: str, kind: str) -> Sequence[str]:
    """Return the names of a family's samples, of the name that it was given; and that name itself."""
    return [name + suffix for suffix in _SUFFIXES.get(kind, ("",))]


_OWN: dict[Key, str] = {
    (REJECTED, "counter", ""): "tallymark_rejected_total",
    (CENSUS, "gauge", ""): CENSUS,
}
"""The registry's own metrics, and their names."""
_OWNERS = {name: key for key, name in _OWN.items()}


class ExpositionNames:
    """The exposition names of one registry's metrics: given when a metric is first read, and kept from then on.

    Args:
        order: returns the metrics whose order decides, the oldest first, if they are not alone in that.
        logs: log which metrics got a number.

    Attributes:
        given: the names that metrics have: read only.
    """

    __slots__ = ("_claims", "_logs", "_numbers", "_order", "_owners", "_told", "_waiting", "given")

    def __init__(self, *, order: Callable[[], list[Key]] | None = None, logs: bool = False) -> None:
        self._order = order
        self._logs = logs
        self._told: set[Key] = set()  # of which the log says that they get a number
        self._waiting: dict[str, Key] = {}  # the metrics that have no name yet, the oldest first
        self._claims: dict[str, Key] = {}  # whose the names of samples will be
        has_own = logs or order is not None
        self.given: dict[Key, str] = _OWN.copy() if has_own else {}
        self._owners: dict[str, Key] = _OWNERS.copy() if has_own else {}  # whose they are
        self._numbers: dict[str, int] = {}  # the last one that a stem got, so that many of one name are not counted anew

    def claim(self, name: str, kind: str, unit: str) -> str:
        """Note a new metric; return what to log if another has its name, else an empty text."""
        key = (name, kind, unit)
        with slow_path():
            if key in self.given or self._waiting.get(name) == key:
                return ""
            if name in self._waiting:  # it was unregistered before anybody read it
                self._withdraw(self._waiting.pop(name))
            self._waiting[name] = key
            clash = self._contest(key)
        if not clash or self._order is None:
            return clash
        self._told.clear()
        self.give([key])  # only the order of all tells who keeps the name, and is logged
        return ""

    def _contest(self, key: Key) -> str:
        """Find out who will have the name that a new metric wants, and return what to log."""
        wanted = exposition_name(*key)
        samples = samples_of(wanted, key[1])
        others: dict[Key, str] = {}
        for sample in samples:
            other = self._owners.get(sample) or self._claims.get(sample)
            if other is not None:
                others.setdefault(other, sample)
        if not others:  # as nearly always
            self._claims.update(dict.fromkeys(samples, key))
            return ""
        keeping = [other for other in others if not self._yields(other, key, wanted)]
        if not keeping:
            for other in others:
                self._withdraw(other)
            self._claims.update(dict.fromkeys(samples, key))
        other = keeping[0] if keeping else next(iter(others))
        winner, loser = (other, key) if keeping else (key, other)
        self._told.add(loser)
        return _clash(other, key, others[other], winner, loser)

    def _yields(self, older: Key, key: Key, wanted: str) -> bool:
        return older not in self.given and key[0] == wanted and older[0] != exposition_name(*older)

    def _withdraw(self, key: Key) -> None:
        for sample in samples_of(exposition_name(*key), key[1]):
            if self._claims.get(sample) == key:
                del self._claims[sample]

    def give(self, metrics: Iterable[Key]) -> None:
        """Give names to all metrics that have none: those that were claimed, read or not, and these. The oldest first."""
        new = [key for key in metrics if key not in self.given]
        if not new:
            return
        first = self._order() if self._order is not None else []
        numbered: list[Key] = []
        with slow_path():
            new = list(dict.fromkeys([*self._waiting.values(), *new]))
            for key in [*first, *sorted(new, key=lambda key: exposition_name(*key) != key[0])]:
                if key not in self.given:
                    self.given[key] = self._free(key)
                    if self.given[key] != exposition_name(*key) and key not in self._told:
                        numbered.append(key)
            self._waiting.clear()
            self._claims.clear()
        if self._logs and not held():  # logging handlers take locks of their own
            for key in numbered:
                self._log(key)

    def _log(self, key: Key) -> None:
        taken = [sample for sample in samples_of(exposition_name(*key), key[1]) if self._owners.get(sample, key) != key]
        if taken:
            other = self._owners[taken[0]]
            logger().warning("%s", _clash(other, key, taken[0], other, key))

    def of(self, name: str, kind: str, unit: str) -> str:
        """Return the name that a metric was given."""
        return self.given[name, kind, unit]

    def _free(self, key: Key) -> str:
        wanted = exposition_name(*key)
        ending = _ENDINGS.get(key[1], "")
        stem = wanted.removesuffix(ending)
        number, free = self._numbers.get(wanted, 1), wanted
        if number > 1:
            free = f"{stem}_{number}{ending}"
        while any(self._owners.get(sample, key) != key for sample in samples_of(free, key[1])):
            number += 1
            free = f"{stem}_{number}{ending}"
        self._numbers[wanted] = number
        self._owners.update(dict.fromkeys(samples_of(free, key[1]), key))
        return free


def _clash(one: Key, other: Key, name: str, winner: Key, loser: Key) -> str:
    return (
        f"{one[1]} {one[0]!r} and {other[1]} {other[0]!r} have one name in Prometheus, {name!r}: {winner[0]!r} keeps it, and"
        f" {loser[0]!r} gets a number; rename one of them"
    )
