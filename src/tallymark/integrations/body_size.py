"""The size of a body, as its headers tell it."""

from __future__ import annotations

__all__ = ["told_size"]

_LONGEST = 15
"""Digits of a size that is believed: nobody sends a petabyte."""


def told_size(length: object, *, is_chunked: bool) -> int | None:
    """Return the size of a body in bytes; None if the headers do not tell it.

    Args:
        length: the header Content-Length. Without one there is no body, unless it is sent in chunks.
        is_chunked: there is a header Transfer-Encoding.
    """
    if not length:
        return None if is_chunked else 0
    if not isinstance(length, str):  # what a server gives against its protocol
        return None
    return int(length) if length.isascii() and length.isdigit() and len(length) <= _LONGEST else None
