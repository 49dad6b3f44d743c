"""JSON lines: an object for each series, on a line of its own: what `jq` and log pipelines read.

All lines have the keys `time`, `metric`, `kind`, `unit` and `tags`. What follows depends on the kind: `value`; or `count`,
`sum` and, of a distribution, `min`, `max` and its buckets, as a snapshot has them. Numbers that JSON cannot carry are `null`.

Source: RFC 8259 for JSON; RFC 3339 for times; https://jsonlines.org for lines.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from json.encoder import encode_basestring, encode_basestring_ascii
from math import isfinite

from tallymark.export.dropping import are_finite, ignore, once
from tallymark.export.series_texts import portions_of
from tallymark.export.tag_frames import Frames, characters
from tallymark.metric.data import ExponentialHistogramData, HistogramData, SummaryData, number_lines, tag_texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tallymark.engine import TagSet
    from tallymark.engine.exemplar import Exemplar
    from tallymark.engine.exponential import Buckets
    from tallymark.export.dropping import Dropped
    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import FamilySnapshot, Snapshot

__all__ = ["parts"]

_CHARACTERS = characters(lambda value: value if value.isprintable() and value not in '"\\' else "\0")
"""What needs no escape."""
_LAST = 253402300799
"""The last second that has a name in RFC 3339: that of the year 9999."""


def parts(
    snapshot: Snapshot, *, prefix: str = "", tags: Mapping[str, str] | None = None, dropped: Dropped = ignore
) -> Iterator[bytes]:
    """Yield the lines of a snapshot, some hundred at a time.

    Args:
        prefix: begins each metric's name.
        tags: for all series; a series' own win.
        dropped: is told which metrics have values that JSON cannot carry.
    """
    tell, texts = once(dropped), _Tags(tags or {})
    for family in snapshot.families:
        if not are_finite(family.data):
            tell(family.name, "unsupported_value")
        start = _start(snapshot.time, prefix, family)
        for rows in portions_of(family.data):
            yield _lines(start, texts.column(family.data.tags[rows]), family.data, rows)


def _lines(start: str, texts: Sequence[str], data: Data, rows: slice) -> bytes:
    if not getattr(data, "exemplars", ()) and (values := getattr(data, "values", None)) is not None:
        found = number_lines(texts, values[rows], start, '},"value":', "}\n")
        if found is not None and found[1] == len(texts):  # else some number is `null`
            return found[0]
    fields = zip(texts, _values(data, rows), strict=True)
    return "".join([f"{start}{text}}},{some}}}\n" for text, some in fields]).encode()


def _start(time: float, prefix: str, family: FamilySnapshot) -> str:
    name, kind, unit = _text(prefix + family.name), _text(family.kind), _text(family.unit)
    return f'{{"time":"{_moment(time)}","metric":{name},"kind":{kind},"unit":{unit},"tags":{{'


def _moment(time: float) -> str:
    seconds = min(max(time, 0.0), _LAST) if isfinite(time) else 0.0
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat(timespec='milliseconds')[:-6]}Z"


def _text(text: str) -> str:
    """Return a string of JSON. All that is not printable is escaped: to some programs, more than a newline ends a line."""
    return encode_basestring(text) if text.isprintable() else encode_basestring_ascii(text)


def _pairs(tags: Mapping[str, str]) -> str:
    return ",".join([f"{_text(key)}:{_text(value)}" for key, value in tags.items()])


class _Tags:
    """The tags of each series, between the braces of an object.

    Args:
        common: for all series; a series' own win.
    """

    def __init__(self, common: Mapping[str, str]) -> None:
        self._common = common
        self._frames = Frames(self._written)

    def column(self, tags: Sequence[TagSet]) -> list[str]:
        texts, *_ = tag_texts(tags, self._frames, _CHARACTERS, sys.maxsize)
        return [self._written(one) if text is None else text for one, text in zip(tags, texts, strict=True)]

    def _written(self, tags: Mapping[str, str]) -> str:
        return _pairs({**self._common, **tags} if self._common else tags)


def _number(value: float) -> str:
    return repr(value) if isfinite(value) else "null"


def _values(data: Data, rows: slice) -> list[str]:
    """Return what a line has after its tags, for some rows."""
    match data:
        case SummaryData():
            texts = [
                f'"count":{count},"sum":{_number(total)}'
                for count, total in zip(data.counts[rows], data.sums[rows], strict=True)
            ]
        case HistogramData():
            bounds = ",".join(map(_number, data.bounds))
            texts = [
                f'{_totals(data, row)},"bounds":[{bounds}],"bucket_counts":{_counts(data.bucket_counts[row])}'
                for row in range(len(data.tags))[rows]
            ]
        case ExponentialHistogramData():
            texts = [f"{_totals(data, row)},{_exponential(data, row)}" for row in range(len(data.tags))[rows]]
        case _:
            texts = [f'"value":{_number(value)}' for value in data.values[rows]]
    exemplars = getattr(data, "exemplars", ())[rows]
    return [text + _exemplars(some) for text, some in zip(texts, exemplars, strict=True)] if exemplars else texts


def _totals(data: HistogramData | ExponentialHistogramData, row: int) -> str:
    if isinstance(data, HistogramData):
        count = sum(data.bucket_counts[row])
    else:
        count = data.zero_counts[row] + sum(data.positives[row][1]) + sum(data.negatives[row][1])
    return f'"count":{count},"sum":{_number(data.sums[row])},"min":{_number(data.mins[row])},"max":{_number(data.maxs[row])}'


def _exponential(data: ExponentialHistogramData, row: int) -> str:
    return (
        f'"scale":{data.scales[row]},"zero_count":{data.zero_counts[row]}'
        f',"positive":{_buckets(data.positives[row])},"negative":{_buckets(data.negatives[row])}'
    )


def _buckets(buckets: Buckets) -> str:
    first, counts = buckets
    return f'{{"offset":{first},"bucket_counts":{_counts(counts)}}}'


def _counts(counts: Sequence[int]) -> str:
    return f"[{','.join(map(str, counts))}]"


def _exemplars(exemplars: Sequence[Exemplar]) -> str:
    texts = [
        f'{{"time":"{_moment(one.time)}","value":{_number(one.value)},"labels":{{{_pairs(dict(one.labels))}}}}}'
        for one in exemplars
    ]
    return f',"exemplars":[{",".join(texts)}]' if texts else ""
