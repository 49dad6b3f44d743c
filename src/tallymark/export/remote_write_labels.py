"""Labels of series in remote write: those of a scrape, and those that all series are given; sorted, as receivers want them."""

from __future__ import annotations

from tallymark.export.escaping import UNDERSCORES
from tallymark.export.protobuf_labels import NAME, FamilyLabels, LabelLayouts, given_labels, may_precede_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["RemoteWriteLabels", "named", "place", "with_label", "with_name"]

_NAME = NAME.encode()


class RemoteWriteLabels:
    """Writes labels: the field `labels` of a message `TimeSeries`, without the series' name.

    Args:
        tags: for all series, which keep what they have of their own.
    """

    def __init__(self, tags: Mapping[str, str] | None = None) -> None:
        self._tags = {key: value for key, value in (tags or {}).items() if value}  # an empty label is none
        self._layouts: dict[str, LabelLayouts] = {}

    def may_repeat(self) -> bool:
        """Return True if labels that were written for different tags may be the same."""
        return True in [layouts.may_repeat for layouts in tuple(self._layouts.values())]  # other threads may add some

    def family(self, reserved: str = "", name: bytes = b"") -> FamilyLabels:
        """Return what writes the labels of one family.

        Args:
            reserved: a label of this name gets another one.
            name: the field of a label `__name__`, to be among them; empty for none.
        """
        layouts = self._layouts.get(reserved)
        if layouts is None:
            made = LabelLayouts(UNDERSCORES, reserved, given_labels(self._tags.items(), UNDERSCORES, reserved))
            layouts = self._layouts.setdefault(reserved, made)  # another thread may have been first
        return FamilyLabels(layouts, name)


def with_name(name: bytes, labels: Sequence[bytes]) -> tuple[bytes, Sequence[bytes]]:
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
