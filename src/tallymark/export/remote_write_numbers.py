"""Series that hold one number, as messages `TimeSeries`."""

from __future__ import annotations

from tallymark.export.protobuf_labels import NAME, label_field, newest, twins
from tallymark.export.remote_write_wire import Prefixes, doubles, series_message
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tallymark.engine.exemplar import Exemplar
    from tallymark.export.protobuf_labels import FamilyLabels
    from tallymark.export.remote_write_report import Report
    from tallymark.metric.data import GaugeData, InfoData, StateSetData, SumData

__all__ = ["counters", "gauges", "numbers"]


def gauges(name: str, data: GaugeData | SumData | InfoData | StateSetData, report: Report) -> Iterable[bytes]:
    """Return the series of a gauge, in parts. Of those that have the same labels, the last one stays."""
    labels = report.labels.family(name=label_field(NAME, name))
    parts = _parts(labels, data, (), report)
    if not labels.may_repeat or not labels.repeat(data.tags):
        return parts
    del parts
    merged = dict(zip(labels.whole(data.tags), data.values, strict=True))
    return numbers(b"", list(merged), list(merged.values()), report)


def counters(name: str, data: SumData, report: Report) -> Iterable[bytes]:
    """Return the series of a counter, in parts. Those that have the same labels add up."""
    labels, column = report.labels.family(name=label_field(NAME, name)), data.exemplars
    parts = _parts(labels, data, column, report)
    if not labels.may_repeat or not labels.repeat(data.tags):
        return parts
    del parts
    groups = twins(labels.whole(data.tags))
    same = groups.values()
    exemplars = [[one for row in rows for one in column[row]] for rows in same] if column else ()
    return numbers(b"", list(groups), [sum([data.values[row] for row in rows]) for rows in same], report, exemplars)


def numbers(
    start: bytes,
    labels: Sequence[bytes],
    values: Sequence[float],
    report: Report,
    exemplars: Sequence[Sequence[Exemplar]] = (),
) -> Iterator[bytes]:
    """Yield series, each with a value. The labels of all begin with `start`."""
    prefixes = Prefixes(start, report.moment.size)
    for rows in portions(len(labels)):
        yield _part(prefixes, labels[rows], values[rows], exemplars[rows], report)


def _parts(
    labels: FamilyLabels,
    data: GaugeData | SumData | InfoData | StateSetData,
    exemplars: Sequence[Sequence[Exemplar]],
    report: Report,
) -> list[bytes]:
    """Return the series of a family, whose labels are made on the way."""
    prefixes, tags, values = Prefixes(b"", report.moment.size), data.tags, data.values
    return [_part(prefixes, labels.column(tags[rows]), values[rows], exemplars[rows], report) for rows in portions(len(tags))]


def _part(
    prefixes: Prefixes,
    labels: Sequence[bytes],
    values: Sequence[float],
    exemplars: Sequence[Sequence[Exemplar]],
    report: Report,
) -> bytes:
    if exemplars:
        return _with_exemplars(prefixes.start, labels, values, exemplars, report)
    return _numbers(prefixes, labels, doubles(values), report)


def _numbers(prefixes: Prefixes, labels: Sequence[bytes], values: bytes, report: Report) -> bytes:
    before, after = report.moment.before, report.moment.after
    places = range(0, len(values), 8)
    return b"".join(
        [
            b"".join((prefixes[len(label)], label, before, values[at : at + 8], after))
            for label, at in zip(labels, places, strict=True)
        ]
    )


def _with_exemplars(
    start: bytes, labels: Sequence[bytes], values: Sequence[float], exemplars: Sequence[Sequence[Exemplar]], report: Report
) -> bytes:
    before, after, numbers = report.moment.before, report.moment.after, doubles(values)
    made = []
    for row, (label, some) in enumerate(zip(labels, exemplars, strict=True)):
        field = report.exemplar_field(newest(report.exemplars(some)))
        made.append(series_message(start, label, before, numbers[row * 8 : row * 8 + 8], after, field))
    return b"".join(made)
