"""Snapshots as HTML tables, for notebooks."""

from __future__ import annotations

from html import escape

from tallymark.engine.description import number_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tallymark.metric.snapshot import FamilySnapshot, SeriesView

__all__ = ["table"]

_MOST = 200
"""Rows that are shown: a notebook keeps them all in its file."""


def table(families: Iterable[FamilySnapshot]) -> str:
    """Return a table with a row for each of the first 200 series."""
    every = [series for family in families for series in family]
    rows = "".join([_row(series) for series in every[:_MOST]])
    more = f'<tr><td colspan="4">and {len(every) - _MOST} more series</td></tr>' if len(every) > _MOST else ""
    head = "<tr><th>metric</th><th>kind</th><th>tags</th><th>value</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}{more}</tbody></table>"


def _row(series: SeriesView) -> str:
    tags = ", ".join([f"{key}={value!r}" for key, value in series.tags.items()])
    unit = f" ({series.family.unit})" if series.family.unit else ""
    cells = (series.name + unit, series.kind, tags, ", ".join(_held(series)))
    return f"<tr>{''.join([f'<td>{escape(cell)}</td>' for cell in cells])}</tr>"


def _held(series: SeriesView) -> Iterator[str]:
    if hasattr(series, "value"):
        yield number_text(series.value)
        return
    yield f"count {series.count}"
    yield f"sum {number_text(series.sum)}"
    if series.count and hasattr(series, "histogram"):
        for q in (0.5, 0.99):
            yield f"p{q * 100:g} {series.histogram.quantile(q):g}"
