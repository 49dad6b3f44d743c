"""What an exporter tells of data that its format cannot carry, and so leaves out or changes."""

from __future__ import annotations

from math import isfinite

from tallymark.metric.data import ExponentialHistogramData, HistogramData, SummaryData
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from tallymark.metric.data import Data

    Dropped: TypeAlias = Callable[[str, str], None]
    """Is told a metric's name and a reason: `"unsupported_value"`, `"unsupported_type"` or `"name"`."""

__all__ = ["are_finite", "ignore", "once"]

_PORTION = 4096


def are_finite(data: Data) -> bool:
    """Return True if the values of all series are finite, or their sums where they have no single value."""
    match data:
        case SummaryData() | HistogramData() | ExponentialHistogramData():
            column = data.sums
        case _:
            column = data.values
    return all(all(map(isfinite, column[rows])) for rows in portions(len(column), _PORTION))


def ignore(metric: str, reason: str) -> None:
    """Tell nobody."""


def once(dropped: Dropped) -> Dropped:
    """Return what tells `dropped` of each metric and reason once."""
    told: set[tuple[str, str]] = set()

    def tell(metric: str, reason: str) -> None:
        if (metric, reason) not in told:
            told.add((metric, reason))
            dropped(metric, reason)

    return tell
