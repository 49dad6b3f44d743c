"""`Dialect`: how a StatsD server is told tags, and which types of lines it knows.

Sources: https://github.com/statsd/statsd/blob/master/docs/metric_types.md for lines,
https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/ for Datadog,
https://github.com/influxdata/telegraf/blob/master/plugins/inputs/statsd/README.md for InfluxDB,
https://graphite.readthedocs.io/en/latest/tags.html for Graphite.
"""

from __future__ import annotations

import re
import sys
from typing import cast

from tallymark.export.tag_frames import Changed, Frames, characters
from tallymark.frozen import Frozen
from tallymark.metric.data import tag_texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from re import Pattern

    from tallymark.engine import TagSet

__all__ = ["DIALECTS", "DOGSTATSD", "Dialect", "TagTexts"]

_NAME = re.compile(r"[^A-Za-z0-9_.\-]")
_NOT_LETTERS = re.compile(r"[^A-Za-z]+")
_NOT_ASCII = re.compile(r"[^\x20-\x7e]")
_MOST = 1000
"""Keys, and names of metrics, that are kept."""


class Dialect(Frozen):
    """What a server understands.

    Attributes:
        begin: before the first tag.
        between: before each other tag.
        equals: between key and value.
        not_in_key: what becomes `_` in a key: it would end it, or the server does not take it.
        not_in_value: the same for values.
        tags_last: True if tags end a line; False if they are a part of the name.
        timer: the type of lines that tell durations.
        histogram: the type of lines that tell other distributions.
        per_second: the unit of durations.
        packs: what several observations in one line share: `"type"`, `"name"`; or `""`, if a line has one.
        negative: what a number with a minus sign means: its value (`"value"`); of a gauge, how far it moves (`"move"`), while a
            distribution cannot have it.
        first_letter: True if a name must begin with a letter: lines that begin otherwise mean something else.
    """

    __slots__ = (
        "begin", "between", "equals", "first_letter", "histogram", "negative", "not_in_key", "not_in_value", "packs",
        "per_second", "tags_last", "timer",
    )  # fmt: skip

    begin: str
    between: str
    equals: str
    not_in_key: Pattern[str]
    not_in_value: Pattern[str]
    tags_last: bool
    timer: str
    histogram: str
    per_second: float
    packs: str
    negative: str
    first_letter: bool

    def name(self, name: str) -> str:
        """Return a metric's name; what servers do not take is `_`."""
        safe = _NAME.sub("_", name)
        if self.first_letter and (start := _NOT_LETTERS.match(safe)):
            safe = safe[start.end() :]
        return safe or "unnamed"

    def key(self, key: str) -> str:
        """Return a tag's key; what would end it is `_`."""
        return self.not_in_key.sub("_", key)

    def value(self, value: str) -> str:
        """Return a tag's value; what would end it is `_`."""
        return self.not_in_value.sub("_", value)


class _Graphite(Dialect):
    __slots__ = ()

    def key(self, key: str) -> str:
        return "_name" if key == "name" else super().key(key)  # in `name`, Graphite keeps the name of the metric

    def value(self, value: str) -> str:
        return super().value(f"_{value[1:]}" if value.startswith("~") else value)


_PLAIN = re.compile(r"[^A-Za-z0-9_\-]")
# Brackets, in which some servers find tags too.
_GRAPHITE = re.compile(r"[^\x21-\x7e]|[;!^=:|\[\]]"), re.compile(r"[^\x21-\x7e]|[;:|\[\]]")
_UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_INFLUXDB = re.compile(rf"[,=:|\[\] {_UNPRINTABLE}]"), re.compile(rf"[,=:|\[\]{_UNPRINTABLE}]")
_DATADOG = re.compile(r"[^\w\-/.]"), re.compile(r"[^\w\-:/.]")

DIALECTS = {
    "none": Dialect(".", ".", ".", _PLAIN, _PLAIN, False, "ms", "ms", 1000.0, "", "move", False),
    "graphite": _Graphite(";", ";", "=", *_GRAPHITE, False, "ms", "ms", 1000.0, "", "move", False),
    "influxdb": Dialect(",", ",", "=", *_INFLUXDB, False, "ms", "h", 1000.0, "name", "move", False),
    "datadog": Dialect("|#", ",", ":", *_DATADOG, True, "ms", "h", 1000.0, "", "move", True),
}
"""The dialects that have names."""

DOGSTATSD = Dialect("|#", ",", ":", *_DATADOG, True, "d", "d", 1.0, "type", "value", True)
"""Datadog's own server. Others that know its tags know neither its distributions nor several values in a line, and take a minus
sign as the first StatsD did."""


class TagTexts:
    """The text of each tag set in one dialect. A tag with an empty value is left out: to servers, both are the same.

    The values of two tags whose keys become the same are joined. The texts that the engine can write are made whenever they are
    needed; all others once.

    Args:
        dialect: of the server.
        common: tags for all series; a series' own win.
        only_ascii: True if what is not ASCII becomes `_` too.
    """

    def __init__(self, dialect: Dialect, common: Mapping[str, str], *, only_ascii: bool = False) -> None:
        self.dialect = dialect
        self._common = common
        self._only_ascii = only_ascii
        self._frames = Frames(self._written)
        # In Graphite, `~` is another character at the beginning.
        other = self._ascii(dialect.value("é"))  # a dialect that does not take this takes nothing that is not ASCII
        self._becomes = characters(
            lambda value: self._ascii(dialect.value(value)), odd="~", others=other if other.isascii() else "\0"
        )
        self._keys: dict[str, str] = {}
        self._kept: dict[TagSet, str] = {}
        self._has_changed = False
        self._told: set[str] = set()

    def __len__(self) -> int:
        """Return how many texts are kept."""
        return len(self._kept)

    def column(self, tags: Sequence[TagSet]) -> list[str]:
        """Return the text of each series."""
        texts, missing, is_exact = tag_texts(tags, self._frames, self._becomes, sys.maxsize)
        self._has_changed = self._has_changed or not is_exact
        if not missing:
            return cast("list[str]", texts)
        return [self._kept_text(one) if text is None else text for one, text in zip(tags, texts, strict=True)]

    def forget(self, series: int) -> None:
        """Drop what is kept if most of it is of series that are gone, since there are so many now."""
        if len(self._kept) > 2 * series + 1000:
            self._kept.clear()

    def has_changed(self, metric: str) -> bool:
        """Return True, once for each metric, if tags were not told as they are since this was asked last."""
        is_new = self._has_changed and metric not in self._told
        self._has_changed = False
        if is_new:
            if len(self._told) >= _MOST:
                self._told.clear()
            self._told.add(metric)
        return is_new

    def _kept_text(self, tags: TagSet) -> str:
        text = self._kept.get(tags)
        if text is None:
            written = self._written(tags)
            self._has_changed = self._has_changed or type(written) is Changed
            text = self._kept[tags] = str(written)  # which takes less memory than what is `Changed`
        return text

    def _written(self, tags: Mapping[str, str]) -> str:
        """Return a text, `Changed` if it does not tell all tags as they are."""
        merged = {**self._common, **tags} if self._common else tags
        told: dict[str, str] = {}
        exact = True
        for key in sorted(merged):
            if value := merged[key]:
                safe, text = self._keys.get(key) or self._kept_key(key), self._ascii(self.dialect.value(value))
                exact = exact and text == value and safe == key
                told[safe] = f"{told[safe]}_{text}" if safe in told else text
        equals = self.dialect.equals
        pairs = self.dialect.between.join([f"{key}{equals}{value}" for key, value in told.items()])
        text = f"{self.dialect.begin}{pairs}" if pairs else ""
        return text if exact else Changed(text)

    def _kept_key(self, key: str) -> str:
        if len(self._keys) >= _MOST:
            self._keys.clear()
        safe = self._keys[key] = self._ascii(self.dialect.key(key))
        return safe

    def _ascii(self, text: str) -> str:
        return _NOT_ASCII.sub("_", text) if self._only_ascii else text
