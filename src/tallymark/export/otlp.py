"""OpenTelemetry's protocol for metrics, OTLP, in protobuf: totals or differences.

A report is parts, each of which is a message `ScopeMetrics` with one metric and some of its points. `request` puts any
number of them into one request, in which the parts of one metric are one again.

Sources: https://opentelemetry.io/docs/specs/otlp/, https://opentelemetry.io/docs/specs/otel/metrics/data-model/, and
"Prometheus and OpenMetrics Compatibility" for infos, states and units.
"""

from __future__ import annotations

from functools import partial
from itertools import groupby
from operator import itemgetter

from tallymark.export.otlp_attributes import read_varint
from tallymark.export.otlp_messages import field, metric_head, resource_message, scope_message
from tallymark.export.otlp_points import exponential_points, gauge_points, histogram_points, sum_points, summary_points
from tallymark.export.otlp_times import Times, nanoseconds
from tallymark.export.protobuf_fields import ends_of_fields
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
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from tallymark.metric.snapshot import FamilySnapshot, Snapshot

__all__ = ["halves", "is_target", "parts", "request", "target_attributes"]

_GAUGE, _SUM, _HISTOGRAM, _EXPONENTIAL, _SUMMARY = b"\x2a", b"\x3a", b"\x4a", b"\x52", b"\x5a"
"""The tags of the data of a message `Metric`."""
_DATA = (_GAUGE, _SUM, _HISTOGRAM, _EXPONENTIAL, _SUMMARY)
_TEMPORALITIES = {True: b"\x10\x01", False: b"\x10\x02"}
"""The field `aggregation_temporality`: delta or cumulative."""
_MONOTONIC = b"\x18\x01"

_NUMBERS, _DISTRIBUTIONS, _EXPONENTIALS = 256, 64, 32
"""Series in a part: a few dozen KB, and a quarter of a millisecond."""


def parts(
    snapshot: Snapshot,
    *,
    prefix: str = "",
    tags: Mapping[str, str] | None = None,
    delta: bool = False,
    since: float = 0.0,
) -> Iterator[bytes]:
    """Yield a report, in parts that can be sent one by one.

    Args:
        snapshot: totals; or, if `delta`, what was added since `since` to counters, distributions and summaries. All else is
            told as it is, in both.
        prefix: begins each metric's name.
        tags: for all series; a series' own win.
        delta: what the snapshot has.
        since: when the snapshot before was taken, in seconds since the epoch; 0 if there was none.
    """
    times = Times(nanoseconds(snapshot.time), nanoseconds(since) if delta else 0, delta)
    names = {family.name for family in snapshot.families}
    for family in snapshot.families:
        if not is_target(family):
            yield from _metric(family, metric_head(family, prefix + _name(family, names)), times, tags or {})


def _name(family: FamilySnapshot, taken: Collection[str]) -> str:
    """Return a metric's name. That of an info ends in `_info`, as everywhere; unless another metric has that name."""
    name = f"{family.name}_info"
    return name if family.kind == "info" and not family.name.endswith("_info") and name not in taken else family.name


def _metric(family: FamilySnapshot, head: bytes, times: Times, more: Mapping[str, str]) -> Iterator[bytes]:
    tag, size, points, tail = _kind(family, times)
    for rows in portions(len(family), size):
        made = points(rows=rows, times=times, more=more)
        if made:
            yield b"".join(_metric_field(head + tag, [made + tail]))


def _kind(family: FamilySnapshot, times: Times) -> tuple[bytes, int, Callable[..., bytes], bytes]:
    """Return the tag of a metric's data, how many series are a part, what makes their points, and what follows these."""
    delta = times.delta
    match family.data:
        case GaugeData() as gauges:
            return _GAUGE, _NUMBERS, partial(gauge_points, gauges), b""
        case SumData(monotonic=True) as totals:
            return _SUM, _NUMBERS, partial(sum_points, totals, delta=delta), _TEMPORALITIES[delta] + _MONOTONIC
        case SumData() | InfoData() | StateSetData() as counts:
            return _SUM, _NUMBERS, partial(sum_points, counts, delta=False), _TEMPORALITIES[False]
        case HistogramData() as buckets:
            return _HISTOGRAM, _DISTRIBUTIONS, partial(histogram_points, buckets, delta=delta), _TEMPORALITIES[delta]
        case ExponentialHistogramData() as exponential:
            return _EXPONENTIAL, _EXPONENTIALS, partial(exponential_points, exponential, delta=delta), _TEMPORALITIES[delta]
        case SummaryData() as summaries if delta:
            return _HISTOGRAM, _NUMBERS, partial(summary_points, summaries, delta=True), _TEMPORALITIES[True]
        case SummaryData() as summaries:
            return _SUMMARY, _NUMBERS, partial(summary_points, summaries, delta=False), b""


def request(parts: Sequence[bytes], resource: Mapping[str, str | bool | int | float], version: str) -> bytes:
    """Return parts of reports as one message `ExportMetricsServiceRequest`.

    Args:
        parts: what `parts` yielded.
        resource: attributes of whom the metrics tell.
        version: of Tallymark.
    """
    scope = field(b"\x0a", scope_message("tallymark", version))
    resource_field = field(b"\x0a", resource_message(resource))
    metrics = [
        metric
        for start, same in groupby(map(_opened, parts), key=itemgetter(0))
        for metric in _metric_field(start, [points for _, points in same])
    ]
    scope_head = b"\x12" + varint(len(scope) + sum(map(len, metrics)))
    length = len(resource_field) + len(scope_head) + len(scope) + sum(map(len, metrics))
    return b"".join((b"\x0a", varint(length), resource_field, scope_head, scope, *metrics))


def _opened(part: bytes) -> tuple[bytes, memoryview]:
    """Return a part without its lengths: what is the same in all parts of a metric, and points, which are not copied."""
    _, first = read_varint(part, 1)
    at = first
    while True:
        length, start = read_varint(part, at + 1)
        if part[at : at + 1] in _DATA:
            return part[first : at + 1], memoryview(part)[start:]
        at = start + length


def _metric_field(start: bytes, bodies: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
    """Return the field `metrics`, in pieces. Each body ends with the fields that follow the points: the last of them counts."""
    length = varint(sum(map(len, bodies)))
    size = len(start) + len(length) + sum(map(len, bodies))
    return [b"\x12", varint(size), start, length, *bodies]


def halves(part: bytes) -> tuple[bytes, ...]:
    """Return two parts that have half of the points of one each; none if it has a single one."""
    start, body = _opened(part)
    ends = ends_of_fields(body, b"\x0a")
    if len(ends) < 2:
        return ()
    middle = ends[len(ends) // 2 - 1]
    both = body[:middle], body[middle : ends[-1]]
    return tuple([b"".join(_metric_field(start, [points, body[ends[-1] :]])) for points in both])


def is_target(family: FamilySnapshot) -> bool:
    """Return True for the info whose tags describe whom the metrics tell of."""
    return family.name in ("target", "target_info") and isinstance(family.data, InfoData)


def target_attributes(snapshot: Snapshot) -> dict[str, str]:
    """Return the tags of the info `target_info`; none if there is none."""
    found = [tags for family in snapshot.families if is_target(family) for tags in family.data.tags]
    return dict(found[0]) if found else {}
