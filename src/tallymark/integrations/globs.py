"""`Globs`: which routes and paths an integration leaves out."""

from __future__ import annotations

import re
from fnmatch import translate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Globs"]


class Globs:
    """Patterns of texts: `*` stands for any characters, `/` among them, and `?` for one. All else stands for itself.

    Args:
        patterns: such as `("/healthz", "/internal/*")`.

    Raises:
        TypeError: they are not a collection of texts.
    """

    __slots__ = ("_match", "_patterns")

    def __init__(self, patterns: Iterable[str]) -> None:
        if isinstance(patterns, str | bytes):
            raise TypeError(f"exclude must be a collection of routes or paths: exclude=({patterns!r},)")
        self._patterns = tuple(patterns)
        if wrong := [one for one in self._patterns if not isinstance(one, str)]:
            raise TypeError(f"exclude must be routes or paths, each a str, not {wrong[0]!r}")
        # A route's brackets are no set of characters, as they are for the shell.
        texts = [translate(one.replace("[", "[[]")) for one in self._patterns]
        self._match = re.compile("|".join(texts)).match if texts else None

    def __bool__(self) -> bool:
        return self._match is not None

    def __call__(self, text: str) -> bool:
        """Return True if one of the patterns is `text`, as a whole."""
        return self._match is not None and self._match(text) is not None

    def __repr__(self) -> str:
        return f"<Globs {self._patterns!r}>"
