"""Series that hold one number, as messages `TimeSeries`."""

from __future__ import annotations

from tallymark.export.protobuf_labels import NAME, label_field, newest, twins
from tallymark.export.remote_write_labels import with_name
from tallymark.export.remote_write_wire import Prefixes, doubles, series_message
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tallymark.engine.exemplar import Exemplar
    from tallymark.export.remote_write_report import Report
    from tallymark.metric.data import GaugeData, InfoData, StateSetData, SumData

__all__ = ["counters", "gauges", "numbers"]


def gauges(name: str, data: GaugeData | SumData | InfoData | StateSetData, report: Report) -> Iterator[bytes]:
    """Yield the series of a gauge, in parts. Of those that have the same labels, the last one stays."""
    labels, values = report.labels_of(data.tags), data.values
    if report.labels.may_repeat():
        merged = dict(zip(labels, values, strict=True))
        if len(merged) < len(labels):
            labels, values = list(merged), list(merged.values())
    return numbers(name, labels, values, report)


def counters(name: str, data: SumData, report: Report) -> Iterator[bytes]:
    """Yield the series of a counter, in parts. Those that have the same labels add up."""
    labels, values, exemplars = report.labels_of(data.tags), data.values, data.exemplars
    if report.labels.may_repeat():
        groups = twins(labels)
        if len(groups) < len(labels):
            labels, same, column = list(groups), groups.values(), data.exemplars
            exemplars = [[one for row in rows for one in column[row]] for rows in same] if column else ()
            values = [sum([data.values[row] for row in rows]) for rows in same]
    return numbers(name, labels, values, report, exemplars)


def numbers(
    name: str, labels: list[bytes], values: Sequence[float], report: Report, exemplars: Sequence[Sequence[Exemplar]] = ()
) -> Iterator[bytes]:
    """Yield series of one name, each with a value."""
    start, labels = with_name(label_field(NAME, name), labels)
    prefixes = Prefixes(start, report.moment.size)
    for rows in portions(len(labels)):
        if exemplars:
            yield _with_exemplars(start, labels[rows], values[rows], exemplars[rows], report)
        else:
            yield _numbers(prefixes, labels[rows], doubles(values[rows]), report)


def _numbers(prefixes: Prefixes, labels: list[bytes], values: bytes, report: Report) -> bytes:
    before, after = report.moment.before, report.moment.after
    places = range(0, len(values), 8)
    return b"".join(
        [
            b"".join((prefixes[len(label)], label, before, values[at : at + 8], after))
            for label, at in zip(labels, places, strict=True)
        ]
    )


def _with_exemplars(
    start: bytes, labels: list[bytes], values: Sequence[float], exemplars: Sequence[Sequence[Exemplar]], report: Report
) -> bytes:
    before, after, numbers = report.moment.before, report.moment.after, doubles(values)
    made = []
    for row, (label, some) in enumerate(zip(labels, exemplars, strict=True)):
        field = report.exemplar_field(newest(report.exemplars(some)))
        made.append(series_message(start, label, before, numbers[row * 8 : row * 8 + 8], after, field))
    return b"".join(made)
