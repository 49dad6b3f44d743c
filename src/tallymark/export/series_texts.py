"""What a line has of a series before its numbers: made once for each series, and kept from one report to the next."""

from __future__ import annotations

from typing import NamedTuple

from tallymark.export.twins import groups_of, merged
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from tallymark.engine import TagSet
    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import FamilySnapshot, Snapshot

    Written: TypeAlias = tuple[str | None, bool]
    """The text of a series, None if it cannot be told; and True if its tags are not told as they are."""
    Writer: TypeAlias = Callable[[Mapping[str, str]], Written]

__all__ = ["Series", "SeriesTexts"]


class Series(NamedTuple):
    """The series of a family as a format tells them.

    Attributes:
        data: a row for each text: series whose texts are the same are one.
        texts: what each line begins with.
        groups: the rows of the family that each row of `data` was made of; empty if each is its own.
        exact: True if all series are told with all their tags as they are.
    """

    family: FamilySnapshot
    data: Data
    texts: Sequence[str]
    groups: Sequence[Sequence[int]]
    exact: bool


class _Kept(NamedTuple):
    tags: Sequence[TagSet]
    written: Sequence[Written]
    texts: Sequence[str]
    groups: Sequence[Sequence[int]]
    exact: bool


class SeriesTexts:
    """The texts of the series of one backend. For one thread at a time.

    Args:
        writer: returns what writes the text of the tags of a series, for data of this type.
        tags: for all series; a series' own win.
    """

    def __init__(self, writer: Callable[[type[Data]], Writer], tags: Mapping[str, str]) -> None:
        self._writer = writer
        self._tags = dict(tags)
        self._kept: dict[tuple[str, type[Data]], _Kept] = {}

    def of(self, snapshot: Snapshot) -> Iterator[Series]:
        """Yield the series of each family. What is kept of series that are gone is dropped."""
        before, self._kept = self._kept, {}
        for family in snapshot.families:
            key = (family.name, type(family.data))
            kept = before.get(key)
            if kept is None or kept.tags != family.data.tags:
                kept = self._made(family.data, kept)
            self._kept[key] = kept
            data = merged(family.data, kept.groups) if kept.groups else family.data
            yield Series(family, data, kept.texts, kept.groups, kept.exact)

    def _made(self, data: Data, before: _Kept | None) -> _Kept:
        known = dict(zip(before.tags, before.written, strict=True)) if before else {}
        write, common = self._writer(type(data)), self._tags
        written: list[Written] = []
        for rows in portions(len(data.tags)):
            for tags in data.tags[rows]:
                written.append(known.get(tags) or write(dict(sorted({**common, **tags}.items())) if common else tags))
        rows_told = [row for row, (text, _) in enumerate(written) if text is not None]
        texts = [text for text, _ in written if text is not None]
        groups = [[rows_told[at] for at in some] for some in groups_of(texts)]
        if groups:
            texts = list(dict.fromkeys(texts))
        elif len(texts) < len(written):
            groups = [[row] for row in rows_told]
        return _Kept(data.tags, written, texts, groups, not any(changed for _, changed in written))
