"""What the comments of Prometheus text tell of each metric: its type, description and unit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tallymark.frozen import Frozen, replace

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["UNTYPED", "Header", "read_headers"]

_HEADER = re.compile(r'#\s*(HELP|TYPE|UNIT)\s+("(?:[^"\\]|\\.)*"|\S+)[ \t]*(.*)')
_ESCAPED = re.compile(r'\\([\\n"])')
_FIELDS = {"HELP": "description", "TYPE": "type", "UNIT": "unit"}
_UNITS = ("seconds", "bytes", "ratio")
"""Those that a name ends in where no comment tells the unit."""


class Header(Frozen):
    """What is told of a metric. Its type is as in the text, in lower case."""

    __slots__ = ("description", "type", "unit")

    type: str
    description: str
    unit: str


UNTYPED = Header("untyped", "", "")


def read_headers(lines: Iterable[str]) -> dict[str, Header]:
    """Return the headers among the lines of a page, by the name that they are about. Other comments are passed over."""
    headers: dict[str, Header] = {}
    for line in lines:
        if line[:1] == "#" and (found := _HEADER.match(line)):
            field, name, text = found.groups()
            name = _unescaped(name[1:-1]) if name[0] == '"' else name
            header = headers.get(name) or Header(UNTYPED.type, "", _unit(name))
            headers[name] = replace(header, **{_FIELDS[field]: _read(field, text.strip())})
    return headers


def _read(field: str, text: str) -> str:
    return _unescaped(text) if field == "HELP" else text.lower()


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], text)


def _unit(name: str) -> str:
    words = name.removesuffix("_total").rsplit("_", 1)
    return words[-1] if words[-1] in _UNITS else ""
