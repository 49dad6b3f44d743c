"""Tags as protobuf labels, in bytes that are kept with each tag set: they stay the same from scrape to scrape."""

from __future__ import annotations

from tallymark.export.prometheus import _label_name
from tallymark.export.protobuf_messages import Metric

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tallymark.engine import TagSet

__all__ = ["columns_of_labels", "labels"]

_ESCAPINGS = ("underscores", "allow-utf-8")


def columns_of_labels(column: Sequence[TagSet], escaping: str, *, beside_le: bool = False) -> list[bytes]:
    """Return the field `label` of the message of each series.

    Args:
        beside_le: give a tag `le` another name, as buckets have that label.
    """
    if beside_le:
        return [_beside_le(tags, escaping) if "le" in tags else _pairs(tags, escaping) for tags in column]
    # A kept text is seen here, rather than by a call for each series.
    return [kept if type(kept := tags._label_pairs) is bytes else _pairs(tags, escaping) for tags in column]


def labels(tags: Iterable[tuple[str, str]], escaping: str) -> list[tuple[str, str]]:
    """Return names and values of labels. One with an empty value is omitted; the values of those of one name are joined."""
    joined: dict[str, list[str]] = {}
    for key, value in tags:
        joined.setdefault(_name(key, escaping), []).append(value)
    return [(name, value) for name in sorted(joined) if (value := ";".join(joined[name]))]


def _name(key: str, escaping: str) -> str:
    return key if escaping == "allow-utf-8" and not key.startswith("__") else _label_name(key)


def _pairs(tags: TagSet, escaping: str) -> bytes:
    kept = tags._label_pairs
    if kept is None:
        plain, exact = (_message(tags.items(), each) for each in _ESCAPINGS)
        kept = plain if plain == exact else (plain, exact)
        tags._keep_label_pairs(kept)
    return kept if isinstance(kept, bytes) else kept[_ESCAPINGS.index(escaping)]


def _beside_le(tags: TagSet, escaping: str) -> bytes:
    return _message([(f"exported_{key}" if key == "le" else key, value) for key, value in tags.items()], escaping)


def _message(tags: Iterable[tuple[str, str]], escaping: str) -> bytes:
    message = Metric()
    for name, value in labels(tags, escaping):
        message.label.add(name=name, value=value)
    made: bytes = message.SerializeToString()
    return made
