"""Tags as fields of protobuf messages: what exporters write before the numbers of each series."""

from __future__ import annotations

from functools import lru_cache

from tallymark.engine.reference.tagset import TagSet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    Part: TypeAlias = tuple[bytes, bytes | None, tuple[int, ...]]
    Layout: TypeAlias = tuple[Part, ...]

__all__ = ["Layout", "Part", "tag_fields"]

_LONGEST_KEPT = 200
"""Characters: so many a value has by default."""


def tag_fields(
    column: Sequence[Mapping[str, str]], layouts: Mapping[tuple[str, ...], Layout], nested: bytes, /
) -> tuple[list[bytes], bool]:
    """Return the tags of each series as fields of a message; and True if a value was left out somewhere since it is empty.

    A layout tells what is written for some keys: parts, one after the other. A part is `(head, otherwise, places)`. The values
    of the tags at these places, joined with `;`, are a text. What is written is a message: the head, then the text as a field.
    But where the text is empty, `otherwise` is written as it is, unless that is None. Lone surrogates become `?`.

    Args:
        column: the tags of each series.
        layouts: by keys; asked once for neighbours that have the same keys.
        nested: the tags of protobuf's fields, of one byte each: of the message, and of the text in it; between them may be one
            more, of a message that holds the text alone.

    Raises:
        TypeError: an argument, or a layout, is of another type.
        ValueError: `nested` has another length than 2 or 3.
        IndexError: a layout has a place that the tags do not have.
    """
    if type(nested) is not bytes:
        raise TypeError(f"nested must be bytes, not {type(nested).__name__}")
    if len(nested) not in (2, 3):
        raise ValueError(f"nested must have 2 or 3 bytes, not {len(nested)}")
    made, is_left_out = [], False
    known: tuple[str, ...] | None = None
    layout: Layout = ()
    for tags in column:
        items = tags._items if isinstance(tags, TagSet) else tags
        keys, values = tuple(items), tuple(items.values())
        if keys != known:
            known, layout = keys, layouts[keys]
        fields = []
        for head, otherwise, places in layout:
            text = values[places[0]] if len(places) == 1 else ";".join([values[place] for place in places])
            if text or otherwise is None:
                fields.append((_kept_field if len(text) <= _LONGEST_KEPT else _field)(nested, head, text))
            else:
                fields.append(otherwise)
                is_left_out = is_left_out or places != ()
        made.append(b"".join(fields))
    return made, is_left_out


def _field(nested: bytes, head: bytes, text: str) -> bytes:
    """Return a head and a text as a message, which is a field."""
    message = text.encode("utf-8", "replace")
    for tag in nested[:0:-1]:
        message = _head(tag, len(message)) + message
    return b"".join((_head(nested[0], len(head) + len(message)), head, message))


_kept_field = lru_cache(maxsize=4096)(_field)
"""The same, kept for a while: many series share a value."""


@lru_cache(maxsize=4096)
def _head(tag: int, length: int) -> bytes:
    """Return what comes before a message that is a field: the tag, and the length as groups of seven bits, the lowest first."""
    head = bytearray((tag,))
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head)
