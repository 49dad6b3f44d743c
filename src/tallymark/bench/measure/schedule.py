"""What is measured together, and about how long it takes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from tallymark.bench.settings import Settings


class Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)

START = 0.15  # seconds that a process takes to start
SHOWN = 5


def grouped(jobs: Iterable[N], one_by_one: bool) -> list[list[N]]:
    """Return jobs in groups, each of which is measured to its end before the next begins, in order of first appearance.

    Those of one name, which are its sides, are always together.
    """
    groups: dict[str, list[N]] = {}
    for job in jobs:
        groups.setdefault(job.name if one_by_one else "", []).append(job)
    return list(groups.values())


def estimate(settings: Settings) -> float:
    """Return about how many seconds a benchmark of a fast op takes on one target."""
    values = START + settings.values * settings.shortest * 1.5 + min(0.1, settings.budget / 4)
    timed = min(settings.processes * values, settings.most + START) if "time" in settings.passes else 0.0
    others = len([one for one in settings.passes if one not in ("time", "cold")])
    cold = settings.cold if "cold" in settings.passes else 0
    return timed + others * (START + settings.budget / 4) + cold * START


def no_match(select: str, names: Sequence[str]) -> str:
    """Return what to say of a text that is in no name: the names that are nearest to it."""
    own = {name.rpartition("::")[2]: name for name in names}
    close = difflib.get_close_matches(select, own, SHOWN, 0.4) or list(own)[:SHOWN]
    shown = ", ".join(own[name] for name in close)
    more = f" and {len(names) - len(close)} more, see --list" if len(names) > len(close) else ""
    return f"no benchmark has {select!r} in its name: there are {shown}{more}"
