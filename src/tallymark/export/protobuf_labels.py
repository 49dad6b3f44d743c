"""Tags as labels: a field of a message, once for each label. And the merging of series that have the same labels.

The messages `Metric` of scrapes and `TimeSeries` of remote write have the same field. A label with an empty value is omitted,
and the values of tags that get one name are joined, as in the text format.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from typing import NamedTuple

from tallymark.export.escaping import label_name
from tallymark.export.protobuf_wire import Heads
from tallymark.metric.data import tag_fields
from tallymark.metric.portions import portions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import TypeAlias

    from tallymark.engine import TagSet
    from tallymark.engine.exemplar import Exemplar as RecordedExemplar
    from tallymark.engine.reference.tag_fields import Layout

    Keys: TypeAlias = tuple[str, ...]

__all__ = [
    "NAME", "FamilyLabels", "LabelLayouts", "family_labels", "given_labels", "label_field", "label_fields", "may_precede_name",
    "newest", "oldest", "twins",
]  # fmt: skip

NAME = "__name__"
"""The label that has the name of a series in remote write."""

_PAIR, _NAME, _VALUE = b"\x0a", b"\x0a", b"\x12"
"""The tags of the field `label` of a message, and of the fields of a message `LabelPair`."""
_MOST = 1000
"""Sets of keys whose layouts are kept."""
_MOST_OF_FAMILY = 4000
"""Those that are kept while one family is written: about 3 MB."""

_precede = False
"""True if any label that was written sorts before `__name__`, as one does that begins with a capital letter."""

_pairs, _names, _values = Heads(_PAIR), Heads(_NAME), Heads(_VALUE)


class _Labelled(NamedTuple):
    """What becomes of some keys: how they are written, the names of their labels, and if several tags are one label."""

    layout: Layout
    names: Keys
    joins: bool


class LabelLayouts(dict["Keys", _Labelled]):
    """What becomes of tags under one scheme, by their keys, for all families.

    Args:
        escaping: the scheme.
        reserved: the name of a label that samples have beside those of their series. A tag of this name gets another one.
        given: fields of labels that all series are given, by their names. A series' own win.
        fills: True if a label whose value is empty is not one of the series' own.

    Attributes:
        may_repeat: True if labels that were written for different tags may be the same.
    """

    def __init__(
        self, escaping: str, reserved: str = "", given: Mapping[str, bytes] | None = None, *, fills: bool = True
    ) -> None:
        self._escaping, self._reserved, self._given, self._fills = escaping, reserved, given or {}, fills
        self._keys: dict[Keys, Keys] = {}
        self.may_repeat = False

    def __missing__(self, keys: Keys) -> _Labelled:
        if len(self) >= _MOST:
            self.clear()
            self.may_repeat = True  # perhaps: nobody knows which names there were
        made = self._made(keys)
        # Before others find it. And it is only ever set, so that no thread undoes what another one has found out meanwhile.
        if self.may_repeat or made.joins or self._keys.setdefault(made.names, keys) != keys:
            self.may_repeat = True
        self[keys] = made
        return made

    def _made(self, keys: Keys) -> _Labelled:
        global _precede
        places: dict[str, list[int]] = {}
        for place, key in enumerate(keys):
            name = label_name(key, self._escaping)
            places.setdefault(f"exported_{name}" if name == self._reserved else name, []).append(place)
        names = tuple(sorted({*places, *self._given}))
        if names and names[0] < NAME:
            _precede = True
        others = self._given if self._fills else {one: self._given[one] for one in self._given if one not in places}
        layout = tuple([(_name_field(one), others.get(one, b""), tuple(places.get(one, ()))) for one in names])
        return _Labelled(layout, names, len(places) < len(keys))


class FamilyLabels(dict["Keys", "Layout"]):
    """Writes the labels of the series of one family.

    Args:
        layouts: those of all families.
        name: the field of a label `__name__`, which gets its place among the others; empty for none.

    Attributes:
        may_repeat: True if labels that were written for different tags may be the same.
    """

    def __init__(self, layouts: LabelLayouts, name: bytes = b"") -> None:
        self._layouts, self._name = layouts, name
        self._keys: dict[Keys, Keys] = {}
        self.may_repeat = False

    def __missing__(self, keys: Keys) -> Layout:
        if len(self) >= _MOST_OF_FAMILY:
            self.clear()
            self.may_repeat = True  # perhaps, as above
        made = self._layouts[keys]
        self.may_repeat = self.may_repeat or made.joins or self._keys.setdefault(made.names, keys) != keys
        layout = self[keys] = self._with_name(made) if self._name else made.layout
        return layout

    def _with_name(self, made: _Labelled) -> Layout:
        at = bisect_left(made.names, NAME)
        return *made.layout[:at], (b"", self._name, ()), *made.layout[at:]

    def column(self, column: Sequence[TagSet]) -> list[bytes]:
        """Return the labels of some series, of which there are not many: other threads wait."""
        made, is_left_out = tag_fields(column, self, _PAIR + _VALUE)
        if is_left_out:
            self.may_repeat = self._layouts.may_repeat = True
        return made

    def whole(self, column: Sequence[TagSet]) -> list[bytes]:
        """Return the labels of all series of a family."""
        made: list[bytes] = []
        for rows in portions(len(column)):
            made += self.column(column[rows])
        return made

    def repeat(self, column: Sequence[TagSet]) -> bool:
        """Return False if no two series of a family have the same labels. It is asked where `may_repeat` leaves it open."""
        seen: set[int] = set()  # not the labels: they would take as much memory as the page
        for rows in portions(len(column)):
            seen.update(map(hash, self.column(column[rows])))
        return len(seen) < len(column)


def family_labels(escaping: str, reserved: str = "", tags: tuple[tuple[str, str], ...] = ()) -> FamilyLabels:
    """Return what writes the labels of one family in a scrape.

    Args:
        tags: labels of all series. A series' own win.
    """
    return FamilyLabels(_layouts(escaping, reserved, tags))


@lru_cache(maxsize=16)
def _layouts(escaping: str, reserved: str, tags: tuple[tuple[str, str], ...]) -> LabelLayouts:
    return LabelLayouts(escaping, reserved, given_labels(tags, escaping, reserved), fills=False)


def may_precede_name() -> bool:
    """Return True if labels that were written may sort before `__name__`."""
    return _precede


def given_labels(tags: Iterable[tuple[str, str]], escaping: str, reserved: str) -> dict[str, bytes]:
    """Return labels for all series by their names: as `LabelLayouts` takes them.

    The values of those that get one name are joined, as those of a series are.
    """
    joined: dict[str, str] = {}
    for key, value in tags:
        name = label_name(key, escaping)
        name = f"exported_{name}" if name == reserved else name
        joined[name] = f"{joined[name]};{value}" if name in joined else value
    return {name: label_field(name, value) for name, value in joined.items() if value}


def label_fields(tags: Iterable[tuple[str, str]], escaping: str) -> bytes:
    """Return tags that come alone, as those of an exemplar do, as labels."""
    joined: dict[str, str] = {}
    for key, value in tags:
        name = label_name(key, escaping)
        joined[name] = f"{joined[name]};{value}" if name in joined else value
    return b"".join([label_field(name, joined[name]) for name in sorted(joined) if joined[name]])


def label_field(name: str, value: str) -> bytes:
    """Return one label, of any name."""
    text = value.encode("utf-8", "replace")
    pair = b"".join((_name_field(name), _values[len(text)], text))
    return _pairs[len(pair)] + pair


def _name_field(name: str) -> bytes:
    text = name.encode("utf-8", "replace")
    return _names[len(text)] + text


def twins(labels: list[bytes]) -> dict[bytes, list[int]]:
    """Return the rows of the series that have the same labels, by these."""
    rows: dict[bytes, list[int]] = {}
    for row, one in enumerate(labels):
        rows.setdefault(one, []).append(row)
    return rows


def oldest(created: Sequence[float], rows: Sequence[int]) -> float:
    """Return when the first of some series was created; 0 if no time is known."""
    return min([created[row] for row in rows if created[row] > 0.0], default=0.0)


def newest(exemplars: Iterable[RecordedExemplar]) -> RecordedExemplar | None:
    """Return the last one that was recorded; None if there is none."""
    return max(exemplars, key=lambda one: one.time, default=None)
