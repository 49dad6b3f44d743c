"""Families as messages `MetricFamily`, each after its length."""

from __future__ import annotations

from functools import partial

from tallymark.export.escaping import metric_names
from tallymark.export.protobuf_histograms import exponential_histograms, histograms, summaries
from tallymark.export.protobuf_labels import family_labels
from tallymark.export.protobuf_messages import MetricFamily
from tallymark.export.protobuf_numbers import counters, gauges
from tallymark.export.protobuf_wire import varint
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
    from collections.abc import Callable, Mapping

    from tallymark.export.protobuf_labels import FamilyLabels
    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import FamilySnapshot, Snapshot

__all__ = ["families"]

_COUNTER, _GAUGE, _SUMMARY, _HISTOGRAM = 0, 1, 2, 4
"""Members of the enumeration `MetricType`."""


def families(snapshot: Snapshot, *, classic: bool, escaping: str, tags: Mapping[str, str]) -> list[bytes]:
    """Return the messages of all families that have series, in parts."""
    labels_of = partial(family_labels, escaping, tags=tuple(tags.items()))
    parts: list[bytes] = []
    for family, name in zip(snapshot.families, metric_names(snapshot.families, escaping), strict=True):
        if len(family) == 0:  # all that it had were removed, or expired
            continue
        kind, metrics = _metrics(family.data, labels_of, escaping, classic)
        head = _head(family, name, kind)
        parts += [varint(len(head) + sum(map(len, metrics))), head, *metrics]
    return parts


def _head(family: FamilySnapshot, name: str, kind: int) -> bytes:
    """Return all of a family but its series."""
    message = MetricFamily(name=name, type=kind)
    if family.description:
        message.help = family.description.encode("utf-8", "replace").decode()
    if family.unit and name.removesuffix("_total").endswith(f"_{family.unit}"):  # Prometheus rejects any other
        message.unit = family.unit
    head: bytes = message.SerializeToString()
    return head


def _metrics(data: Data, labels_of: Callable[[str], FamilyLabels], escaping: str, classic: bool) -> tuple[int, list[bytes]]:
    """Return the type of a family, and its series.

    Args:
        labels_of: returns what writes labels, where one has a name that is reserved.
    """
    match data:
        case HistogramData():
            return _HISTOGRAM, histograms(labels_of("le").whole(data.tags), data, escaping)
        case ExponentialHistogramData():
            return _HISTOGRAM, exponential_histograms(labels_of("le").whole(data.tags), data, escaping, classic)
        case SummaryData():
            return _SUMMARY, summaries(labels_of("quantile").whole(data.tags), data)
        case SumData(monotonic=True):
            return _COUNTER, counters(labels_of(""), data, escaping)
        case SumData() | GaugeData() | InfoData() | StateSetData():
            return _GAUGE, gauges(labels_of(""), data)
