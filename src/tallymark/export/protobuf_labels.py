"""Labels as a field of a message, kept with their tag sets; and the merging of series that have the same labels.

The messages `Metric` of scrapes and `TimeSeries` of remote write have the same field.
"""

from __future__ import annotations

from functools import lru_cache

from tallymark.export.escaping import label_name
from tallymark.export.protobuf_wire import Heads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tallymark.engine import TagSet
    from tallymark.engine.exemplar import Exemplar as RecordedExemplar

__all__ = [
    "NAME", "column_of_labels", "label_field", "label_fields", "labels_beside", "may_precede_name", "may_repeat", "newest",
    "oldest", "twins",
]  # fmt: skip

NAME = "__name__"
"""The label that has the name of a series in remote write."""

_KEPT = ("underscores", "allow-utf-8")
"""The schemes that scrapers use; for others, labels are made each time."""

_exact = True
"""True if all labels that are kept with tags so far equal them, so that no two can be the same."""

_precede = False
"""True if any of these labels sorts before `__name__`, as one does that begins with a capital letter."""

_pairs, _names, _values = Heads(b"\x0a"), Heads(b"\x0a"), Heads(b"\x12")
"""The field `label` of a message, and the fields of a message `LabelPair`."""


def column_of_labels(column: Sequence[TagSet], escaping: str) -> list[bytes]:
    """Return the labels of each series: the field `label` of its message. They are kept with the tag set."""
    if escaping not in _KEPT:
        return [label_fields(tags.items(), escaping) for tags in column]
    # What is kept is seen here, rather than by a call for each series.
    return [kept if type(kept := tags._label_pairs) is bytes else _kept_labels(tags, escaping) for tags in column]


def may_repeat(escaping: str) -> bool:
    """Return True if labels that `column_of_labels` returned for different tags may be the same."""
    return not (_exact and escaping in _KEPT)


def may_precede_name() -> bool:
    """Return True if labels that were returned may sort before `__name__`."""
    return _precede


def labels_beside(reserved: str, column: Sequence[TagSet], escaping: str) -> list[bytes]:
    """Return the same where the samples of a series have a label of their own: a tag of its name gets another one."""
    return [
        label_fields(tags.items(), escaping, reserved) if reserved in tags else _kept_labels(tags, escaping) for tags in column
    ]


def _kept_labels(tags: TagSet, escaping: str) -> bytes:
    if escaping not in _KEPT:
        return label_fields(tags.items(), escaping)
    kept = tags._label_pairs
    if kept is None:
        kept = _both_labels(tags)
        tags._keep_label_pairs(kept)
    return kept if isinstance(kept, bytes) else kept[_KEPT.index(escaping)]


def _both_labels(tags: TagSet) -> bytes | tuple[bytes, bytes]:
    """Return the labels in the two schemes that scrapers use; once if these are the same."""
    global _exact, _precede
    names = [_plain_name(key) for key in tags]
    _precede = _precede or any(key < NAME for key in tags)
    _exact = _exact and None not in names and "" not in tags.values()
    if None in names:
        return label_fields(tags.items(), _KEPT[0]), label_fields(tags.items(), _KEPT[1])
    # The keys are names as they are, and sorted.
    return b"".join([_pair(name, value) for name, value in zip(names, tags.values(), strict=True) if name and value])


def label_fields(tags: Iterable[tuple[str, str]], escaping: str, reserved: str = "") -> bytes:
    """Return tags as the field `label` of a message, once for each label.

    One with an empty value is omitted, and the values of those that get one name are joined, as in the text format.
    """
    global _exact, _precede
    joined: dict[str, str] = {}
    for key, value in tags:
        name = label_name(key, escaping)
        _precede = _precede or name < NAME
        if name == reserved:
            name, _exact = f"exported_{name}", False
        joined[name] = f"{joined[name]};{value}" if name in joined else value
    return b"".join([_pair(_name_field(name), joined[name]) for name in sorted(joined) if joined[name]])


def label_field(name: str, value: str) -> bytes:
    """Return one label, of any name."""
    global _precede
    _precede = _precede or name < NAME
    return _pair(_name_field(name), value)


def _pair(name: bytes, value: str) -> bytes:
    text = value.encode("utf-8", "replace")
    pair = b"".join((name, _values[len(text)], text))
    return _pairs[len(pair)] + pair


def _name_field(name: str) -> bytes:
    text = name.encode("utf-8", "replace")
    return _names[len(text)] + text


@lru_cache(maxsize=1000)
def _plain_name(key: str) -> bytes | None:
    """Return the field `name` of a label; None if the schemes that scrapers use do not all take the key as it is."""
    return _name_field(key) if {label_name(key, each) for each in _KEPT} == {key} else None


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
