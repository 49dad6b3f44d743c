"""`Frames`: what a format writes around the values of tags, so that an engine can write the text of each tag set."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    Frame: TypeAlias = tuple[tuple[str, ...], bool]
    """As `tag_texts` of an engine takes it."""
    Written: TypeAlias = str | None
    """The text of a tag set, `Changed` if not all tags are told as they are; None if it cannot be told."""
    Writer: TypeAlias = Callable[[Mapping[str, str]], Written]

__all__ = ["Changed", "Frames", "characters"]

_MOST = 1000
"""Sets of keys whose frames are kept."""
_MARK = re.compile("Q([0-9]+)Q")
"""What stands for a value: every format writes letters and digits as they are."""


class Changed(str):
    """A text that does not tell all tags of its series as they are."""

    __slots__ = ()


class Frames(dict[tuple[str, ...], "Frame | None"]):
    """The frame of each set of keys: made when it is first asked for, and None where there is none.

    It is cut out of what the format's own code writes, so that the two can never differ: with marks for values, in whose places
    an engine puts the values. None where these places are not in the order of the keys, or a key looks like a mark.

    Args:
        write: returns the text of some tags. What it writes around values must be the same for all that are not empty, and have
            only characters that the engine may write.
    """

    def __init__(self, write: Writer) -> None:
        super().__init__()
        self._write = write

    def __missing__(self, keys: tuple[str, ...]) -> Frame | None:
        if len(self) >= _MOST:
            self.clear()
        frame = self[keys] = self._made(keys)
        return frame

    def _made(self, keys: tuple[str, ...]) -> Frame | None:
        text = self._write({key: f"Q{place}Q" for place, key in enumerate(keys)})
        if text is None or not text.isascii():
            return None
        pieces = _MARK.split(text)
        if pieces[1::2] != [str(place) for place in range(len(keys))]:
            return None
        return tuple(pieces[::2]), type(text) is str


def characters(value: Callable[[str], str], odd: str = "", others: str = "\0") -> bytes:
    """Return what each character of a value is written as, as `tag_texts` takes it.

    Args:
        value: returns what a value is written as; this must be one character for each.
        odd: those of ASCII that are written otherwise, or not always in the same way.
        others: what all that are not ASCII are written as, if that is one character of ASCII.
    """
    return bytes([*[0 if chr(place) in odd else ord(value(chr(place))) for place in range(128)], ord(others)])
