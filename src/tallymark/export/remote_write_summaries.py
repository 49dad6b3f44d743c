"""Summaries as messages `TimeSeries`: one for the sum, one for the count, and one for each quantile."""

from __future__ import annotations

from tallymark.export.protobuf_labels import NAME, label_field, twins
from tallymark.export.remote_write_labels import named, with_label, with_name
from tallymark.export.remote_write_numbers import numbers
from tallymark.export.remote_write_wire import double, series_message
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tallymark.export.remote_write_report import Report
    from tallymark.metric.data import SummaryData

__all__ = ["quantiles", "summaries"]

_RESERVED = "quantile"


def summaries(name: str, data: SummaryData, report: Report) -> Iterator[bytes]:
    """Yield the series of a summary, in parts. Those that have the same labels add up; quantiles do not."""
    groups = twins(report.labels_of(data.tags, _RESERVED))
    labels, same = list(groups), groups.values()
    for end, column in (("_sum", data.sums), ("_count", data.counts)):
        start, named_labels = with_name(label_field(NAME, name + end), labels)
        yield from numbers(start, named_labels, [sum([column[row] for row in rows]) for rows in same], report)
    told = list(groups.items()) if data.quantiles else []
    before, after = report.moment.before, report.moment.after
    for some in portions(len(told)):
        found = [one for labels, rows in told[some] for one in quantiles(name, labels, data, rows)]
        yield b"".join([series_message(labels, before, double(value), after) for labels, value in found])


def quantiles(name: str, labels: bytes, data: SummaryData, rows: Sequence[int]) -> list[tuple[bytes, float]]:
    """Return the quantiles of a series: its labels, with the name, and the value. Several series together have none."""
    if not data.quantiles or len(rows) > 1:
        return []
    field = label_field(NAME, name)
    return [
        (named(field, with_label(labels, _RESERVED.encode(), label_field(_RESERVED, repr(quantile)))), value)
        for quantile, value in data.quantiles[rows[0]]
    ]
