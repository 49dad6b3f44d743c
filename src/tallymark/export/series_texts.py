"""What a line has of a series before its numbers.

The texts of nearly all families are made by the engine whenever they are needed, and kept by nobody. Where some text is not for
the engine, or two may be the same, those of the whole family are made once, and kept from one report to the next.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from tallymark.export.tag_frames import Frames
from tallymark.export.twins import groups_of, merged
from tallymark.metric.data import ExponentialHistogramData, HistogramData, tag_texts
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Protocol

    from tallymark.engine import TagSet
    from tallymark.export.tag_frames import Writer, Written
    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import FamilySnapshot, Snapshot

    class Texts(Protocol):
        """A text for each row, in portions."""

        def __len__(self) -> int: ...

        def __getitem__(self, rows: slice, /) -> Sequence[str]: ...


__all__ = ["Series", "SeriesTexts", "TagFormat", "portions_of"]

_PORTION = 4096
"""Texts that are looked at at once: less than a millisecond."""
_DISTRIBUTIONS = 16
"""Distributions that are written at once: each takes as long as some dozen numbers do."""


def portions_of(data: Data) -> Iterator[slice]:
    """Yield the rows of a family in portions, and let other threads run between two of them."""
    if isinstance(data, HistogramData | ExponentialHistogramData):
        return portions(len(data.tags), _DISTRIBUTIONS)
    return portions(len(data.tags))


class TagFormat(NamedTuple):
    """How a format has the tags of a series.

    Attributes:
        write: returns the text of any tags. From a text that is not `Changed`, all tags can be read back whose values are not
            empty.
        becomes: what characters of values are written as: see `tag_texts`.
        longest: the characters of the longest text that is all ASCII.
    """

    write: Writer
    becomes: bytes
    longest: int


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
    texts: Texts
    groups: Sequence[Sequence[int]]
    exact: bool


class _Kept(NamedTuple):
    """What is kept of a family: a `writer`, if that makes its texts; else those of all series, and what is made of these."""

    tags: Sequence[TagSet]
    writer: _Writer | None = None
    written: Sequence[Written] = ()
    texts: Sequence[str] = ()
    groups: Sequence[Sequence[int]] = ()
    exact: bool = True


class SeriesTexts:
    """The texts of the series of one backend. For one thread at a time.

    Args:
        format_of: returns how tags are told, for data of this type.
        tags: for all series; a series' own win.
    """

    def __init__(self, format_of: Callable[[type[Data]], TagFormat], tags: Mapping[str, str]) -> None:
        self._format_of = format_of
        self._tags = dict(tags)
        self._writers: dict[type[Data], _Writer] = {}
        self._kept: dict[tuple[str, type[Data]], _Kept] = {}

    def of(self, snapshot: Snapshot) -> Iterator[Series]:
        """Yield the series of each family. What is kept of series that are gone is dropped."""
        before, self._kept = self._kept, {}
        for family in snapshot.families:
            key, tags = (family.name, type(family.data)), family.data.tags
            kept = before.get(key)
            if kept is None or kept.tags != tags:
                kept = self._made(family.data, kept)
            self._kept[key] = kept._replace(tags=tags)  # the older column has all the numbers of its snapshot with it
            data = merged(family.data, kept.groups) if kept.groups else family.data
            texts = kept.texts if kept.writer is None else _Column(tags, kept.writer)
            yield Series(family, data, texts, kept.groups, kept.exact)

    def _made(self, data: Data, before: _Kept | None) -> _Kept:
        kind = type(data)
        if kind not in self._writers:
            self._writers[kind] = _Writer(self._format_of(kind), self._tags)
        writer = self._writers[kind]
        is_complete, is_exact = writer.look(data.tags)
        are_known = is_exact and not isinstance(data.tags, tuple | list)  # in which, made by hand, one tag set may be twice
        if is_complete and (are_known or writer.are_distinct(data.tags)):
            return _Kept(data.tags, writer, exact=is_exact)
        return _kept(data.tags, writer.written(data.tags, before))


def _kept(tags: Sequence[TagSet], written: Sequence[Written]) -> _Kept:
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
    return _Kept(tags, None, written, texts, groups, exact)


class _Writer:
    """Writes the texts of tags: the engine those that it can, the format's own code all others.

    Exact texts that the engine writes for different tags differ. Each tells the keys and values of its tags as they are, and no
    value is empty. So all tags can be read back from it: those for all series, and the series' own. There is no frame for keys
    of which one overrides a tag for all series; so what is left without these is the series' own tags.
    """

    def __init__(self, form: TagFormat, common: Mapping[str, str]) -> None:
        self._form = form
        self._common = common
        self._frames = Frames(self._framed)

    def column(self, tags: Sequence[TagSet]) -> tuple[list[str | None], int, bool]:
        """Return what the engine writes: see `tag_texts`."""
        return tag_texts(tags, self._frames, self._form.becomes, self._form.longest)

    def look(self, tags: Sequence[TagSet]) -> tuple[bool, bool]:
        """Return True if the engine writes the texts of all series, and True if these tell all tags as they are."""
        is_exact = True
        for rows in portions(len(tags)):
            _, missing, exact = self.column(tags[rows])
            is_exact = is_exact and exact
            if missing:
                return False, is_exact
        return True, is_exact

    def are_distinct(self, tags: Sequence[TagSet]) -> bool:
        """Return True if no two texts that the engine writes are the same; seldom False if they are not."""
        hashes: set[int] = set()
        for rows in portions(len(tags)):
            hashes.update(map(hash, self.column(tags[rows])[0]))
        return len(hashes) == len(tags)

    def written(self, tags: Sequence[TagSet], before: _Kept | None) -> list[Written]:
        """Return all texts. Those that only the format's own code can write are made once."""
        known: dict[TagSet, Written] = {}
        if before is not None and before.written:
            for rows in portions(len(before.tags)):
                known.update(zip(before.tags[rows], before.written[rows], strict=True))
        written: list[Written] = []
        for rows in portions(len(tags)):
            some = tags[rows]
            texts, missing, is_exact = self.column(some)
            if missing or not is_exact:
                own = texts if is_exact else [None] * len(texts)
                texts = [self._text(one, text, known) for one, text in zip(some, own, strict=True)]
            written += texts
        return written

    def _text(self, tags: TagSet, text: str | None, known: Mapping[TagSet, Written]) -> Written:
        if text is None:
            text = known.get(tags)
        return self._own(tags) if text is None else text

    def _own(self, tags: Mapping[str, str]) -> Written:
        return self._form.write(dict(sorted({**self._common, **tags}.items())) if self._common else tags)

    def _framed(self, tags: Mapping[str, str]) -> Written:
        return self._own(tags) if self._common.keys().isdisjoint(tags) else None


class _Column:
    """Texts that are made when they are asked for."""

    def __init__(self, tags: Sequence[TagSet], writer: _Writer) -> None:
        self._tags = tags
        self._writer = writer

    def __len__(self) -> int:
        return len(self._tags)

    def __getitem__(self, rows: slice) -> Sequence[str]:
        return cast("list[str]", self._writer.column(self._tags[rows])[0])  # all are there
