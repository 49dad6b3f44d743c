"""`Mount`: a line of `/proc/self/mountinfo`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Mount", "parse_mounts"]

_ESCAPE = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """What is mounted where.

    Attributes:
        root: the directory (or file) of the mounted file system that is visible, `/` for all of it.
        point: where it is visible.
        kind: the type of the file system.
        options: of the file system; for a v1 cgroup its controllers are among them.
    """

    root: str
    point: str
    kind: str
    options: tuple[str, ...]


def parse_mounts(text: str) -> Iterator[Mount]:
    """Parse a `/proc/self/mountinfo`. Lines of another form are omitted."""
    for line in text.split("\n"):
        # Before the dash is a varying number of fields.
        mount, _, system = line.partition(" - ")
        fields, kind, options = mount.split(" "), system.partition(" ")[0], system.rpartition(" ")[2]
        if kind and len(fields) >= 6:
            yield Mount(_unescape(fields[3]), _unescape(fields[4]), kind, tuple(options.split(",")))


def _unescape(path: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), path)
