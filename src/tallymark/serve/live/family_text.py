"""`FamilyText`: one family of a snapshot as JSON, of which what does not change is kept as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from tallymark.serve.live.json_text import dump, numbers
from tallymark.serve.live.rows import total_text, write_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeAlias

    from tallymark.engine import TagSet
    from tallymark.metric.data import Data, Exposition
    from tallymark.metric.snapshot import FamilySnapshot

    Head: TypeAlias = tuple[Any, ...]

__all__ = ["FamilyText"]


class FamilyText:
    """One family, from reading to reading. It has none before the first `read`."""

    __slots__ = ("_data", "_head", "_head_text", "_most", "_name", "_series", "_start", "_tags_texts", "_total")

    def __init__(self) -> None:
        self._head: Head = ()
        self._head_text = self._name = self._series = self._start = self._total = ""
        self._tags_texts: dict[TagSet, str] = {}
        self._most = 0
        self._data: Data

    def read(self, family: FamilySnapshot, limit: int | None, most: int, text: Exposition | None) -> None:
        """Take the family as it is now, and tell what changed.

        Args:
            family: of a snapshot.
            limit: the most series that it takes; None where there is no limit.
            most: series that are told of it; of those beyond, only their total is.
            text: where that is written, with a comma after it: nothing if nothing changed, all of it where its series did.
                None: nowhere.
        """
        data = family.data
        is_cut = most < len(data.tags)
        head = (
            family.kind, family.exposition_name, family.unit, family.description, type(data), getattr(data, "bounds", None),
            limit, most if is_cut else None,
        )  # fmt: skip
        total = f',"count":{len(data.tags)},"total":{total_text(data)}' if is_cut else ""
        if head == self._head and _are_same(data.tags, self._data.tags, most):
            before, total_before = self._data, self._total
            self._data, self._total, self._most = data, total, most
            if text is not None and total == total_before:
                write_rows(text, data, before, most, self._start, "]},")
            elif text is not None:
                self._write_changes(text, before, total)
            return
        if head != self._head:
            self._head, self._head_text = head, _head_text(family, limit)
            self._name = f'{{"name":{dump(family.name)}'
            self._start = f'{self._name},"rows":['
        self._data, self._total, self._most = data, total, most
        self._tags_texts = _tags_texts(data.tags[:most], self._tags_texts)
        self._series = ",".join(self._tags_texts.values())
        if text is not None:
            self.write(text)

    def write(self, text: Exposition) -> None:
        """Write all of it, with a comma after it."""
        cut = f',"cut":true{self._total}' if self._total else ""
        text.write(f'{{{self._head_text}{cut},"series":[{self._series}],"rows":[')
        write_rows(text, self._data, None, self._most)
        text.write("]},")

    def _write_changes(self, text: Exposition, before: Data, total: str) -> None:
        """Write the rows that changed, and a total that did, with a comma after it."""
        text.write(f'{self._name}{total},"rows":[')
        write_rows(text, self._data, before, self._most)
        text.write("]},")


def _are_same(tags: Sequence[TagSet], before: Sequence[TagSet], most: int) -> bool:
    """Return True if two readings told the same series."""
    if len(tags) <= most:
        return tags is before or tags == before
    shown = [slice(portion.start, min(portion.stop, most)) for portion in portions(most, 1024)]
    return all(tags[portion] == before[portion] for portion in shown)


def _head_text(family: FamilySnapshot, limit: int | None) -> str:
    data = family.data
    head = {
        "name": family.name, "exposed": family.exposition_name, "kind": family.kind, "type": _type(data),
        "monotonic": data.monotonic if isinstance(data, SumData) else False, "unit": family.unit,
        "description": family.description, "limit": limit,
    }  # fmt: skip
    bounds = f',"bounds":[{numbers(data.bounds)}]' if isinstance(data, HistogramData) else ""
    return dump(head)[1:-1] + bounds


def _type(data: Data) -> str:
    match data:
        case SumData():
            return "sum"
        case GaugeData():
            return "gauge"
        case SummaryData():
            return "summary"
        case HistogramData():
            return "histogram"
        case ExponentialHistogramData():
            return "exponential"
        case InfoData():
            return "info"
        case StateSetData():
            return "stateset"


def _tags_texts(tags: Sequence[TagSet], known: dict[TagSet, str]) -> dict[TagSet, str]:
    """Return the tags of series as JSON; from what is known, where they are."""
    texts: dict[TagSet, str] = {}
    for portion in portions(len(tags)):
        for one in tags[portion]:
            texts[one] = known.get(one) or dump(dict(one))
    return texts
