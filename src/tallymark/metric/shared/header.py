"""What a file that registries share begins with: enough to tell whose it is, and which release made it."""

from __future__ import annotations

import os
import sys

from tallymark.version import __version__

__all__ = ["FORMAT", "is_ours", "release_trouble"]

FORMAT = 3
"""The format that this release reads and writes (VERSION in shared.c)."""

_MAGIC = 0x4B524D594C4C4154.to_bytes(8, sys.byteorder)
"""What all such files begin with, of whatever release (shared.c)."""

_RELEASE = slice(16, 48)
_FIRST_WITH_RELEASE = 3


def is_ours(fd: int) -> bool:
    """Return True if a regular file begins like those that registries share, whatever else is in it."""
    return os.pread(fd, len(_MAGIC), 0) == _MAGIC


def release_trouble(fd: int) -> str:
    """Return that another release made a file of ours, and which; empty if its format is that of this one."""
    start = os.pread(fd, _RELEASE.stop, 0)
    number = int.from_bytes(start[8:16], sys.byteorder)
    if len(start) < 16 or number == FORMAT:
        return ""
    release = _shown(start[_RELEASE]) if number >= _FIRST_WITH_RELEASE else ""
    made = f": Tallymark {release}, format {number}" if release else f", with format {number}"
    return f"another release of Tallymark made it{made}; this is Tallymark {__version__}, format {FORMAT}"


def _shown(release: bytes) -> str:
    # Whoever wrote the file may have written anything there.
    text = release.partition(b"\0")[0].decode("latin-1")
    return "".join([one if one.isascii() and one.isprintable() else "?" for one in text])
