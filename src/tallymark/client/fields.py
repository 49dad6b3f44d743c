"""Fields of an HTTP request that a user names: checked when they are given, and without a word of their values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["checked_fields"]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_OURS = ("Content-Length", "Transfer-Encoding", "Connection")


def checked_fields(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return fields with names in one spelling.

    Raises:
        TypeError: a name or value is not text, or all together are no mapping.
        ValueError: a field cannot be sent, or is not the user's to choose. The message does not have its value.
    """
    if headers is None:
        return {}
    if not hasattr(headers, "items"):
        raise TypeError(f"headers must be a mapping of names to values, not {type(headers).__name__}")
    return {_checked(name, value): value for name, value in headers.items()}


def _checked(name: str, value: str) -> str:
    for what, text in (("name", name), ("value", value)):
        if not isinstance(text, str):
            raise TypeError(f"headers: the {what} of {name!r} must be a str, not {type(text).__name__}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"headers: {name!r} cannot be the name of a field")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"headers: the value of {name!r} has characters that a field cannot have, such as a new line")
    if name.title() in _OURS:
        raise ValueError(f"headers: {name!r} is set for each request, and cannot be chosen")
    return name.title()
