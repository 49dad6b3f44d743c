"""What a backend adds to all series, put into the snapshot itself: for formats that know nothing of it."""

from __future__ import annotations

from operator import itemgetter

from tallymark.export.escaping import UNDERSCORES, label_name
from tallymark.export.protobuf_labels import family_labels
from tallymark.export.twins import groups_of, merged
from tallymark.frozen import replace
from tallymark.metric.data import tag_fields
from tallymark.metric.names import exposition_name
from tallymark.metric.portions import portions
from tallymark.metric.snapshot import Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tallymark.engine import TagSet
    from tallymark.engine.reference.tag_fields import Layout
    from tallymark.metric.snapshot import FamilySnapshot

__all__ = ["Relabelling"]

_MOST = 1000
"""Sets of keys that are known."""


class Relabelling:
    """Gives names a prefix; and series more tags, in families where that makes series, or labels of one series, the same.

    Who writes a page adds the tags in all other families, which takes less time and memory than a tag set for each series.

    Args:
        prefix: begins each metric's name.
        tags: for all series; a series' own win. Series that become one are told as one.
    """

    def __init__(self, prefix: str, tags: Mapping[str, str]) -> None:
        self._prefix = prefix
        self._exposition_prefix = exposition_name(prefix, "gauge", "") if prefix else ""
        self._tags = dict(tags)

    def relabelled(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot with the prefix, and with the tags where who writes a page would not tell the same."""
        if not self._prefix and not self._tags:
            return snapshot
        return Snapshot(tuple([self._family(family) for family in snapshot.families]), snapshot.time)

    def _family(self, family: FamilySnapshot) -> FamilySnapshot:
        exposed = family.exposition_name and self._exposition_prefix + family.exposition_name
        renamed = replace(family, name=self._prefix + family.name, exposition_name=exposed)
        if not self._tags or not _become_one(family.data.tags, self._tags):
            return renamed
        tags = self._column(family.data.tags)
        data = replace(family.data, tags=tags)
        # By their last rows: of several that are one in a format too, the last stays.
        groups = sorted(groups_of(tags), key=itemgetter(-1))
        return replace(renamed, data=merged(data, groups) if groups else data)

    def _column(self, column: Sequence[TagSet]) -> tuple[TagSet, ...]:
        made: list[TagSet] = []
        for rows in portions(len(column)):
            made += [type(own)({**self._tags, **own}) for own in column[rows]]
        return tuple(made)


def _become_one(column: Sequence[TagSet], tags: Mapping[str, str]) -> bool:
    """Return True if, with these tags, two series may be the same, or two different tags of a series may be one label."""
    keys = _Keys(tags)
    for rows in portions(len(column)):
        tag_fields(column[rows], keys, b"\0\0")  # writes nothing, but asks for the keys of all series
        if keys.join:
            return True
    return keys.meet and family_labels(UNDERSCORES, tags=tuple(tags.items())).repeat(column)


class _Keys(dict[tuple[str, ...], "Layout"]):
    """Is asked for the keys of series.

    Attributes:
        meet: True if one of them is one of some tags, or may be the same label.
        join: True if one may be the same label as a different one of these tags.
    """

    def __init__(self, tags: Mapping[str, str]) -> None:
        super().__init__()
        self._names = [(_name(key), key) for key in tags]
        self.meet = self.join = False

    def __missing__(self, keys: tuple[str, ...]) -> Layout:
        if len(self) >= _MOST:
            self.clear()
        own = [(_name(key), key) for key in keys]
        same = [(key, given) for name, key in own for other, given in self._names if name == other]
        self.meet = self.meet or same != []
        self.join = self.join or any(key != given for key, given in same)
        nothing = self[keys] = ()
        return nothing


def _name(key: str) -> str:
    """Return the name of a label, without what is put before it in families where that name is reserved."""
    return label_name(key, UNDERSCORES).removeprefix("exported_")
