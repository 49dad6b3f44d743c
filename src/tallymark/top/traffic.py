"""`Traffic`: operations, routes and tasks: how often, how they ended, how long they took."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

from tallymark.frozen import Frozen
from tallymark.metric.data import ExponentialHistogramData, HistogramData, SummaryData
from tallymark.top.conventions import convention_of, underscored
from tallymark.top.observations import observations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tallymark.metric.snapshot import FamilySnapshot
    from tallymark.top.changes import Changes

__all__ = ["QUANTILES", "Traffic", "read_traffic"]

QUANTILES = (0.5, 0.95, 0.99)


class Traffic(Frozen):
    """One operation, route or task.

    Attributes:
        what: which of these it is; of metrics of other libraries, the name of the metric.
        name: of the operation, route or task.
        count: how often it ended.
        errors: how often it ended in an error.
        rate: a second; NaN where there is no earlier snapshot.
        error_rate: errors a second.
        quantiles: of the duration in seconds: median, 95th and 99th percentile; NaN where they cannot be told.
    """

    __slots__ = ("count", "error_rate", "errors", "name", "quantiles", "rate", "what")

    what: str
    name: str
    count: int
    errors: int
    rate: float
    error_rate: float
    quantiles: tuple[float, float, float]


def read_traffic(changes: Changes) -> list[Traffic]:
    """Return all rows, in the order of their metrics. What nothing was recorded to is there too."""
    return [row for family in changes.recorded.families for row in _rows(changes, family)]


def _rows(changes: Changes, family: FamilySnapshot) -> Iterator[Traffic]:
    convention = convention_of(family)
    if convention is None:
        return
    grouped: dict[str, tuple[list[int], list[int]]] = {}
    for row, one in enumerate(family.data.tags):
        tags = underscored(one)
        rows = grouped.setdefault(convention.name(tags), ([], []))
        rows[convention.is_error(tags)].append(row)
    counts = observations(family)
    for name, (good, bad) in grouped.items():
        errors = sum([counts[row] for row in bad])
        count = errors + sum([counts[row] for row in good])
        found = _quantiles(family, [*good, *bad]) if count else [nan] * 3
        p50, p95, p99 = [value * convention.scale for value in found]
        yield Traffic(convention.what, name, count, errors, changes.rate(count), changes.rate(errors), (p50, p95, p99))


def _quantiles(family: FamilySnapshot, rows: list[int]) -> list[float]:
    match family.data:
        case HistogramData() | ExponentialHistogramData() as data:
            whole = data.row(*rows)
            return [whole.quantile(q) for q in QUANTILES]
    if len(rows) > 1:  # the quantiles of several series say nothing of those of all
        return [nan] * 3
    told = dict(family.data.quantiles[rows[0]]) if isinstance(family.data, SummaryData) and family.data.quantiles else {}
    return [told.get(q, nan) for q in QUANTILES]
