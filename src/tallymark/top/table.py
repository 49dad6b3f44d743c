"""What is shown as text in tables, whatever draws them."""

from __future__ import annotations

from collections import defaultdict
from math import isnan
from typing import TYPE_CHECKING

from tallymark.engine.description import number_text
from tallymark.frozen import Frozen
from tallymark.top.conventions import STATUSES
from tallymark.top.shown import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tallymark.top.controls import Controls
    from tallymark.top.health import Process
    from tallymark.top.series import SeriesChange
    from tallymark.top.traffic import Traffic
    from tallymark.top.view import View

__all__ = ["TRAFFIC_HEADINGS", "Table", "process_text", "tables_of", "traffic_table"]

TRAFFIC_HEADINGS = ("operation", "kind", "per s", "errors/s", "errors", "p50 ms", "p95 ms", "p99 ms")


_ABSURD = 1e12
"""From here on, numbers are shown with an exponent."""
_COMPARED = 1000
"""Series whose tags are compared."""


class Table(Frozen):
    """Headings and rows of as many cells. The text of a cell can be shown as it is.

    Attributes:
        left: how many columns are text, at the left; the others are numbers.
        absent: what to say if there are no rows; empty: the table is left out then.
        spare: headings of columns that are left out where there is no room, in this order.
    """

    __slots__ = ("absent", "headings", "left", "rows", "spare")

    headings: tuple[str, ...]
    left: int
    rows: Sequence[tuple[str, ...]]
    absent: str
    spare: tuple[str, ...]


def tables_of(view: View, controls: Controls) -> list[Table]:
    """Return the tables, the most important ones first."""
    others = _series_table(view, controls), _cardinality_table(view, controls), _rejected_table(view)
    return [traffic_table(view, controls), *others]


def traffic_table(view: View, controls: Controls) -> Table:
    """Return operations, routes and tasks."""
    rows = sorted([row for row in view.traffic if controls.admits(f"{row.what} {row.name}")], key=controls.order)
    absent = "no row has the text of the filter" if controls.filter else "no metric is a duration of operations or requests"
    return Table(
        TRAFFIC_HEADINGS,
        2,
        list(map(_traffic_cells, rows)),
        absent,
        ("kind", "errors/s", "p95 ms", "errors", "p50 ms", "p99 ms"),
    )


def _traffic_cells(row: Traffic) -> tuple[str, ...]:
    share = f"{row.errors / row.count:.1%}" if row.count else "-"
    times = [_rounded(seconds * 1000) for seconds in row.quantiles]
    return shown(row.name or row.what), shown(row.what), _rounded(row.rate), _rounded(row.error_rate), share, *times


def _series_table(view: View, controls: Controls) -> Table:
    rows = []
    values = _values_of_tags(view)
    for one in view.series:
        labelled = one.name + _tags_text(_telling_first(one, values))
        if controls.admits(labelled):
            rows.append((shown(labelled), _compact(one.value), _compact(one.rate)))
    return Table(("series that change the most", "value", "change/s"), 1, rows, "", ("value",))


def _values_of_tags(view: View) -> Mapping[tuple[str, str], set[str]]:
    """Return the values of each metric's tags, among the series that change the most."""
    values = defaultdict(set)
    for one in view.series[:_COMPARED]:
        for key, value in one.tags.items():
            values[one.name, key].add(value)
    return values


def _telling_first(series: SeriesChange, values: Mapping[tuple[str, str], set[str]]) -> dict[str, str]:
    """Return the tags of a series, those first that tell it from others: a table may have no room for the rest."""
    tags = series.tags
    order = sorted(tags, key=lambda key: (-len(values.get((series.name, key), ())), key.replace(".", "_") in STATUSES))
    return {key: tags[key] for key in order}


def _tags_text(tags: Mapping[str, str]) -> str:
    return "{" + ", ".join([f"{key}={value}" for key, value in tags.items()]) + "}" if tags else ""


def _cardinality_table(view: View, controls: Controls) -> Table:
    rows = [
        (shown(one.name), shown(one.tag), f"{one.series:,}", f"{one.values:,}" if one.tag else "")
        for one in view.cardinality
        if controls.admits(one.name)
    ]
    return Table(
        ("metrics with the most series", "tag with the most values", "series", "values"),
        2,
        rows,
        "",
        ("values", "tag with the most values"),
    )


def _rejected_table(view: View) -> Table:
    rows = [(shown(one.metric), shown(one.reason), _compact(one.count), _compact(one.rate)) for one in view.rejected]
    return Table(("rejected data of", "reason", "so far", "per s"), 2, rows, "", ("per s",))


def process_text(process: Process) -> str:
    """Return a line about a process; what is not told is left out."""
    parts = [
        (process.cpu, f"CPU {_rounded(process.cpu * 100)}%"), (process.memory, f"memory {_size(process.memory)}"),
        (process.threads, f"threads {_compact(process.threads)}"),
        (process.descriptors, f"open files {_compact(process.descriptors)}"),
        (process.uptime, f"up {_duration(process.uptime)}"),
    ]  # fmt: skip
    labels = _tags_text(process.tags)
    return "  ".join([*([shown(labels)] if labels else []), *[text for value, text in parts if not isnan(value)]])


def _rounded(value: float) -> str:
    return _compact(value) if isnan(value) or abs(value) >= _ABSURD else f"{value:,.1f}"


def _compact(value: float) -> str:
    """Return a number in no more than about ten characters."""
    if isnan(value):
        return "-"
    if 1e3 <= abs(value) < _ABSURD:
        return f"{value:,.0f}"
    return f"{value:.3e}" if abs(value) >= _ABSURD else number_text(float(f"{value:.4g}"))


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{_rounded(count)} TB"


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}" if seconds < _ABSURD else f"{_compact(seconds / size)} {unit}"
    return f"{seconds:.0f} s"
