"""Tags as attributes in OpenTelemetry's protobuf format.

An attribute is a message `KeyValue`, whose value is a message `AnyValue` with a text. Unlike in Prometheus, a key may have any
characters, and an empty value is one. Lone surrogates, which protobuf cannot carry, become `?`.
"""

from __future__ import annotations

from functools import lru_cache

from tallymark.export.protobuf_wire import Heads
from tallymark.metric.data import tag_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tallymark.engine import TagSet
    from tallymark.engine.reference.tag_fields import Layout, Part

__all__ = [
    "EXPONENTIAL", "HISTOGRAM", "NUMBER", "attribute_fields", "column_of_attributes", "read_varint", "valid_text",
]  # fmt: skip

NUMBER, HISTOGRAM, EXPONENTIAL = 0x3A, 0x4A, 0x0A
"""The tags of the field `attributes` of data points. Those of summaries, and of exemplars, have that of numbers: a colon."""

_KEY, _VALUE, _TEXT = 0x0A, 0x12, 0x0A
"""The tags of the fields of `KeyValue`, and of the field `string_value` of `AnyValue`."""
_MOST = 1000
"""Sets of keys whose layouts are kept."""

_pairs, _keys, _values, _texts = [Heads(bytes((tag,))) for tag in (NUMBER, _KEY, _VALUE, _TEXT)]


class _Layouts(dict[tuple[str, ...], "Layout"]):
    """How tags are written, by their keys.

    Args:
        more: tags for all series; a series' own win.
        tag: of the field.
    """

    def __init__(self, more: tuple[tuple[str, str], ...], tag: int) -> None:
        self._more = {key: bytes((tag,)) + attribute_fields([(key, value)])[1:] for key, value in more}

    def __missing__(self, keys: tuple[str, ...]) -> Layout:
        if len(self) >= _MOST:
            self.clear()
        own: list[Part] = [(_key_field(key), None, (place,)) for place, key in enumerate(keys)]
        layout = self[keys] = (*own, *[(b"", field, ()) for key, field in self._more.items() if key not in keys])
        return layout


_layouts = lru_cache(maxsize=16)(_Layouts)


def column_of_attributes(column: Sequence[TagSet], more: Mapping[str, str], tag: int = NUMBER) -> list[bytes]:
    """Return the attributes of some series, of which there are not many: other threads wait. Each is a field of a data point.

    Args:
        column: the tags of each series.
        more: tags for all series; a series' own win.
        tag: of the field.
    """
    return tag_fields(column, _layouts(tuple(more.items()), tag), bytes((tag, _VALUE, _TEXT)))[0]


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
