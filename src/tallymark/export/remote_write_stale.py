"""Series that have ended: each gets a last sample, whose value is a NaN that says so.

A server goes on to show the last value of a series for some minutes, unless it is told.
"""

from __future__ import annotations

from itertools import islice

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
    from collections.abc import Container, Iterable, Iterator, Sequence

    from tallymark.engine import TagSet
    from tallymark.export.remote_write_report import Report
    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import FamilySnapshot

__all__ = ["ended"]

_PORTION = 1024
"""Rows of which only tags are looked at, or labels copied."""
_RESERVED = {SummaryData: "quantile", ExponentialHistogramData: "le"}
"""The label that samples have beside those of their series."""


def ended(
    before: Iterable[tuple[str, FamilySnapshot]], after: Iterable[tuple[str, FamilySnapshot]], report: Report
) -> Iterator[bytes]:
    """Yield the last samples of the series that were there before and are there no more, in parts."""
    families = {name: family.data for name, family in after}
    for name, family in before:
        then, now = family.data, families.get(name)
        if isinstance(then, ExponentialHistogramData) and isinstance(now, ExponentialHistogramData):
            gone = _ended_distributions(name, then, now, report)
        else:
            gone = _ended_series(name, then, now, report)
        for some in portions(len(gone), _PORTION):
            yield b"".join([series_message(labels, _last(report)) for labels in gone[some]])


def _ended_series(name: str, then: Data, now: Data | None, report: Report) -> list[bytes]:
    """Return the labels of all series that have ended, with their names."""
    rows = _gone(then, now)
    gone = _identities(name, then, rows, report)
    others = type(now) is not type(then) or report.labels.may_repeat()
    still = _remaining(name, None if others else {then.tags[row] for row in rows}, now, report) if gone else set()
    return [labels for labels in dict.fromkeys(gone) if labels not in still]


def _last(report: Report) -> bytes:
    return report.moment.before + STALE + report.moment.after


def _gone(then: Data, now: Data | None) -> Sequence[int]:
    """Return the rows of series that may have ended: those whose tags are gone; all, where quantiles are others."""
    if now is None or type(now) is not type(then) or getattr(now, "bounds", ()) != getattr(then, "bounds", ()):
        return range(len(then.tags))
    if isinstance(then, SummaryData) and isinstance(now, SummaryData) and (then.quantiles or now.quantiles):
        return () if then.tags == now.tags and _told(then) == _told(now) else range(len(then.tags))
    if then.tags == now.tags:  # as nearly always, and then it takes no time
        return ()
    tags: set[TagSet] = set()
    for rows in portions(len(now.tags), _PORTION):
        tags.update(now.tags[rows])
    gone: list[int] = []
    for rows in portions(len(then.tags), _PORTION):
        gone += [row for row, one in enumerate(then.tags[rows], rows.start) if one not in tags]
    return gone


def _told(data: SummaryData) -> list[list[float]]:
    return [[quantile for quantile, _ in some] for some in data.quantiles]


def _remaining(name: str, wanted: Container[TagSet] | None, now: Data | None, report: Report) -> set[bytes]:
    """Return the labels of series that are there: of those with these tags, or of all."""
    if now is None:
        return set()
    rows: list[int] = []
    for some in portions(len(now.tags), _PORTION):
        rows += [row for row, tags in enumerate(now.tags[some], some.start) if wanted is None or tags in wanted]
    return set(_identities(name, now, rows, report))


def _identities(name: str, data: Data, rows: Sequence[int], report: Report) -> list[bytes]:
    """Return the labels of all series of some rows, with their names."""
    if isinstance(data, SummaryData | ExponentialHistogramData):  # several rows may be one series, which has its own labels
        groups = twins(report.labels_of([data.tags[row] for row in rows], _RESERVED[type(data)]))
        together = [(labels, [rows[place] for place in same]) for labels, same in groups.items()]
        return [one for labels, same in together for one in _together(name, labels, data, same, report)]
    found: list[bytes] = []
    for some in portions(len(rows), _PORTION):
        found += _identities_of(name, data, rows[some], report)
    return found


def _identities_of(name: str, data: Data, rows: Sequence[int], report: Report) -> Iterator[bytes]:
    tags = [data.tags[row] for row in rows]
    match data:
        case HistogramData():
            series = BucketSeries(name, data.bounds, report)
            for labels in report.labels.family("le").column(tags):
                yield from series.identities(labels)
        case _:
            yield from report.labels.family(name=label_field(NAME, name)).column(tags)


def _together(
    name: str, labels: bytes, data: SummaryData | ExponentialHistogramData, rows: Sequence[int], report: Report
) -> list[bytes]:
    """Return the labels of all series of some rows that are one, with their names."""
    if isinstance(data, ExponentialHistogramData):
        return _distribution(name, labels, data, rows, report)
    whole = [named(label_field(NAME, name + end), labels) for end in ("_sum", "_count")]
    return whole + [one for one, _ in quantiles(name, labels, data, rows)]


def _ended_distributions(
    name: str, then: ExponentialHistogramData, now: ExponentialHistogramData, report: Report
) -> list[bytes]:
    """Return the same of exponential histograms, whose bounds may have become others: where they are labels, those end."""
    if then.tags == now.tags and _are_native(then, report) and _are_native(now, report):
        return []
    before, after = (twins(report.labels_of(data.tags, "le")) for data in (then, now))
    gone: list[bytes] = []
    for some in portions(len(before)):
        for labels, rows in islice(before.items(), some.start, some.stop):
            same = after.get(labels)
            if same is None:
                gone += _distribution(name, labels, then, rows, report)
            elif _bounds(then, rows, report) != _bounds(now, same, report):
                kept = set(_distribution(name, labels, now, same, report))
                gone += [one for one in _distribution(name, labels, then, rows, report) if one not in kept]
    return gone


def _are_native(data: ExponentialHistogramData, report: Report) -> bool:
    return report.native and min(data.scales, default=0) >= -4


def _bounds(data: ExponentialHistogramData, rows: Sequence[int], report: Report) -> object:
    """Return what the bounds of some series together depend on; True where these are no labels."""
    if report.native and min([data.scales[row] for row in rows]) >= -4:
        return True
    sides = [(data.positives[row], data.negatives[row]) for row in rows]
    spans = [(above[0], len(above[1]), below[0], len(below[1])) for above, below in sides]
    return [*zip([data.scales[row] for row in rows], spans, strict=True)]


def _distribution(name: str, labels: bytes, data: ExponentialHistogramData, rows: Sequence[int], report: Report) -> list[bytes]:
    """Return the labels of all series of some distributions together, with their names."""
    if report.native and native_histogram(data, rows) is not None:
        return [named(label_field(NAME, name), labels)]
    return BucketSeries(name, data.row(*rows).bounds, report).identities(labels)
