"""Labels of series in remote write: those of a scrape, and those that all series are given; sorted, as receivers want them."""

from __future__ import annotations

from tallymark.export.escaping import UNDERSCORES, label_name
from tallymark.export.protobuf_labels import (
    NAME,
    column_of_labels,
    label_field,
    labels_beside,
    may_precede_name,
    may_repeat,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tallymark.engine import TagSet

__all__ = ["RemoteWriteLabels", "named", "place", "with_label", "with_name"]

_NAME = NAME.encode()


class RemoteWriteLabels:
    """Writes labels: the field `labels` of a message `TimeSeries`, without the series' name.

    Args:
        tags: for all series, which keep what they have of their own. What they become is kept with the series' tags, until
            `forget` is called.
    """

    def __init__(self, tags: Mapping[str, str] | None = None) -> None:
        self._tags = {key: value for key, value in (tags or {}).items() if value}  # an empty label is none
        self._given: dict[str, list[tuple[bytes, bytes]]] = {}
        self._merged: dict[str, dict[TagSet, bytes]] = {}
        self._meets = False

    def may_repeat(self) -> bool:
        """Return True if labels that were returned for different tags may be the same."""
        return self._meets or may_repeat(UNDERSCORES)

    def column(self, column: Sequence[TagSet], reserved: str = "") -> list[bytes]:
        """Return the labels of each series. One whose name is `reserved` gets another one."""
        if not self._tags:
            return labels_beside(reserved, column, UNDERSCORES) if reserved else column_of_labels(column, UNDERSCORES)
        kept = self._merged.setdefault(reserved, {})
        return [kept.get(tags) or self._make(tags, reserved) for tags in column]

    def _make(self, tags: TagSet, reserved: str) -> bytes:
        (own,) = labels_beside(reserved, (tags,), UNDERSCORES)
        given = self._given.get(reserved)
        if given is None:
            given = self._given[reserved] = _given(self._tags, reserved)
        labels = self._merged[reserved][tags] = self._merge(own, given)
        return labels

    def _merge(self, labels: bytes, given: list[tuple[bytes, bytes]]) -> bytes:
        for name, field in given:
            at = place(labels, name)
            if _name_at(labels, at) == name:
                self._meets = True
            else:
                labels = labels[:at] + field + labels[at:]
        return labels

    def forget(self, series: int) -> None:
        """Forget what is kept, if that is of more than twice as many series as there are: most of them are gone."""
        for kept in self._merged.values():
            if len(kept) > 2 * series:
                kept.clear()


def _given(tags: Mapping[str, str], reserved: str) -> list[tuple[bytes, bytes]]:
    """Return each label by its name. The values of those that get one name are joined, as those of a series are."""
    joined: dict[str, str] = {}
    for key, value in tags.items():
        name = label_name(key, UNDERSCORES)
        name = f"exported_{name}" if name == reserved else name
        joined[name] = f"{joined[name]};{value}" if name in joined else value
    return [(name.encode(), label_field(name, value)) for name, value in joined.items() if value]


def with_name(name: bytes, labels: list[bytes]) -> tuple[bytes, list[bytes]]:
    """Return the labels of series that have a name too, whose field is given: what all begin with, and how each goes on."""
    if not may_precede_name():
        return name, labels
    return b"", [named(name, one) for one in labels]


def named(name: bytes, labels: bytes) -> bytes:
    """Return the labels of one series that has a name too."""
    if not may_precede_name():
        return name + labels
    return with_label(labels, _NAME, name)


def with_label(labels: bytes, name: bytes, field: bytes) -> bytes:
    """Return the labels of one series that has one of this name too, whose field is given."""
    at = place(labels, name)
    return labels[:at] + field + labels[at:]


def place(labels: bytes, name: bytes) -> int:
    """Return where among sorted labels one of this name belongs."""
    at = 0
    while at < len(labels) and _name_at(labels, at) < name:
        length, start = _length(labels, at + 1)
        at = start + length
    return at


def _name_at(labels: bytes, at: int) -> bytes:
    """Return the name of the label whose field begins there; nothing at the end."""
    if at == len(labels):
        return b""
    _, start = _length(labels, at + 1)
    length, start = _length(labels, start + 1)
    return labels[start : start + length]


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Return the length that is written there, and where that ends."""
    length = data[at] & 127
    shift = 0
    while data[at] & 128:
        at, shift = at + 1, shift + 7
        length |= (data[at] & 127) << shift
    return length, at + 1
