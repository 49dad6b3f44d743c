"""Tags as labels, in Prometheus' text formats.

A label with an empty value is omitted: to Prometheus, both are the same. If two tags of a series become one label, their values
are joined with `;`. Under the usual scheme the text is made once for each `TagSet`, and kept with it.
"""

from __future__ import annotations

from functools import lru_cache

from tallymark.export.escaping import UNDERSCORES, escape_value, is_label_name, label_name, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tallymark.engine import TagSet

__all__ = ["Labels", "label", "may_repeat", "plain_text"]

_exact = True
"""True if every text that is kept with tags so far equals them, so that no two can be the same."""


class Labels:
    """Writes labels under one escaping scheme. It is made anew for each page, and keeps the names of that page."""

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme
        self._names: dict[str, str] = {}
        self._alike: dict[str, bool] = {}

    def texts(self, tags: Sequence[TagSet]) -> list[str]:
        """Return the labels of each series, without braces."""
        texts = [one._label_text or _kept_text(one) for one in tags]
        if self._scheme == UNDERSCORES or (_exact and self._scheme == "allow-utf-8"):
            return texts
        return [text if self._is_alike(one) else self.text(one) for text, one in zip(texts, tags, strict=True)]

    def text(self, tags: Mapping[str, str], reserved: str = "") -> str:
        """Return tags as labels, without braces. A label whose name is `reserved` gets another one."""
        pairs = [(self.name(key), value) for key, value in tags.items()]
        return _joined([(f"exported_{name}" if name == reserved else name, value) for name, value in pairs])

    def text_beside(self, tags: TagSet, reserved: str) -> str:
        """Return `text(tags, reserved)`, made anew only if one of the labels has the reserved name."""
        return self.text(tags, reserved) if reserved in map(self.name, tags) else self.texts((tags,))[0]

    def name(self, key: str) -> str:
        """Return the name of the label of a tag, not quoted."""
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = label_name(key, self._scheme)
            self._alike[key] = name == label_name(key, UNDERSCORES)
        return name

    def _is_alike(self, tags: TagSet) -> bool:
        """Return True for tags whose labels have the names that they have under the usual scheme."""
        return [key for key in tags if not (self.name(key) and self._alike[key])] == []


def may_repeat(texts: list[str]) -> bool:
    """Return True if some texts that `Labels.texts` returned may be the same."""
    return not _exact and len(set(texts)) < len(texts)


def _kept_text(tags: TagSet) -> str:
    """Return the text that is kept with tags, made if there is none."""
    global _exact
    text = tags._label_text
    if text is None:
        if not all(label_name(key, UNDERSCORES) == key and value != "" for key, value in tags.items()):
            _exact = False  # never back to True, which would undo what another thread has found out meanwhile
        text = plain_text(tags.items())
        tags._keep_label_text(text)
    return text


def plain_text(pairs: Iterable[tuple[str, str]]) -> str:
    """Return keys and values as labels under the usual scheme, without braces."""
    labels = [(*_plain_label(key), value) for key, value in pairs]
    if len({name for name, _, _ in labels}) < len(labels):
        return _joined([(name, value) for name, _, value in labels])
    return ",".join([f'{start}{escape_value(value)}"' for _, start, value in sorted(labels) if value])


@lru_cache(maxsize=1024)
def _plain_label(key: str) -> tuple[str, str]:
    """Return the name of a label under the usual scheme, and what is before its value."""
    name = label_name(key, UNDERSCORES)
    return name, f'{name if is_label_name(name) else quoted(name)}="'


def _joined(pairs: Iterable[tuple[str, str]]) -> str:
    labels: dict[str, list[str]] = {}
    for name, value in pairs:
        labels.setdefault(name, []).append(value)
    # Sorted by these names, not by those of the tags: else labels that are the same could be two texts.
    joined = [(name, ";".join(labels[name])) for name in sorted(labels)]
    return ",".join([label(name, value) for name, value in joined if value])


def label(name: str, value: str) -> str:
    """Return one label."""
    return f'{name if is_label_name(name) else quoted(name)}="{escape_value(value)}"'
