"""`Documents`: a registry as JSON documents, reading after reading: each of them whole, and what changed since the one before.

A document that tells everything has `"complete": true`. Families that are not in it are gone. The next one tells what changed
since: of a family with the same series, the rows that changed; of another, all of it; and in `"gone"`, the names of families
that there are no more.

Of a registry with very many series, those of its largest families are left out beyond some number for each, which is the same
for all of them. Such a family is marked `"cut": true`; `count` is how many series it has, and `total` what all of them add up
to, as a row without its place, or null where they do not add up. Families are left out whole only where there are more than
series could be told; then the document is marked `"cut": true`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallymark.metric.data import ExponentialHistogramData, Exposition, HistogramData
from tallymark.metric.portions import portions
from tallymark.serve.live.about import Processes, service
from tallymark.serve.live.family_text import FamilyText
from tallymark.serve.live.json_text import dump, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tallymark.metric.data import Data
    from tallymark.metric.registry import Registry
    from tallymark.metric.snapshot import FamilySnapshot

__all__ = ["MOST_SERIES", "Documents"]

MOST_SERIES = 5000
"""Series that a document tells: more than a page can show, and what a reading of can cost milliseconds."""


class Documents:
    """The documents of one registry. One thread at a time may use them.

    Args:
        registry: what will be read. It is not kept alive.
        most: the series that a document tells.
    """

    def __init__(self, registry: Registry, most: int = MOST_SERIES) -> None:
        self._all = registry._families
        self._most = most
        self._service = _encoded(f',"service":{service(registry)}')
        self._processes = Processes(registry)
        self._families: dict[str, FamilyText] = {}
        self._start = self._told_processes = b""

    def read(self, registry: Registry, every: float, *, tells: bool = True) -> bytes:
        """Read the registry, and return what changed since it was read before.

        Args:
            registry: the one that the documents are of.
            every: seconds from this reading to the next.
            tells: False if nobody needs what changed; it is empty then.
        """
        snapshot = registry.snapshot()
        families = snapshot.families[: self._most]
        cut = ',"cut":true' if len(families) < len(snapshot.families) else ""
        text = Exposition()
        gone = self._read(families, text if tells else None)
        self._start = f'{{"time":{number(snapshot.time)},"every":{number(every)},"complete":'.encode()
        self._told_processes = f',"processes":{self._processes.text()}{cut}'.encode()
        if not tells:
            return b""
        ending = f'],"gone":{dump(gone)}}}' if gone else "]}"
        return b"".join([self._start, b"false", self._told_processes, b',"families":[', _families(text), _encoded(ending)])

    def whole(self) -> bytes:
        """Return all that was read last."""
        text = Exposition()
        for family in self._families.values():
            family.write(text)
        parts = [self._start, b"true", self._service, self._told_processes, b',"families":[', _families(text), b"]}"]
        return b"".join(parts)

    def forget(self) -> None:
        """Forget what was read. The next reading has nothing to compare with."""
        self._families = {}

    def _read(self, families: Sequence[FamilySnapshot], text: Exposition | None) -> list[str]:
        """Take families as they are now, and tell what changed of them; return the names of those that there are no more."""
        most = _most_of_each(families, self._most)
        before, self._families = self._families, {}
        for portion in portions(len(families)):
            for family in families[portion]:
                made = self._all.find(family.name)
                limit = None if made is None else made.options.limits.max_series
                told = self._families[family.name] = before.pop(family.name) if family.name in before else FamilyText()
                told.read(family, limit, most, text)
        return list(before)


def _most_of_each(families: Iterable[FamilySnapshot], most: int) -> int:
    """Return how many series of a family are told, so that there are no more than `most` of all: a power of two, if not all."""
    sizes = [(len(family.data.tags), _weight(family.data)) for family in families]
    each = 1 << max([size for size, _ in sizes], default=0).bit_length()
    while each > 1 and sum([min(size, each) * weight for size, weight in sizes]) > most:
        each //= 2
    return each


def _weight(data: Data) -> int:
    """Return as how many series one counts: more if it has very many buckets."""
    match data:
        case HistogramData():
            return 1 + len(data.bounds) // 32
        case ExponentialHistogramData():
            return 4
        case _:
            return 1


def _families(text: Exposition) -> bytes:
    """Return families that were written, each with a comma after it, as the items of a list."""
    return text.bytes().removesuffix(b",")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
