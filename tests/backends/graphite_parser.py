"""A strict parser of Graphite's plain text, written from its documentation and from what carbon 1.1 does with a line."""

from __future__ import annotations

from typing import NamedTuple


class Number(NamedTuple):
    name: str
    tags: dict[str, str]
    value: float
    time: int


def parse_graphite(text: bytes) -> list[Number]:
    """Return the numbers of lines. Anything that carbon would drop, or read otherwise than it looks, is a failure."""
    if not text:
        return []
    assert text.endswith(b"\n")
    return [_number(line) for line in text[:-1].split(b"\n")]


def _number(line: bytes) -> Number:
    assert len(line) <= 16384, "carbon closes the connection"
    words = line.decode().split(" ")
    assert len(words) == 3, line
    assert line.decode().split() == words, "another kind of space"
    path, value, time = words
    assert not (path.endswith('"}') and "{" in path), "carbon reads it as OpenMetrics"
    assert float(value) - float(value) == 0, "not finite"
    assert set(time) <= set("0123456789")
    name, *segments = path.split(";")
    assert name
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/-")
    tags: dict[str, str] = {}
    for segment in segments:
        key, equals, tag = segment.partition("=")
        assert equals
        assert key not in ("", "name", *tags)
        assert not set(key) & set(";!^=")
        assert tag[:1] not in ("", "~")
        tags[key] = tag
    return Number(name, tags, float(value), int(time))
