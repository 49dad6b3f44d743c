"""InfluxDB's line protocol: `measurement,tag=value field=1.0 nanoseconds`, a line for each series.

Measurements and fields are those that Telegraf (`metric_version = 1`) and OpenTelemetry's collector (`telegraf-prometheus-v1`)
write: `counter` or `gauge`; of distributions `count`, `sum`, `min`, `max`, and a field for each bucket, named after its upper
bound, which counts what is in the lower ones too. All fields are floats, so that no report conflicts with another.

Source: https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/. It has no escape for a backslash, and
parsers differ about one that stands before a backslash, a comma, an equals sign or a space, or ends a text. Such a one becomes
`_`, and so does each control character.
"""

from __future__ import annotations

import re
from itertools import accumulate
from math import inf, isfinite

from tallymark.export.dropping import are_finite, ignore, once
from tallymark.export.series_texts import SeriesTexts, TagFormat, portions_of
from tallymark.export.tag_frames import Changed, characters
from tallymark.metric.data import ExponentialHistogramData, HistogramData, SumData, SummaryData, number_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tallymark.engine.histogram_snapshot import HistogramSnapshot
    from tallymark.export.dropping import Dropped
    from tallymark.export.tag_frames import Written
    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import Snapshot

__all__ = ["parts", "series_texts"]

_IN_NAME = re.compile(r"[^A-Za-z0-9_.:/-]")
_IN_TEXT = re.compile(r"[\x00-\x1f\x7f]|\\(?=[\\,= ]|\Z)")
"""What may not be in the key or the value of a tag."""
_ESCAPED = re.compile("[,= ]")
_CHARACTERS = characters(lambda value: _IN_TEXT.sub("_", value), odd="\\,= ")

_RESERVED = frozenset(["time", "_time", "_field", "_measurement"])
"""Keys that are not for tags: InfluxDB drops points that have them, or reads them otherwise."""
_MOST_BYTES = 60_000
"""Of the tags of a series: InfluxDB drops one whose measurement, tags and field have more than 65,535."""
_LAST = 2**63 - 2
"""The last nanosecond that InfluxDB knows. Source: its page "Schema and data layout"."""


def series_texts(tags: Mapping[str, str]) -> SeriesTexts:
    """Return what `parts` needs to keep: the tags of series as lines have them."""
    return SeriesTexts(_tag_format, tags)


def parts(snapshot: Snapshot, texts: SeriesTexts, *, prefix: str = "", dropped: Dropped = ignore) -> Iterator[bytes]:
    """Yield the lines of a snapshot, some hundred at a time. Numbers that are not finite have no field.

    Args:
        texts: what `series_texts` returned, for this and other reports.
        prefix: begins each metric's name.
        dropped: is told which metrics have values or tags that cannot be told as they are.
    """
    tell, end = once(dropped), f" {_nanoseconds(snapshot.time)}\n"
    for series in texts.of(snapshot):
        family, data = series.family, series.data
        name = _IN_NAME.sub("_", prefix + family.name) or "_"
        if not series.exact or name != prefix + family.name:
            tell(family.name, "name")
        if not are_finite(data):
            tell(family.name, "unsupported_value")
        for rows in portions_of(data) if series.texts else ():
            lines = _lines(name, series.texts[rows], data, rows, end)
            if lines:
                yield lines


def _nanoseconds(time: float) -> int:
    """Return a time, to the microsecond: a double has no more of it."""
    return min(max(round(time * 1e6) * 1000, 0), _LAST) if isfinite(time * 1e6) else 0


def _lines(name: str, texts: Sequence[str], data: Data, rows: slice, end: str) -> bytes:
    match data:
        case SummaryData():
            pairs = zip(data.counts[rows], data.sums[rows], strict=True)
            fields = [_joined((("count", count), ("sum", total))) for count, total in pairs]
        case HistogramData() | ExponentialHistogramData():
            fields = [_distribution(data.row(row)) for row in range(len(data.tags))[rows]]
        case _:
            field = "counter" if isinstance(data, SumData) and data.monotonic else "gauge"
            values = data.values[rows]
            found = number_lines(texts, values, name, f" {field}=", end)
            if found is not None:
                return found[0]
            fields = [f"{field}={value!r}" if isfinite(value) else "" for value in values]
    return "".join([f"{name}{text} {some}{end}" for text, some in zip(texts, fields, strict=True) if some]).encode()


def _distribution(one: HistogramSnapshot) -> str:
    counts = zip(map(_bound, (*one.bounds, inf)), accumulate(one.bucket_counts), strict=True)
    return _joined((("count", one.count), ("sum", one.sum), ("min", one.min), ("max", one.max), *counts))


def _bound(bound: float) -> str:
    return "+Inf" if bound == inf else repr(bound).removesuffix(".0")


def _joined(fields: Iterable[tuple[str, float]]) -> str:
    return ",".join([f"{name}={float(value)!r}" for name, value in fields if isfinite(value)])


def _tag_format(kind: type[Data]) -> TagFormat:
    """Return how the tags of series of a type are told. A tag that has the name of a field gets another one."""
    spread = issubclass(kind, SummaryData | HistogramData | ExponentialHistogramData)
    fields = ("count", "sum", "min", "max") if spread else ("counter", "gauge")
    reserved = _RESERVED.union(fields)
    return TagFormat(lambda tags: _escaped(tags, reserved), _CHARACTERS, _MOST_BYTES)


def _escaped(tags: Mapping[str, str], reserved: frozenset[str]) -> Written:
    """Return tags, sorted by key. One with an empty value is left out: InfluxDB knows none."""
    told = [(key, value) for key, value in tags.items() if value]
    changed = [(_IN_TEXT.sub("_", key), _IN_TEXT.sub("_", value)) for key, value in told]
    named = [(f"exported_{key}" if key in reserved else key, value) for key, value in changed]
    pairs = dict(sorted(_unique(named)))
    text = "".join([f",{_ESCAPED.sub(_escape, key)}={_ESCAPED.sub(_escape, value)}" for key, value in pairs.items()])
    return _written(text, named == told)


def _escape(found: re.Match[str]) -> str:
    return f"\\{found[0]}"


def _written(text: str, exact: bool) -> Written:
    if len(text) * 4 > _MOST_BYTES and len(text.encode()) > _MOST_BYTES:
        return None
    return text if exact else Changed(text)


def _unique(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    taken: dict[str, str] = {}
    for key, value in pairs:
        while key in taken:
            key += "_"
        taken[key] = value
    return list(taken.items())
