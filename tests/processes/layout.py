"""Where the numbers of a shared file's header are, in bytes (shared.h): tests damage them."""

from __future__ import annotations

import struct

VERSION, RELEASE, SIZE, USED, PLACES = 8, 16, 64, 72, 4096


def with_number(good: bytes, at: int, number: int) -> bytes:
    """Return the bytes of a file with another number at a place."""
    return good[:at] + struct.pack("Q", number) + good[at + 8 :]
