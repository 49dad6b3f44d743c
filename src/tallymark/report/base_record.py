"""The totals that a backend was told, as bytes: what one process keeps for the next one that reports.

A record is a line that tells what it is, a header in JSON, columns of numbers, and a checksum. It is believed only if all of it
fits together.
"""

from __future__ import annotations

import json
import sys
import zlib
from array import array
from itertools import accumulate, chain, islice, pairwise
from math import nan
from typing import TYPE_CHECKING

from tallymark.engine.exponential import TOP_SCALE
from tallymark.metric.data import ExponentialHistogramData, HistogramData, SumData, SummaryData
from tallymark.metric.departures import is_total
from tallymark.metric.portions import portions
from tallymark.metric.snapshot import FamilySnapshot, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from tallymark.engine import TagSet
    from tallymark.metric.data import Data

__all__ = ["RecordWriter", "read_record"]

_MAGIC = f"tallymark reported 1 {sys.byteorder}\n".encode()
_LENGTH = 8
_CHECKSUM = 4
_NUMBERS = 8192
"""In a portion: they take a fraction of a millisecond."""

_COARSEST = -32
_MOST_BUCKETS = 4096
_FARTHEST = 2**40  # index of a bucket


class RecordWriter:
    """Writes records of one registry. It keeps the text of tags, most of which do not change from one record to the next."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Sequence[TagSet], bytes]] = {}

    def write(self, snapshot: Snapshot) -> bytes:
        """Return the totals of a snapshot as bytes."""
        families = [family for family in snapshot.families if is_total(family.data)]
        self._known = {family.name: self._tags(family) for family in families}
        columns: list[bytes] = []
        heads = [_head(family, columns) for family in families]
        header = json.dumps({"time": snapshot.time, "families": heads}).encode()
        tags = b"".join([self._known[family.name][1] for family in families])
        lengths = b"".join([len(part).to_bytes(_LENGTH, sys.byteorder) for part in (header, tags)])
        body = b"".join([_MAGIC, lengths, header, tags, *columns])
        return body + zlib.crc32(body).to_bytes(_CHECKSUM, sys.byteorder)

    def _tags(self, family: FamilySnapshot) -> tuple[Sequence[TagSet], bytes]:
        tags = family.data.tags
        known = self._known.get(family.name)
        if known is not None and known[0] == tags:
            return known
        lines = [b"".join([json.dumps(dict(one)).encode() + b"\n" for one in tags[rows]]) for rows in portions(len(tags))]
        return tags, b"".join(lines)


def _packed(code: str, column: Sequence[Any]) -> bytes:
    packed = array(code)
    for rows in portions(len(column), _NUMBERS):
        packed.extend(column[rows])
    return packed.tobytes()


def _packed_rows(column: Sequence[Sequence[int]]) -> bytes:
    packed = array("q")
    for rows in portions(len(column)):
        packed.extend(chain.from_iterable(column[rows]))
    return packed.tobytes()


def _head(family: FamilySnapshot, columns: list[bytes]) -> dict[str, Any]:
    data = family.data
    columns.append(_packed("d", data.created))
    head: dict[str, Any] = {"name": family.name, "kind": family.kind, "rows": len(data.tags)}
    match data:
        case SumData():
            columns.append(_packed("d", data.values))
        case SummaryData():
            columns += [_packed("q", data.counts), _packed("d", data.sums)]
        case HistogramData():
            head["bounds"] = list(data.bounds)
            columns += [_packed_rows(data.bucket_counts), _packed("d", data.sums)]
        case ExponentialHistogramData():
            head["exponential"] = True
            columns += [_packed("q", column) for column in (data.scales, data.zero_counts)]
            for buckets in (data.positives, data.negatives):
                columns.append(_packed("q", [first for first, _ in buckets]))
                columns.append(_packed("q", [len(counts) for _, counts in buckets]))
                columns.append(_packed_rows([counts for _, counts in buckets]))
            columns.append(_packed("d", data.sums))
    return head


def read_record(record: bytes, tag_set: type[TagSet]) -> Snapshot:
    """Return the totals that a record has, with tag sets of this type.

    Raises:
        ValueError: it is not one, or not whole.
    """
    start = len(_MAGIC)
    body, checksum = record[:-_CHECKSUM], record[-_CHECKSUM:]
    if not body.startswith(_MAGIC) or len(body) < start + 2 * _LENGTH:
        raise ValueError("it is of another kind or release")
    if zlib.crc32(body).to_bytes(_CHECKSUM, sys.byteorder) != checksum:
        raise ValueError("its checksum is wrong")
    first, second = (int.from_bytes(body[at : at + _LENGTH], sys.byteorder) for at in (start, start + _LENGTH))
    start += 2 * _LENGTH
    try:
        header = json.loads(body[start : start + first])
        tags = iter(body[start + first : start + first + second].split(b"\n"))
        columns = _Columns(body[start + first + second :])
        families = [_family(head, tags, columns, tag_set) for head in header["families"]]
        columns.end()
        if [*tags] != [b""]:
            raise ValueError("there are too many tags")
        return Snapshot(tuple(families), float(header["time"]))
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, UnicodeError, ValueError) as error:
        raise ValueError(f"it does not fit together ({error})") from None


class _Columns:
    """Numbers, one column after the other."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def take(self, code: str, size: int) -> array[Any]:
        column = array(code)
        end = self._at + size * column.itemsize
        if size < 0 or end > len(self._body):
            raise ValueError("numbers are missing")
        column.frombytes(self._body[self._at : end])
        self._at = end
        return column

    def counts(self, size: int) -> tuple[int, ...]:
        return self.between(0, sys.maxsize, size)

    def between(self, least: int, most: int, size: int) -> tuple[int, ...]:
        column = tuple(self.take("q", size))
        if column and not least <= min(column) <= max(column) <= most:
            raise ValueError("a number is out of range")
        return column

    def end(self) -> None:
        if self._at != len(self._body):
            raise ValueError("there are too many numbers")


def _family(head: dict[str, Any], lines: Iterator[bytes], columns: _Columns, tag_set: type[TagSet]) -> FamilySnapshot:
    name, kind, rows = str(head["name"]), str(head["kind"]), int(head["rows"])
    tags: list[TagSet] = []
    for portion in portions(rows):
        part = list(islice(lines, min(portion.stop, rows) - portion.start))
        if not part:
            break
        tags += [tag_set(json.loads(line)) for line in part]
    if len(tags) != rows:
        raise ValueError("tags are missing")
    created = tuple(columns.take("d", rows))
    return FamilySnapshot(name, kind, "", "", _data(head, kind, tuple(tags), created, columns))


def _data(head: dict[str, Any], kind: str, tags: tuple[TagSet, ...], created: tuple[float, ...], columns: _Columns) -> Data:
    rows, unknown = len(tags), (nan,) * len(tags)
    if kind == "summary":
        return SummaryData(tags, created, columns.counts(rows), tuple(columns.take("d", rows)))
    if "bounds" in head:
        bounds = tuple([float(bound) for bound in head["bounds"]])
        counts = _rows(columns.counts(rows * (len(bounds) + 1)), [len(bounds) + 1] * rows)
        return HistogramData(tags, created, bounds, counts, tuple(columns.take("d", rows)), unknown, unknown)
    if "exponential" not in head:
        return SumData(tags, created, tuple(columns.take("d", rows)), True)
    scales, zeros = columns.between(_COARSEST, TOP_SCALE, rows), columns.counts(rows)
    positives, negatives = _buckets(rows, columns), _buckets(rows, columns)
    sums = tuple(columns.take("d", rows))
    return ExponentialHistogramData(tags, created, scales, zeros, positives, negatives, sums, unknown, unknown)


def _buckets(rows: int, columns: _Columns) -> tuple[Any, ...]:
    firsts, sizes = columns.between(-_FARTHEST, _FARTHEST, rows), columns.between(0, _MOST_BUCKETS, rows)
    counts = _rows(columns.counts(sum(sizes)), sizes)
    return tuple(zip(firsts, counts, strict=True))


def _rows(flat: tuple[int, ...], sizes: Iterable[int]) -> tuple[tuple[int, ...], ...]:
    return tuple([flat[start:end] for start, end in pairwise(accumulate(sizes, initial=0))])
