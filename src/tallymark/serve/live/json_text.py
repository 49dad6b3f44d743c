"""Values as JSON text."""

from __future__ import annotations

import json
from math import isfinite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["dump", "number", "numbers"]

dump = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")).encode
"""Return a value of texts, finite numbers and collections as JSON without spaces."""


def number(value: float | None) -> str:
    """Return a number as JSON, which knows no infinity: NaN and None are `null`, infinities are texts."""
    if value is None or value != value:
        return "null"
    if not isfinite(value):
        return '"+Inf"' if value > 0 else '"-Inf"'
    return repr(value)


def numbers(values: Iterable[float]) -> str:
    """Return numbers separated by commas."""
    return ",".join([number(value) for value in values])
