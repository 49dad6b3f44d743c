"""What a backend adds to all series, put into the snapshot itself: for formats that know nothing of it."""

from __future__ import annotations

from operator import itemgetter

from tallymark.export.twins import groups_of, merged
from tallymark.frozen import replace
from tallymark.metric.names import exposition_name
from tallymark.metric.portions import portions
from tallymark.metric.snapshot import Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tallymark.engine import TagSet
    from tallymark.metric.snapshot import FamilySnapshot

__all__ = ["Relabelling"]


class Relabelling:
    """Gives names a prefix, and series more tags. For one thread at a time.

    Tag sets that it makes are kept from one snapshot to the next, and with them what exporters keep with a tag set.

    Args:
        prefix: begins each metric's name.
        tags: for all series; a series' own win. Series that become one are told as one.
    """

    def __init__(self, prefix: str, tags: Mapping[str, str]) -> None:
        self._prefix = prefix
        self._exposition_prefix = exposition_name(prefix, "gauge", "") if prefix else ""
        self._tags = dict(tags)
        self._made: dict[TagSet, TagSet] = {}

    def relabelled(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot with what is to be added."""
        if not self._prefix and not self._tags:
            return snapshot
        before, self._made = self._made, {}
        return Snapshot(tuple([self._family(family, before) for family in snapshot.families]), snapshot.time)

    def _family(self, family: FamilySnapshot, before: Mapping[TagSet, TagSet]) -> FamilySnapshot:
        exposed = family.exposition_name and self._exposition_prefix + family.exposition_name
        renamed = replace(family, name=self._prefix + family.name, exposition_name=exposed)
        if not self._tags or not len(family):
            return renamed
        tags = self._column(family.data.tags, before)
        data = replace(family.data, tags=tags)
        # By their last rows: of several that are one in a format too, the last stays.
        groups = sorted(groups_of(tags), key=itemgetter(-1))
        return replace(renamed, data=merged(data, groups) if groups else data)

    def _column(self, column: Sequence[TagSet], before: Mapping[TagSet, TagSet]) -> tuple[TagSet, ...]:
        made, new = self._made, []
        for rows in portions(len(column)):
            for own in column[rows]:
                made[own] = found = made.get(own) or before.get(own) or type(own)({**self._tags, **own})
                new.append(found)
        return tuple(new)
