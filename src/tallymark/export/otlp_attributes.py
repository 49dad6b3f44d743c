"""Tags as attributes in OpenTelemetry's protobuf format. They are made once for each `TagSet`, and kept with it.

An attribute is a message `KeyValue`, whose value is a message `AnyValue` with a text. Unlike in Prometheus, a key may have any
characters, and an empty value is one. Lone surrogates, which protobuf cannot carry, become `?`.
"""

from __future__ import annotations

from functools import lru_cache

from tallymark.export.protobuf_wire import Heads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tallymark.engine import TagSet

__all__ = [
    "EXPONENTIAL", "HISTOGRAM", "NUMBER", "attribute_fields", "column_of_attributes", "read_varint", "valid_text",
]  # fmt: skip

NUMBER, HISTOGRAM, EXPONENTIAL = 0x3A, 0x4A, 0x0A
"""The tags of the field `attributes` of data points. Those of summaries, and of exemplars, have that of numbers: a colon."""

_pairs, _keys, _values, _texts = Heads(b"\x3a"), Heads(b"\x0a"), Heads(b"\x12"), Heads(b"\x0a")
"""The field `attributes`, the fields of `KeyValue`, and the field `string_value` of `AnyValue`."""


def column_of_attributes(column: Sequence[TagSet], more: Mapping[str, str], tag: int = NUMBER) -> list[bytes]:
    """Return the attributes of each series: a field of its data point.

    Args:
        column: the tags of each series.
        more: tags for all series; a series' own win.
        tag: of the field.
    """
    # What is kept is seen here, rather than by a call for each series.
    kept = [tags._attributes or _kept_attributes(tags) for tags in column]
    if tag != NUMBER:
        kept = [_with_tag(own, tag, len(tags)) for own, tags in zip(kept, column, strict=True)]
    if not more:
        return kept
    others, keys = _fields(list(more.items()), tag), more.keys()
    return [
        own + (others if keys.isdisjoint(tags) else _fields([(key, more[key]) for key in keys - tags.keys()], tag))
        for own, tags in zip(kept, column, strict=True)
    ]


def _fields(pairs: Sequence[tuple[str, str]], tag: int) -> bytes:
    return _with_tag(attribute_fields(pairs), tag, len(pairs))


def _kept_attributes(tags: TagSet) -> bytes:
    kept = tags._attributes
    if kept is None:
        kept = attribute_fields(tags.items())
        tags._keep_attributes(kept)
    return kept


def attribute_fields(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Return keys and values as the field `attributes` of a number, or of an exemplar (`filtered_attributes`)."""
    return b"".join([_pair(_key_field(key), value) for key, value in pairs])


def _pair(key: bytes, value: str) -> bytes:
    text = value.encode("utf-8", "replace")
    start = _texts[len(text)]
    pair = b"".join((key, _values[len(start) + len(text)], start, text))
    return _pairs[len(pair)] + pair


@lru_cache(maxsize=1000)
def _key_field(key: str) -> bytes:
    text = key.encode("utf-8", "replace")
    return _keys[len(text)] + text


def _with_tag(fields: bytes, tag: int, number: int) -> bytes:
    """Return so many attributes as a field with another tag."""
    if fields.count(b":") == number:  # as mostly: each is the tag of one of them
        return fields.replace(b":", bytes((tag,)))
    changed = bytearray(fields)
    at = 0
    while at < len(changed):
        changed[at] = tag
        length, start = read_varint(fields, at + 1)
        at = start + length
    return bytes(changed)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that `varint` wrote at a place, and the place after it."""
    number = shift = 0
    while data[at] > 127:
        number |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
    return number | data[at] << shift, at + 1


def valid_text(text: str) -> str:
    """Return a text that protobuf can carry."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
