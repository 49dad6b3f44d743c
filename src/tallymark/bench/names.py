"""Names of a benchmark's variants: short, the same in every process, and no two alike.

Two sides of a comparison pair their benchmarks by name. A name that held an address, or the order of a set, would never pair.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Sequence
from typing import Any

LONGEST = 40

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def variant_names(function: str, variants: Sequence[dict[str, Any]]) -> list[tuple[str, dict[str, str]]]:
    """Return for each variant its name, such as `bench_dumps[size=3]`, and the texts of its parameters.

    What remains alike is numbered in the order of the variants: `f=<lambda>`, `f=<lambda>#2`.
    """
    keys = list(variants[0]) if variants else []
    texts = {key: _by_identity([one[key] for one in variants]) for key in keys}
    params = [{key: texts[key][id(one[key])] for key in keys} for one in variants]
    names = [f"{function}[{','.join(f'{key}={text}' for key, text in one.items())}]" if one else function for one in params]
    return list(zip(_numbered(names, "]"), params, strict=True))


def labels(values: Sequence[Any]) -> list[str]:
    """Return a short text for each value, each different: longer where that tells two apart, else with a number."""
    short, longer = list(map(_short, values)), list(map(text_of, values))
    different = {text: len({b for a, b in zip(short, longer, strict=True) if a == text}) > 1 for text in short}
    return _numbered([b if different[a] else a for a, b in zip(short, longer, strict=True)])


def _by_identity(values: Sequence[Any]) -> dict[int, str]:
    different = list({id(value): value for value in values}.values())
    return {id(value): text for value, text in zip(different, labels(different), strict=True)}


def _numbered(texts: Sequence[str], end: str = "") -> list[str]:
    numbered: list[str] = []
    given, used = set(texts), set[str]()
    for text in texts:
        one, number = text, 1
        while one in used or (number > 1 and one in given):
            number += 1
            one = f"{text.removesuffix(end)}#{number}{end}"
        used.add(one)
        numbered.append(one)
    return numbered


def _short(value: Any) -> str:
    if isinstance(value, str):
        return _fitted(value)
    name = _name(value, "__name__")
    return _fitted(name or _Text().repr(value))


def text_of(value: Any) -> str:
    """Return a text that also tells the type, or the module: `'1'`, not `1`; `json.dumps`, not `dumps`."""
    name = _name(value, "__qualname__") or _name(value, "__name__")
    if not name:
        return _fitted(_Text().repr(value))
    return _fitted(".".join(filter(None, [_name(value, "__module__"), name])).removeprefix("builtins."))


def _name(value: Any, attribute: str) -> str:
    try:
        found = getattr(value, attribute, None) if callable(value) or attribute == "__name__" else None
    except Exception:  # a property of the user's class
        found = None
    return found if isinstance(found, str) else ""


def _fitted(text: str) -> str:
    """Return text on one line and without addresses; of a long one, its beginning and its end."""
    text = _ADDRESS.sub("", text if text.isprintable() else repr(text)[1:-1])
    half = (LONGEST - 1) // 2
    return text if len(text) <= LONGEST else f"{text[:half]}…{text[-half:]}"


class _Text(reprlib.Repr):
    """A `repr` that is the same in each process: sets are sorted, functions and classes are named."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 4 * LONGEST

    def repr1(self, x: Any, level: int) -> str:
        return _name(x, "__name__") or super().repr1(x, level)

    def repr_set(self, x: set[Any], level: int) -> str:
        return "{" + ", ".join(sorted(self.repr1(one, level - 1) for one in x)) + "}" if level > 0 and x else "set()"

    def repr_frozenset(self, x: frozenset[Any], level: int) -> str:
        return self.repr_set(set(x), level)

    def repr_instance(self, x: Any, level: int) -> str:
        try:
            text = str(x)
        except Exception:  # a class of the user's, whose text is not valid
            text = ""
        if not text or text == object.__repr__(x):
            return type(x).__name__
        return text
