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
from tallymark.serve.live.rows import rows_text, total_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeAlias

    from tallymark.engine import TagSet
    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import FamilySnapshot

    Head: TypeAlias = tuple[Any, ...]

__all__ = ["FamilyText"]


class FamilyText:
    """One family, as it was at a reading.

    Args:
        family: of a snapshot.
        limit: the most series that it takes; None where there is no limit.
        most: series that are told of it; of those beyond, only their total is.
        before: the same metric at the reading before.
    """

    __slots__ = ("_data", "_head", "_head_text", "_most", "_series", "_tags_texts", "_total", "is_same")

    def __init__(self, family: FamilySnapshot, limit: int | None, most: int, before: FamilyText | None) -> None:
        data = self._data = family.data
        self._head: Head = (
            family.kind, family.exposition_name, family.unit, family.description, type(data), getattr(data, "bounds", None),
            limit, min(most, len(data.tags)), most < len(data.tags),
        )  # fmt: skip
        self._most = most
        self._head_text: str
        self._tags_texts: dict[TagSet, str]
        self._series: str
        same_head = before is not None and before._head == self._head
        self.is_same = same_head and _are_same(data.tags, before._data.tags, most)  # type: ignore[union-attr]
        self._total = f',"count":{len(data.tags)},"total":{total_text(data)}' if most < len(data.tags) else ""
        if self.is_same:
            assert before is not None  # noqa: S101 - for the type checker
            self._head_text, self._series, self._tags_texts = before._head_text, before._series, before._tags_texts
        else:
            self._head_text = before._head_text if same_head and before else _head_text(family, limit)
            self._tags_texts = _tags_texts(data.tags[:most], before._tags_texts if before else {})
            self._series = ",".join(self._tags_texts.values())

    def whole(self) -> list[bytes]:
        """Return all of it, as parts of a text."""
        cut = f',"cut":true{self._total}' if self._total else ""
        head = f'{{{self._head_text}{cut},"series":[{self._series}],"rows":['
        return [head.encode("utf-8", "replace"), rows_text(self._data, None, self._most), b"]}"]

    def changes(self, name: str, before: FamilyText) -> list[bytes]:
        """Return what changed since a reading of the same series, as parts of a text; none if nothing did."""
        rows = rows_text(self._data, before._data, self._most)
        total = self._total if self._total != before._total else ""
        if not (rows or total):
            return []
        return [f'{{"name":{dump(name)}{total},"rows":['.encode("utf-8", "replace"), rows, b"]}"]


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
