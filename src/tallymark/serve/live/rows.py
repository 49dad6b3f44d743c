"""The rows of a family as JSON: all of them, or those that changed.

A row begins with its place among the tags of its family. What follows is told by the type of the family's data:

* sum, gauge, info, stateset: the value
* summary: count, sum
* histogram: count, sum, and the count of each bucket, not cumulative
* exponential: count, sum, scale, zero count; then positive and negative buckets, each a first index and a list of counts

Of a histogram's row that changed, only the buckets that did are told: count, sum; then the index of a bucket and its count, the
next index and its count, and so on. Most observations of a second are in few buckets.
"""

from __future__ import annotations

from functools import reduce
from operator import add, ne
from typing import TYPE_CHECKING

from tallymark.metric.data import (
    ExponentialHistogramData,
    Exposition,
    GaugeData,
    HistogramData,
    InfoData,
    StateSetData,
    SumData,
    SummaryData,
)
from tallymark.metric.portions import portions
from tallymark.serve.live.json_text import number, numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    from tallymark.engine.exponential import Buckets
    from tallymark.metric.data import Data

    Row: TypeAlias = tuple[Any, ...]
    Columns: TypeAlias = Sequence[Sequence[Any]]

__all__ = ["total_text", "write_rows"]


def write_rows(text: Exposition, data: Data, before: Data | None, most: int, start: str = "", end: str = "") -> None:
    """Write the rows, with a comma between two.

    Args:
        text: where to.
        data: whose rows; at most the first `most` of them.
        before: an earlier state of the same series: then only rows that changed since are written.
        most: rows beyond which none is looked at.
        start: is written before the first row, if there is one.
        end: is written after the last one, if there is one.
    """
    columns, earlier = _columns(data), None if before is None else _columns(before)
    if text.write_json_rows(_numbers(columns), None if earlier is None else _numbers(earlier), most, start, end):
        return
    write, write_change = _writers(data)
    count = min(most, len(data.tags))
    told: list[str] = []
    for portion in portions(count):
        shown = slice(portion.start, min(portion.stop, count))
        told += _portion(columns, write, shown) if earlier is None else _changes(columns, earlier, write_change, shown)
    if told:
        text.write(f"{start}{','.join(told)}{end}")


def _numbers(columns: Columns) -> Sequence[Any]:
    """Return columns as an engine takes them: one alone is not in a tuple."""
    return columns[0] if len(columns) == 1 else columns


def _portion(columns: Columns, write: Callable[[Row], str], portion: slice) -> list[str]:
    rows = zip(*[column[portion] for column in columns], strict=True)
    return [f"[{place},{write(row)}]" for place, row in enumerate(rows, portion.start)]


def _changes(columns: Columns, earlier: Columns, write: Callable[[Row, Row], str], portion: slice) -> list[str]:
    rows = list(zip(*[column[portion] for column in columns], strict=True))
    before = list(zip(*[column[portion] for column in earlier], strict=True))
    if rows == before:
        return []
    differ = zip(range(portion.start, portion.stop), rows, before, map(ne, rows, before), strict=True)
    found = [(place, write(row, was), write(was, was)) for place, row, was, is_other in differ if is_other]
    return [f"[{place},{now}]" for place, now, was in found if now != was]  # NaN is never equal to itself


def _columns(data: Data) -> Columns:
    """Return the columns that rows are made of."""
    match data:
        case SumData() | GaugeData():
            return (data.values,)
        case HistogramData():
            return (data.bucket_counts, data.sums)
        case SummaryData():
            return (data.counts, data.sums)
        case ExponentialHistogramData():
            return (data.positives, data.negatives, data.scales, data.zero_counts, data.sums)
        case StateSetData() | InfoData():
            return (data.values,)


def _writers(data: Data) -> tuple[Callable[[Row], str], Callable[[Row, Row], str]]:
    """Return how a row is written after its place: all of it, and what changed."""
    match data:
        case HistogramData():
            return _histogram, _histogram_change
        case ExponentialHistogramData():
            return _exponential, _exponential_now
        case _:
            return numbers, _numbers_now


def _numbers_now(row: Row, before: Row) -> str:
    return numbers(row)


def _histogram(row: Row) -> str:
    counts, total = row
    return f"{sum(counts)},{number(total)},{','.join(map(str, counts))}"


def _histogram_change(row: Row, before: Row) -> str:
    (counts, total), earlier = row, before[0]
    told = [f",{place},{now}" for place, (now, was) in enumerate(zip(counts, earlier, strict=True)) if now != was]
    return f"{sum(counts)},{number(total)}{''.join(told)}"


def _exponential(row: Row) -> str:
    positives, negatives, scale, zero_count, total = row
    count = zero_count + sum(positives[1]) + sum(negatives[1])
    return f"{count},{number(total)},{scale},{zero_count},{_buckets(positives)},{_buckets(negatives)}"


def _exponential_now(row: Row, before: Row) -> str:
    return _exponential(row)


def _buckets(buckets: Buckets) -> str:
    first, counts = buckets
    return f"[{first},[{','.join(map(str, counts))}]]"


def total_text(data: Data) -> str:
    """Return what all rows add up to, as a row without its place; `null` for what does not add up."""
    text = Exposition()
    match data:
        case SumData() if text.write_json_total(data.values):
            return text.bytes().decode()
        case HistogramData() if text.write_json_total(_numbers(_columns(data))):
            return text.bytes().decode()
        case SumData():
            return f"[{number(_sum(data.values))}]"
        case SummaryData():
            return f"[{_sum(data.counts)},{number(_sum(data.sums))}]"
        case HistogramData():
            counts = [0] * (len(data.bounds) + 1)
            for portion in portions(len(data.tags)):
                counts = [sum(column) for column in zip(counts, *data.bucket_counts[portion], strict=True)]
            return f"[{_histogram((counts, _sum(data.sums)))}]"
        case _:
            return "null"


def _sum(column: Sequence[Any]) -> Any:
    """Return what numbers add up to, one after the other, as in C: from Python 3.12 on, `sum` rounds doubles otherwise."""
    total: Any = 0
    for portion in portions(len(column), 4096):
        total = reduce(add, column[portion], total)
    return total
