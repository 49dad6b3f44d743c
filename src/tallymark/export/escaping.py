"""Names where a scraper does not take every character: the escaping schemes of Prometheus, and what each makes of a name.

Source: https://prometheus.io/docs/instrumenting/escaping_schemes/ and, where that is vague, what Prometheus' Go library does.

Two metrics have different names under every scheme. `underscores` takes the names that registries give, which differ. The
others start from `spelled_name`. What `dots` and `values` write for one character is never the beginning of what they write for
another, so the result tells what it was made from. (`dots` writes `_` and what is not allowed alike, but two names that differ
in that alone have different numbers.) Keys of tags have no names that are given: see `labels.py`.
"""

from __future__ import annotations

from tallymark.metric.names import ExpositionNames, spelled_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tallymark.metric.snapshot import FamilySnapshot

__all__ = [
    "SCHEMES", "UNDERSCORES", "check_scheme", "escape_value", "is_label_name", "is_metric_name", "label_name", "metric_names",
    "quoted",
]  # fmt: skip

UNDERSCORES = "underscores"
"""The scheme of scrapers that name none: what is not allowed becomes `_`."""


def check_scheme(scheme: str) -> None:
    """Raise `ValueError` unless there is such a scheme."""
    if scheme not in SCHEMES:
        raise ValueError(f"there is no escaping scheme {scheme!r}; there are {', '.join(map(repr, SCHEMES))}")


def metric_names(families: Sequence[FamilySnapshot], scheme: str) -> list[str]:
    """Return the name of each family under a scheme, not quoted."""
    given = _given_names(families)
    if scheme == UNDERSCORES:
        return given
    escape = SCHEMES[scheme]
    return [
        escape(spelled_name(family.name, family.kind, family.unit, name), ":")
        for family, name in zip(families, given, strict=True)
    ]


def _given_names(families: Sequence[FamilySnapshot]) -> list[str]:
    """Return the families' exposition names, made here if no registry gave them."""
    if all(family.exposition_name for family in families):
        return [family.exposition_name for family in families]
    keys = [(family.name, family.kind, family.unit) for family in families]
    names = ExpositionNames()
    names.give(keys)
    return [names.of(*key) for key in keys]


def label_name(key: str, scheme: str) -> str:
    """Return the name of the label of a tag with this key, not quoted.

    Prometheus reserves names that start with two underscores: of those, one is left.
    """
    return _unreserved(SCHEMES[scheme](_unreserved(key), "")) or "_"


def _unreserved(name: str) -> str:
    return f"_{name.lstrip('_')}" if name.startswith("__") else name


def is_label_name(name: str) -> bool:
    """Return True for the name of a label that needs no quotes."""
    return name.isascii() and name.isidentifier()


def is_metric_name(name: str) -> bool:
    """Return True for the name of a metric that needs no quotes: it may have colons too."""
    return is_label_name(name.replace(":", "_"))


def escape_value(text: str) -> str:
    """Escape a text that is written between quotes."""
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def quoted(name: str) -> str:
    """Return a name in quotes."""
    return f'"{escape_value(name)}"'


def _is_allowed(char: str, place: int, extra: str) -> bool:
    return char.isascii() and (char.isalpha() or char == "_" or char in extra or (char.isdigit() and place > 0))


def _with_underscores(name: str, extra: str) -> str:
    if is_label_name(name):
        return name
    return "".join([c if _is_allowed(c, i, extra) else "_" for i, c in enumerate(name)])


def _as_it_is(name: str, extra: str) -> str:
    return name


def _with_dots(name: str, extra: str) -> str:
    escapes = {"_": "__", ".": "_dot_"}
    return "".join([escapes.get(c) or (c if _is_allowed(c, i, extra) else "__") for i, c in enumerate(name)])


def _with_values(name: str, extra: str) -> str:
    # Go leaves every name as it is that is allowed. One that looks like the result for another must not be taken for it.
    if not name.startswith("U__") and all(_is_allowed(c, i, extra) for i, c in enumerate(name)):
        return name
    parts = ["__" if c == "_" else c if _is_allowed(c, i, extra) else f"_{ord(c):x}_" for i, c in enumerate(name)]
    return "".join(["U__", *parts])


SCHEMES: dict[str, Callable[[str, str], str]] = {
    UNDERSCORES: _with_underscores,
    "allow-utf-8": _as_it_is,
    "dots": _with_dots,
    "values": _with_values,
}
"""What each scheme makes of a name. The second argument has what is allowed in it beside letters, digits and `_`."""
