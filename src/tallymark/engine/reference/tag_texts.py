"""`tag_texts`: tags as the lines of some format have them."""

from __future__ import annotations

from tallymark.engine.reference.tagset import TagSet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
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
    table, missing, is_exact = becomes + _NONE, 0, True
    texts: list[str | None] = []
    frame: Frame | None = None
    for one in tuple(tags):
        found = frames[tuple(one._items)] if isinstance(one, TagSet) else None
        if found is None or found is not frame or len(frame[0]) != len(one) + 1:
            frame = None if found is None else _checked(found, len(one))
        text = None if frame is None else _text(one._items.values(), frame[0], table)
        if text is None or frame is None or len(text[0]) > longest:
            texts.append(None)
            missing += 1
        else:
            texts.append(text[0])
            is_exact = is_exact and text[1] and frame[1] is True
    return texts, missing, is_exact


def _checked(frame: Frame, n_keys: int) -> Frame:
    pieces = frame[0] if type(frame) is tuple and len(frame) == 2 else None
    if type(pieces) is tuple and [type(piece) is str and piece.isascii() for piece in pieces] == [True] * (n_keys + 1):
        return frame
    raise TypeError("a frame must be None, or a tuple of ASCII texts, one more than there are keys, and a bool")


def _text(values: Collection[str], pieces: tuple[str, ...], table: bytes) -> tuple[str, bool] | None:
    """Return a text, and True if it tells all values as they are; None if a value cannot be written."""
    together = "".join(values)
    is_exact = together.isascii() and "\0" not in together and together.encode().translate(table).decode() == together
    written = values if is_exact else [_written(value, table) for value in values]
    if not all(written) or (not is_exact and "\0" in "".join(written)):
        return None
    return "".join([text for pair in zip(pieces, written, strict=False) for text in pair]) + pieces[-1], is_exact


def _written(value: str, table: bytes) -> str:
    return "".join([chr(table[min(ord(one), _OTHERS)]) for one in value])
