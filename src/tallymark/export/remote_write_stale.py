"""Series that have ended: each gets a last sample, whose value is a NaN that says so.

A server goes on to show the last value of a series for some minutes, unless it is told.
"""

from __future__ import annotations

from tallymark.export.native_histogram import native_histogram
from tallymark.export.protobuf_labels import NAME, label_field, twins
from tallymark.export.remote_write_buckets import BucketSeries
from tallymark.export.remote_write_labels import named
from tallymark.export.remote_write_summaries import quantiles
from tallymark.export.remote_write_wire import STALE, series_message
from tallymark.metric.data import ExponentialHistogramData, HistogramData, SummaryData
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from tallymark.engine import TagSet
    from tallymark.export.remote_write_report import Report
    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import FamilySnapshot

__all__ = ["ended"]

_PORTION = 1024
"""Rows of which only tags are looked at, or labels copied."""
_LEAST_SCALE = -4
"""Of a native histogram."""
_RESERVED = {SummaryData: "quantile", HistogramData: "le", ExponentialHistogramData: "le"}
"""The labels that samples have beside those of their series."""


def ended(
    before: Iterable[tuple[str, FamilySnapshot]], after: Iterable[tuple[str, FamilySnapshot]], report: Report
) -> Iterator[bytes]:
    """Yield the last samples of the series that were there before and are there no more, in parts."""
    families = {name: family.data for name, family in after}
    for name, family in before:
        then, now = family.data, families.get(name)
        rows = _gone(then, now, report)
        gone = _identities(name, then, rows, report) if rows else []
        still = _remaining(name, {then.tags[row] for row in rows}, now, report) if gone else set()
        gone = [labels for labels in dict.fromkeys(gone) if labels not in still]
        for some in portions(len(gone), _PORTION):
            yield b"".join([series_message(labels, _last(report)) for labels in gone[some]])


def _last(report: Report) -> bytes:
    return report.moment.before + STALE + report.moment.after


def _gone(then: Data, now: Data | None, report: Report) -> Sequence[int]:
    """Return the rows of series that may have ended: those whose tags are gone, or whose buckets or quantiles are others."""
    if now is None or type(now) is not type(then) or getattr(now, "bounds", ()) != getattr(then, "bounds", ()):
        return range(len(then.tags))
    if _has_shapes(then, report) or _has_shapes(now, report):
        had, present = _with_shapes(then, report), _with_shapes(now, report)
        if report.labels.may_repeat() and had.keys() != present.keys():
            return range(len(then.tags))  # several rows may be one series, whose buckets depend on all of them
        return [row for row, one in enumerate(had) if one not in present]
    if then.tags == now.tags:  # as nearly always, and then it takes no time
        return ()
    tags: set[TagSet] = set()
    for rows in portions(len(now.tags), _PORTION):
        tags.update(now.tags[rows])
    gone: list[int] = []
    for rows in portions(len(then.tags), _PORTION):
        gone += [row for row, one in enumerate(then.tags[rows], rows.start) if one not in tags]
    return gone


def _has_shapes(data: Data, report: Report) -> bool:
    """Return True if more than its tags tells which series a row has."""
    match data:
        case SummaryData():
            return len(data.quantiles) > 0
        case ExponentialHistogramData():
            return not report.native or min(data.scales, default=0) < _LEAST_SCALE
        case _:
            return False


def _with_shapes(data: Data, report: Report) -> dict[tuple[TagSet, object], None]:
    """Return the tags of each series, with what else tells which series it has: bounds or quantiles that are labels."""
    found: dict[tuple[TagSet, object], None] = {}
    for rows in portions(len(data.tags), _PORTION):
        for row, tags in enumerate(data.tags[rows], rows.start):
            found[tags, _shape(data, row, report)] = None
    return found


def _shape(data: Data, row: int, report: Report) -> object:
    if isinstance(data, SummaryData):
        return tuple([quantile for quantile, _ in data.quantiles[row]]) if data.quantiles else ()
    if isinstance(data, ExponentialHistogramData) and not (report.native and data.scales[row] >= _LEAST_SCALE):
        return _bounds(data, row)
    return None


def _bounds(data: ExponentialHistogramData, row: int) -> object:
    positives, negatives = data.positives[row], data.negatives[row]
    return data.scales[row], positives[0], len(positives[1]), negatives[0], len(negatives[1])


def _remaining(name: str, gone: Collection[TagSet], now: Data | None, report: Report) -> set[bytes]:
    """Return those labels of series that are there which series that have ended may have had too."""
    if now is None:
        return set()
    everything = report.labels.may_repeat()
    some: list[int] = []
    for rows in portions(len(now.tags), _PORTION):
        some += [row for row, tags in enumerate(now.tags[rows], rows.start) if everything or tags in gone]
    return set(_identities(name, now, some, report))


def _identities(name: str, data: Data, rows: Sequence[int], report: Report) -> list[bytes]:
    """Return the labels of all series of some rows, with their names. Rows that have the same labels are one."""
    labels = report.labels_of([data.tags[row] for row in rows], _RESERVED.get(type(data), ""))
    groups = [(one, [rows[at] for at in places]) for one, places in twins(labels).items()]
    found: list[bytes] = []
    for some in portions(len(groups), _PORTION):
        found += _identities_of(name, data, groups[some], report)
    return found


def _identities_of(name: str, data: Data, groups: Sequence[tuple[bytes, list[int]]], report: Report) -> Iterator[bytes]:
    match data:
        case SummaryData():
            for labels, rows in groups:
                yield from [named(label_field(NAME, name + end), labels) for end in ("_sum", "_count")]
                yield from [one for one, _ in quantiles(name, labels, data, rows)]
        case HistogramData():
            series = BucketSeries(name, data.bounds, report)
            for labels, _ in groups:
                yield from series.identities(labels)
        case ExponentialHistogramData():
            for labels, rows in groups:
                if report.native and native_histogram(data, rows) is not None:
                    yield named(label_field(NAME, name), labels)
                else:
                    yield from BucketSeries(name, data.row(*rows).bounds, report).identities(labels)
        case _:
            field = label_field(NAME, name)
            yield from [named(field, labels) for labels, _ in groups]
