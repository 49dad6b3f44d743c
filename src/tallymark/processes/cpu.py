"""`CpuTotal`: the CPU time of all processes that share a registry, those that ended included.

Any process may be the one that is read, several at once, and any may be killed meanwhile. Still the total must be the same
to all, never go down, and hold nothing twice. So it is kept in shared memory, in numbers of which it does not matter who
changes them, how often, and in which order: the least and the greatest value of series of a histogram.

* An account for each place in the table of processes. Its greatest value is what all that had the place have used.
* A base for each process. Its least value is what the account held before the process added to it.

Whoever is read raises the account of each live process to its base and what the process has used. The total is the sum of the
accounts. A base is proposed before a process' CPU time is read, and ends only after the process did: so a process that still
lives when it is read has had one base all the time. A late reader may raise an account for a process that ended, after the
next one's base was taken. Then some of that is missing from the total; nothing is in it twice.
"""

from __future__ import annotations

from math import fsum, isnan
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from tallymark.engine.lock import slow_path
from tallymark.engine.options import TagLimits
from tallymark.metric.shared.contents import CROWD
from tallymark.metric.validation import PROCESS_CPU, MetricRequest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from tallymark.metric.families import Families

__all__ = ["CpuTotal", "Process"]

# What a process that has no place told, and which it was. Not in a CpuTotal: each call of process_metrics() makes a new one.
_told: WeakKeyDictionary[Families, tuple[Process, float]] = WeakKeyDictionary()
_LIMITS = TagLimits(max_tags=100, max_series=4096)  # two for each place, and the tags of any registry
_KEY = "of"


class Process(NamedTuple):
    """A process. Until the next boot, no other has all three.

    Attributes:
        started: in clock ticks after boot.
        namespace: that its pid is of.
    """

    pid: int
    started: int
    namespace: int


class _Base(NamedTuple):
    """Where the account of a process is, and what it held before."""

    account: int
    seconds: float


class CpuTotal:
    """The total of the registry with these families."""

    def __init__(self, families: Families) -> None:
        description = "What process_cpu_seconds_total is made from."
        wanted = MetricRequest("histogram", PROCESS_CPU, description, "seconds", (1.0,), limits=_LIMITS)
        self._families = families
        self._family = families.get(wanted)
        self._root: Any = self._family.root

    def bases(self, places: dict[Process, int]) -> dict[Process, _Base]:
        """Return the bases of live processes, by their places. To be called before their CPU time is read."""
        accounts, bases = self._read()
        unknown = {one: place for one, place in places.items() if one not in bases and place != CROWD}
        for process, place in unknown.items():
            self._observe("/".join(map(str, (place, *process))), accounts.get(place, 0.0))
        return self._read()[1] if unknown else bases  # another reader may have proposed less

    def tell(self, used: dict[Process, float], bases: dict[Process, _Base], myself: Process) -> float | None:
        """Add what processes have used, in seconds each; return the total, or None if there is no space for it."""
        for process, seconds in used.items():
            base = bases.get(process)
            if base is not None:  # else there is no space for one
                self._observe(str(base.account), base.seconds + seconds)
            elif process == myself:
                self._tell_in_crowd(process, seconds)
        accounts, _ = self._read()
        return fsum(accounts.values()) if accounts else None

    def forget(self, ended: set[Process]) -> None:
        """Remove the bases of processes that ended."""
        for series in self._root.series():
            _, *process = _numbers(series.tags.get(_KEY, ""))
            if tuple(process) in ended:
                series.remove()

    def _tell_in_crowd(self, process: Process, seconds: float) -> None:
        """Add what this process used since it told last. Nobody else knows of one that has no place."""
        with slow_path():
            who, before = _told.get(self._families, (process, 0.0))
            _told[self._families] = process, seconds
        new = seconds - before if who == process else seconds  # a forked child has what its parent told
        self._observe(str(CROWD), new)

    def _observe(self, key: str, value: float) -> None:
        self._root.with_tags({_KEY: key}).observe(value)  # without space, to the overflow series, which nobody reads

    def _read(self) -> tuple[dict[int, float], dict[Process, _Base]]:
        """Return the accounts, and the bases. Registries with different tags have series of their own: any of them is right."""
        accounts: dict[int, float] = {}
        bases: dict[Process, _Base] = {}
        for key, least, most, total in self._rows():
            account, *rest = _numbers(key)
            if rest:
                process, base = Process(*rest), _Base(account, least)
                bases[process] = min(base, bases.get(process, base))
            elif account == CROWD:
                accounts[CROWD] = accounts.get(CROWD, 0.0) + total
            elif account >= 0:
                accounts[account] = max(most, accounts.get(account, 0.0))
        return accounts, bases

    def _rows(self) -> Iterable[tuple[str, float, float, float]]:
        columns = self._family.read()
        rows = zip(columns.tags, columns.mins, columns.maxs, columns.sums, strict=True)
        return [(tags.get(_KEY, ""), least, most, total) for tags, least, most, total in rows if not isnan(least)]


def _numbers(key: str) -> list[int]:
    """Return what a key is made of: account; or account, pid, start and namespace. -1 where it is none of ours."""
    numbers = [int(part) if part.isdecimal() else -1 for part in key.split("/")]
    return numbers if len(numbers) in (1, 4) and -1 not in numbers else [-1]
