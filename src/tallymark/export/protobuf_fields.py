"""Where the fields of a protobuf message end: to divide one that is too large."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["ends_of_fields"]


def ends_of_fields(message: bytes | memoryview, tags: Collection[int]) -> list[int]:
    """Return where the fields end that a message begins with, as long as they have one of these tags, and a length.

    Args:
        tags: of a byte each; bytes will do.
    """
    ends: list[int] = []
    at = 0
    while at < len(message) and message[at] in tags:
        at += 1
        length = shift = 0
        while message[at] > 127:
            length |= (message[at] & 127) << shift
            at, shift = at + 1, shift + 7
        at += 1 + (length | message[at] << shift)
        ends.append(at)
    return ends
