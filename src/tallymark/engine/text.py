"""Tags are text: how keys and values of any type become exact `str` objects that can be encoded."""

from __future__ import annotations

from _collections_abc import Mapping  # `collections.abc` is this too, but imports all of `collections`

from tallymark.engine.options import check_key
from tallymark.errors import TagError

__all__ = ["as_tags", "checked_tags", "key_text", "text_tags", "value_text"]

_COLLECTIONS = (list, tuple, set, frozenset)


def key_text(key: object) -> str:
    """Return a tag key as an exact `str`; `TypeError` for what is not text."""
    if not issubclass(type(key), str):
        raise TypeError(f"tag keys must be str, not {type(key).__name__}")
    return str.__str__(key)


def value_text(key: str, value: object) -> str:
    """Return a tag value as an exact `str`.

    A `str` subclass (such as an enum member) gives the text that it holds, whatever its `__str__` returns; anything else gives
    `str(value)`. Lone surrogates, which no backend could encode, are written as `\\udc80`.

    Raises:
        TagError: `str(value)` failed.
        TypeError: the value is a collection: what other libraries take as `labels=` or `attributes=`.
    """
    if issubclass(type(value), str):
        text = str.__str__(value)
    elif _is_collection(type(value)):
        raise TypeError(
            f"tag {key_text(key)!r} is a {type(value).__name__}, but a tag's value is one text. Give each tag as a keyword,"
            f" inc(method='GET', status='200'), or all of them as a mapping, with_tags({{'method': 'GET'}})"
        )
    else:
        try:
            text = str.__str__(str(value))
        except Exception as error:
            raise TagError(f"str() of a tag value of type {type(value).__name__} failed") from error
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _is_collection(kind: type) -> bool:
    # The abstract class is asked last: it takes its time, and most values cannot be subscripted.
    return issubclass(kind, _COLLECTIONS) or (hasattr(kind, "__getitem__") and issubclass(kind, Mapping))


def as_tags(mapping: Mapping[str, object] | None, tags: dict[str, object]) -> dict[str, object]:
    """Merge a mapping of tags and keyword tags, which win; keys become exact `str`."""
    if mapping is None:
        return tags
    if not isinstance(mapping, Mapping):
        raise TypeError(f"tags must be a mapping, not {type(mapping).__name__}")
    return {key_text(key): value for key, value in mapping.items()} | tags


def checked_tags(mapping: Mapping[str, object] | None, tags: dict[str, object]) -> dict[str, str]:
    """Merge as `as_tags` does; return exact text, sorted by key, as a `TagSet` holds it.

    Raises:
        TagError: a key is not a valid tag key, or `str()` of a value failed.
        TypeError: a key is not text, or a value is a collection.
    """
    items = {key_text(key): value for key, value in as_tags(mapping, tags).items()}
    texts = {key: value_text(key, value) for key, value in items.items()}
    for key in texts:
        check_key(key)
    return dict(sorted(texts.items()))


def text_tags(text: bytes) -> dict[str, str] | None:
    """Decode a series' text in shared memory: keys and values in turn, each after its length in bytes.

    Return None for a text that the native engine cannot have written.
    """
    from struct import error, unpack_from  # only shared registries need it

    items, at = [], 0
    try:
        while at < len(text):
            (length,) = unpack_from("=I", text, at)
            items.append(text[at + 4 : at + 4 + length].decode())
            at += 4 + length
        found = dict(zip(items[::2], items[1::2], strict=True))
        tags = checked_tags(found, {})
    except (ValueError, error):
        return None
    return tags if at == len(text) and list(tags) == items[::2] else None
