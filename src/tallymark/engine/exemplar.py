"""`Exemplar`: what tells one record of a series from all others, such as the trace in which it was made.

Both engines use this off the record path: to check labels, and to write and read them in shared memory.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from math import isfinite

from tallymark.engine.sparse_column import SparseColumn
from tallymark.engine.text import key_text, value_text
from tallymark.frozen import Frozen, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TypeAlias

    from tallymark.engine.columns import Columns
    from tallymark.engine.options import FamilyOptions

    Labels: TypeAlias = tuple[tuple[str, str], ...]

__all__ = ["EXPONENTIAL_PLACES", "MAX_CHARACTERS", "Exemplar", "checked_labels", "labels_text", "place_of", "with_exemplars"]

_set = object.__setattr__

MAX_CHARACTERS = 128
"""Characters of an exemplar's names and values together. Source: OpenMetrics 1.0, section "Exemplars"."""

EXPONENTIAL_PLACES = 20
"""Exemplars of a series with exponential buckets. Source: OpenTelemetry's SDK for metrics, section "Exemplar defaults"."""

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_END = b"\xff"
"""Ends each text in shared memory: a byte that UTF-8 never has."""


class Exemplar(Frozen):
    """One record of a series, and what identifies it.

    Attributes:
        labels: pairs of name and value, as they were given.
        value: what was recorded: the amount of a counter, the observation of a histogram or timer.
        time: when, in seconds since the epoch.
    """

    __slots__ = ("labels", "time", "value")

    labels: Labels
    value: float
    time: float

    def __init__(self, labels: Labels, value: float, time: float) -> None:  # written out for speed: a snapshot makes many
        _set(self, "labels", labels)
        _set(self, "value", value)
        _set(self, "time", time)


def checked_labels(exemplar: Mapping[Any, Any]) -> Labels:
    """Return the labels of an exemplar as exact text.

    Raises:
        ValueError: they are longer than OpenMetrics allows, or it does not allow a name.
        TagError: `str()` of a value failed.
        TypeError: a name is not text, or a value is a collection.
    """
    labels = {key_text(key): value_text(key, value) for key, value in exemplar.items()}
    for name in labels:
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"label {name[:40]!r} is not valid: a name has letters (a to z), digits and '_', no digit first")
    length = sum([len(name) + len(value) for name, value in labels.items()])
    if length > MAX_CHARACTERS:
        raise ValueError(f"it has {length} characters, but {MAX_CHARACTERS} are allowed")
    return tuple(labels.items())


def place_of(options: FamilyOptions, value: float) -> int:
    """Return the place of an exemplar in its series: that of its bucket.

    There are more exponential buckets than places. Four places share each power of two, so that values that differ by less
    than 32 times are spread.
    """
    if options.bounds:
        return bisect_left(options.bounds, value)
    if options.kind == "counter":
        return 0
    from struct import pack, unpack  # few series have exponential buckets

    bits: int = unpack("=Q", pack("=d", abs(value)))[0]
    return (bits >> 50) % EXPONENTIAL_PLACES


def labels_text(labels: Labels) -> bytes:
    """Return the text of labels in shared memory: at most 512 bytes, as a name has one byte for each character."""
    return b"".join([text.encode() + _END for label in labels for text in label])


def _text_labels(text: bytes) -> Labels | None:
    """Decode such a text. Return None for one that `labels_text` cannot have written."""
    try:
        *texts, rest = [one.decode() for one in text.split(_END)]
    except UnicodeDecodeError:
        return None
    names, values = texts[::2], texts[1::2]
    if rest or not names or len(names) != len(values) or len(set(names)) < len(names):
        return None
    if sum(map(len, texts)) > MAX_CHARACTERS or not all(map(_NAME.fullmatch, names)):
        return None
    return tuple(zip(names, values, strict=True))


def with_exemplars(columns: Columns, read: Mapping[int, Sequence[tuple[Labels | bytes, float, float]]]) -> Columns:
    """Return columns of the native engine with the exemplars that it read, by row. A text that is damaged is dropped."""
    made = {row: tuple([one for part in parts for one in _read(*part)]) for row, parts in read.items()}
    found = {row: exemplars for row, exemplars in made.items() if exemplars}
    return replace(columns, exemplars=SparseColumn(len(columns.tags), found)) if found else columns


def _read(given: Labels | bytes, value: float, time: float) -> Sequence[Exemplar]:
    labels = _text_labels(given) if isinstance(given, bytes) else given
    return (Exemplar(labels, value, time),) if labels and isfinite(value) and isfinite(time) else ()
