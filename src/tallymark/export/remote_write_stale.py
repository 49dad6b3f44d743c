"""Series that have ended: each gets a last sample, whose value is a NaN that says so.

A server goes on to show the last value of a series for some minutes, unless it is told.
"""

from __future__ import annotations

from tallymark.export.native_histogram import native_histogram
from tallymark.export.protobuf_labels import NAME, label_field
from tallymark.export.remote_write_buckets import BucketSeries
from tallymark.export.remote_write_labels import named
from tallymark.export.remote_write_summaries import quantiles
from tallymark.export.remote_write_wire import STALE, series_message
from tallymark.metric.data import ExponentialHistogramData, HistogramData, SummaryData
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tallymark.engine import TagSet
    from tallymark.export.remote_write_report import Report
    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import FamilySnapshot

__all__ = ["ended"]

_PORTION = 1024
"""Rows of which only tags are looked at, or labels copied."""


def ended(
    before: Iterable[tuple[str, FamilySnapshot]], after: Iterable[tuple[str, FamilySnapshot]], report: Report
) -> Iterator[bytes]:
    """Yield the last samples of the series that were there before and are there no more, in parts."""
    families = {name: family.data for name, family in after}
    for name, family in before:
        then, now = family.data, families.get(name)
        rows = _gone(then, now, report)
        gone: list[bytes] = []
        for some in portions(len(rows), _PORTION):
            gone += _identities(name, then, rows[some], report)
        still = _remaining(name, [then.tags[row] for row in rows], now, report) if gone else set()
        gone = [labels for labels in dict.fromkeys(gone) if labels not in still]
        for some in portions(len(gone), _PORTION):
            yield b"".join([series_message(labels, _last(report)) for labels in gone[some]])


def _last(report: Report) -> bytes:
    return report.moment.before + STALE + report.moment.after


def _gone(then: Data, now: Data | None, report: Report) -> Sequence[int]:
    """Return the rows of series that may have ended: those whose tags are gone, or whose buckets are others."""
    if now is None or type(now) is not type(then) or getattr(now, "bounds", ()) != getattr(then, "bounds", ()):
        return range(len(then.tags))
    if isinstance(then, ExponentialHistogramData) and isinstance(now, ExponentialHistogramData):
        present = _with_shapes(now, report)
        return [row for row, one in enumerate(_with_shapes(then, report)) if one not in present]
    if then.tags == now.tags:  # as nearly always, and then it takes no time
        return ()
    tags: set[TagSet] = set()
    for rows in portions(len(now.tags), _PORTION):
        tags.update(now.tags[rows])
    gone: list[int] = []
    for rows in portions(len(then.tags), _PORTION):
        gone += [row for row, one in enumerate(then.tags[rows], rows.start) if one not in tags]
    return gone


def _with_shapes(data: ExponentialHistogramData, report: Report) -> dict[object, None]:
    """Return the tags of each series, with what else tells which series it has: its bounds, where they are labels."""
    found: dict[object, None] = {}
    for rows in portions(len(data.tags), _PORTION):
        for row, (tags, scale) in enumerate(zip(data.tags[rows], data.scales[rows], strict=True), rows.start):
            shape = None if report.native and scale >= -4 else _bounds(data, row)
            found[tags, shape] = None
    return found


def _bounds(data: ExponentialHistogramData, row: int) -> object:
    positives, negatives = data.positives[row], data.negatives[row]
    return data.scales[row], positives[0], len(positives[1]), negatives[0], len(negatives[1])


def _remaining(name: str, gone: Sequence[TagSet], now: Data | None, report: Report) -> set[bytes]:
    """Return those labels of series that are there which series that have ended may have had too."""
    if now is None:
        return set()
    wanted = set(gone)
    everything = report.labels.may_repeat()
    still: set[bytes] = set()
    for rows in portions(len(now.tags), _PORTION):
        some = [row for row, tags in enumerate(now.tags[rows], rows.start) if everything or tags in wanted]
        still.update(_identities(name, now, some, report))
    return still


def _identities(name: str, data: Data, rows: Sequence[int], report: Report) -> Iterator[bytes]:
    """Yield the labels of all series of some rows, with their names."""
    tags = [data.tags[row] for row in rows]
    match data:
        case SummaryData():
            for row, labels in zip(rows, report.labels.column(tags, "quantile"), strict=True):
                yield from [named(label_field(NAME, name + end), labels) for end in ("_sum", "_count")]
                yield from [one for one, _ in quantiles(name, labels, data, (row,))]
        case HistogramData():
            series = BucketSeries(name, data.bounds, report)
            for labels in report.labels.column(tags, "le"):
                yield from series.identities(labels)
        case ExponentialHistogramData():
            for row, labels in zip(rows, report.labels.column(tags, "le"), strict=True):
                if report.native and native_histogram(data, (row,)) is not None:
                    yield named(label_field(NAME, name), labels)
                else:
                    yield from BucketSeries(name, data.row(row).bounds, report).identities(labels)
        case _:
            field = label_field(NAME, name)
            yield from [named(field, labels) for labels in report.labels.column(tags)]
