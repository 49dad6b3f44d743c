"""What a line has of a series before its numbers: made once for each series, and kept from one report to the next."""

from __future__ import annotations

from typing import NamedTuple

from tallymark.export.twins import groups_of, merged
from tallymark.metric.data import ExponentialHistogramData, HistogramData
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from tallymark.engine import TagSet
    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import FamilySnapshot, Snapshot

    Written: TypeAlias = str | None
    """The text of a series, `Changed` if not all of its tags are told as they are; None if it cannot be told."""
    Writer: TypeAlias = Callable[[Mapping[str, str]], Written]

__all__ = ["Changed", "Series", "SeriesTexts", "portions_of"]


_PORTION = 4096
"""Texts that are looked at at once: less than a millisecond."""


class Changed(str):
    """A text that does not tell all tags of its series as they are."""

    __slots__ = ()


_DISTRIBUTIONS = 16
"""Distributions that are written at once: each takes as long as some dozen numbers do."""


def portions_of(data: Data) -> Iterator[slice]:
    """Yield the rows of a family in portions, and let other threads run between two of them."""
    if isinstance(data, HistogramData | ExponentialHistogramData):
        return portions(len(data.tags), _DISTRIBUTIONS)
    return portions(len(data.tags))


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
        written = self._written(data, before)
        texts: list[str] = []
        exact = True
        for rows in portions(len(written), _PORTION):
            some = [text for text in written[rows] if text is not None]
            exact = exact and len(some) == len(written[rows]) and all(type(text) is str for text in some)
            texts += some
        groups = groups_of(texts)
        if groups or len(texts) < len(written):
            told = [row for row, text in enumerate(written) if text is not None]
            groups = [[told[at] for at in some] for some in groups] if groups else [[row] for row in told]
            texts = list(dict.fromkeys(texts))
        return _Kept(data.tags, written, texts, groups, exact)

    def _written(self, data: Data, before: _Kept | None) -> list[Written]:
        known: dict[TagSet, Written] = {}
        if before is not None:
            for rows in portions(len(before.tags)):
                known.update(zip(before.tags[rows], before.written[rows], strict=True))
        write, common = self._writer(type(data)), self._tags
        written: list[Written] = []
        for rows in portions(len(data.tags)):
            for tags in data.tags[rows]:
                text = known.get(tags)
                written.append(text if text is not None else write(_sorted(common, tags) if common else tags))
        return written


def _sorted(common: Mapping[str, str], tags: Mapping[str, str]) -> dict[str, str]:
    return dict(sorted({**common, **tags}.items()))
