"""`tag_texts`: tags as the lines of some format have them."""

from __future__ import annotations

from tallymark.engine.reference.tagset import TagSet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    Frame: TypeAlias = tuple[tuple[str, ...], bool]

__all__ = ["tag_texts"]

_OTHERS = 128
_NONE = bytes(127)
"""For bytes that are not in ASCII."""


def tag_texts(
    tags: Sequence[TagSet], frames: Mapping[tuple[str, ...], Frame | None], becomes: bytes, longest: int, /
) -> tuple[list[str | None], int, bool]:
    """Return the text of each tag set; how many are missing; and True if all that are there tell their tags as they are.

    A text is None where only the format's own code can write it: a value is empty, or has a character that cannot be written;
    the keys have no frame; the text would be too long; or it is no tag set of this engine.

    Args:
        tags: of each series.
        frames: for the keys of a tag set, the texts that stand before the first value, between two of them, and after the last
            one, all ASCII; and True if they tell the keys as they are. Or None.
        becomes: 129 bytes of ASCII: what each ASCII character of a value is written as, and what all others are; 0: they
            cannot be written.
        longest: the characters of the longest text.

    Raises:
        TypeError: a frame is none.
        ValueError: `becomes` is not 129 bytes of ASCII.
    """
    if type(becomes) is not bytes or len(becomes) != 129 or not becomes.isascii():
        raise ValueError("what characters become must be 129 bytes of ASCII")
    texts: list[str | None] = []
    missing, is_exact = 0, True
    for one in tuple(tags):
        frame = _checked(frames[tuple(one._items)], len(one)) if isinstance(one, TagSet) else None
        text = None if frame is None else _text(one, frame[0], becomes)
        if text is None or frame is None or len(text[0]) > longest:
            texts.append(None)
            missing += 1
        else:
            texts.append(text[0])
            is_exact = is_exact and text[1] and frame[1]
    return texts, missing, is_exact


def _checked(frame: Frame | None, n_keys: int) -> Frame | None:
    if frame is None:
        return None
    pieces = frame[0] if type(frame) is tuple and len(frame) == 2 else None
    if type(pieces) is tuple and [type(piece) is str and piece.isascii() for piece in pieces] == [True] * (n_keys + 1):
        return frame
    raise TypeError("a frame must be None, or a tuple of ASCII texts, one more than there are keys, and a bool")


def _text(tags: TagSet, pieces: tuple[str, ...], becomes: bytes) -> tuple[str, bool] | None:
    """Return a text, and True if it tells all values as they are."""
    text, is_exact = pieces[0], True
    for value, piece in zip(tags._items.values(), pieces[1:], strict=True):
        written = _written(value, becomes)
        if not written or "\0" in written:
            return None
        is_exact = is_exact and written == value
        text += written + piece
    return text, is_exact


def _written(value: str, becomes: bytes) -> str:
    if value.isascii():
        return value.encode().translate(becomes + _NONE).decode()
    return "".join([chr(becomes[min(ord(one), _OTHERS)]) for one in value])
