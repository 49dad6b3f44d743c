"""Prometheus remote write 1.0: a snapshot as parts of a message `WriteRequest`.

Names, labels and the merging of series are those of Prometheus' text format. An exponential histogram is a native one.

Source: https://prometheus.io/docs/specs/prw/remote_write_spec/
"""

from __future__ import annotations

from tallymark.export.escaping import SCHEMES, UNDERSCORES, metric_names
from tallymark.export.protobuf_wire import varint
from tallymark.export.remote_write_histograms import exponential_histograms, histograms
from tallymark.export.remote_write_labels import RemoteWriteLabels
from tallymark.export.remote_write_numbers import counters, gauges
from tallymark.export.remote_write_report import Report
from tallymark.export.remote_write_stale import ended
from tallymark.export.remote_write_summaries import summaries
from tallymark.metric.data import (
    ExponentialHistogramData,
    GaugeData,
    HistogramData,
    InfoData,
    StateSetData,
    SumData,
    SummaryData,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import FamilySnapshot, Snapshot

__all__ = ["remote_write_parts"]

_METADATA = b"\x1a"
"""The tag of the field `metadata` of `WriteRequest`."""
_COUNTER, _GAUGE, _HISTOGRAM, _SUMMARY = 1, 2, 3, 5
"""Members of the enumeration `MetricType`, which is not that of a scrape."""
_LEAST = 8192
"""Bytes of a part, unless it is the last."""


def remote_write_parts(
    snapshot: Snapshot,
    *,
    prefix: str = "",
    labels: RemoteWriteLabels | None = None,
    before: Snapshot | None = None,
    native: bool = True,
) -> Iterator[bytes]:
    """Yield parts of a message `WriteRequest`, of some KB. Any number of them, one after the other, is such a message too.

    Args:
        snapshot: what to tell.
        prefix: begins each name.
        labels: makes those of the series, and knows the tags that all have. The one that is used again is faster.
        before: what was told last. Series that are gone since then are said to have ended, and exemplars that were told
            then are left out.
        native: exponential histograms are native ones; False: they have classic buckets, as in text.
    """
    labels = labels or RemoteWriteLabels()
    report = Report(snapshot.time, labels, before.time if before else 0.0, native)
    return _gathered(_fields(snapshot, prefix, report, before))


def _fields(snapshot: Snapshot, prefix: str, report: Report, before: Snapshot | None) -> Iterator[bytes]:
    families = _named(snapshot, prefix)
    for name, family in families:
        yield _metadata(family, name)
    for name, family in families:
        yield from _series(name, family.data, report)
    if before is not None:
        yield from ended(_named(before, prefix), families, report)


def _named(snapshot: Snapshot, prefix: str) -> list[tuple[str, FamilySnapshot]]:
    """Return the families that have series, by their names."""
    start = SCHEMES[UNDERSCORES](prefix, ":")
    names = metric_names(snapshot.families, UNDERSCORES)
    return [(start + name, family) for name, family in zip(names, snapshot.families, strict=True) if len(family)]


def _gathered(fields: Iterable[bytes]) -> Iterator[bytes]:
    gathered: list[bytes] = []
    size = 0
    for field in fields:
        gathered.append(field)
        size += len(field)
        if size >= _LEAST:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


def _metadata(family: FamilySnapshot, name: str) -> bytes:
    unit = family.unit if family.unit and name.removesuffix("_total").endswith(f"_{family.unit}") else ""
    texts = ((b"\x12", name), (b"\x22", family.description), (b"\x2a", unit))
    fields = [tag + varint(len(text)) + text for tag, text in [(tag, _utf8(text)) for tag, text in texts] if text]
    message = b"".join((b"\x08", varint(_type(family.data)), *fields))
    return _METADATA + varint(len(message)) + message


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _type(data: Data) -> int:
    match data:
        case SumData(monotonic=True):
            return _COUNTER
        case SumData() | GaugeData() | InfoData() | StateSetData():
            return _GAUGE
        case SummaryData():
            return _SUMMARY
        case HistogramData() | ExponentialHistogramData():
            return _HISTOGRAM


def _series(name: str, data: Data, report: Report) -> Iterable[bytes]:
    match data:
        case SumData(monotonic=True):
            return counters(name, data, report)
        case SumData() | GaugeData() | InfoData() | StateSetData():
            return gauges(name, data, report)
        case SummaryData():
            return summaries(name, data, report)
        case HistogramData():
            return histograms(name, data, report)
        case ExponentialHistogramData():
            return exponential_histograms(name, data, report)
