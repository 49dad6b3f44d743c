"""A strict parser of InfluxDB's line protocol, written from its documentation.

Where programs differ about what a line means (a backslash before what it could escape), a line is a failure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = re.compile(r"(?:[^\\,= \n]|\\[,= ]|\\(?![\\,= \n]|\Z))+")
_FLOAT = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")


class Point(NamedTuple):
    measurement: str
    tags: dict[str, str]
    fields: dict[str, float]
    time: int


def parse_influx(text: bytes) -> list[Point]:
    """Return the points of lines. Anything that a server would drop, or that two may read in two ways, is a failure."""
    if not text:
        return []
    assert text.endswith(b"\n")
    return [_Line(line.decode()).point() for line in text[:-1].split(b"\n")]


class _Line:
    def __init__(self, line: str) -> None:
        assert not re.search(r"[\x00-\x1f\x7f]", line), line
        self._rest = line

    def _token(self) -> str:
        found = _TOKEN.match(self._rest)
        assert found, self._rest
        self._rest = self._rest[found.end() :]
        return re.sub(r"\\([,= ])", r"\1", found[0])

    def _takes(self, char: str) -> bool:
        taken = self._rest.startswith(char)
        self._rest = self._rest[taken:]
        return taken

    def _pair(self) -> tuple[str, str]:
        key = self._token()
        assert self._takes("="), self._rest
        return key, self._token()

    def point(self) -> Point:
        assert not self._rest.startswith("#"), "a comment"
        measurement, tags, fields = self._token(), {}, {}
        while self._takes(","):
            key, value = self._pair()
            assert key not in (*tags, "time", "_time", "_field", "_measurement")
            tags[key] = value
        assert self._takes(" "), self._rest
        while not fields or self._takes(","):
            key, value = self._pair()
            assert key not in fields
            assert _FLOAT.fullmatch(value), value
            fields[key] = float(value)
        assert self._takes(" "), self._rest
        assert re.fullmatch("[0-9]{1,19}", self._rest)
        assert int(self._rest) < 2**63 - 1
        assert not tags.keys() & fields.keys(), "newer servers take no tag and field of one name"
        return Point(measurement, tags, fields, int(self._rest))
