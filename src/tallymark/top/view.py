"""`View`: all that `tallymark top` shows, from two snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallymark.frozen import Frozen
from tallymark.top.cardinality import read_cardinality
from tallymark.top.changes import changes_between
from tallymark.top.health import read_processes, read_rejected
from tallymark.top.series import read_series
from tallymark.top.traffic import read_traffic

if TYPE_CHECKING:
    from tallymark.metric.snapshot import Snapshot
    from tallymark.top.cardinality import Cardinality
    from tallymark.top.health import Process, Rejected
    from tallymark.top.series import SeriesChange
    from tallymark.top.traffic import Traffic

__all__ = ["View", "read_view"]


class View(Frozen):
    """What goes on.

    Attributes:
        time: of the later snapshot, in seconds since the epoch.
        seconds: between the two; NaN where there is no earlier one.
    """

    __slots__ = ("cardinality", "processes", "rejected", "seconds", "series", "time", "traffic")

    time: float
    seconds: float
    traffic: list[Traffic]
    series: list[SeriesChange]
    cardinality: list[Cardinality]
    rejected: list[Rejected]
    processes: list[Process]


def read_view(before: Snapshot | None, now: Snapshot) -> View:
    """Return what goes on, from two snapshots of one source; `before` is None where there is no earlier one."""
    changes = changes_between(before, now)
    return View(
        now.time, changes.seconds, read_traffic(changes), read_series(changes), read_cardinality(now), read_rejected(changes),
        read_processes(changes),
    )  # fmt: skip
