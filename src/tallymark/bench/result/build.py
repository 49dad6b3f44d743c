"""Builds dataclasses from parsed JSON, and checks each field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from tallymark.bench.errors import ResultFileError

T = TypeVar("T")


def build(kind: type[T], data: Any, where: str) -> T:
    """Build a dataclass from parsed JSON. Raises ResultFileError, naming the field that is missing or wrong."""
    if not isinstance(data, Mapping):
        raise ResultFileError(f"{where} must be an object")
    hints = get_type_hints(kind)
    known = {}
    for one in fields(kind):  # type: ignore[arg-type]
        if one.name in data:
            known[one.name] = _value(hints[one.name], data[one.name], f"{where}.{one.name}")
        elif one.default is MISSING and one.default_factory is MISSING:
            raise ResultFileError(f"{where} has no {one.name!r}")
    return kind(**known)


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if type(None) in inner:
        return None if value is None else _value(next(one for one in inner if one is not type(None)), value, where)
    if is_dataclass(hint):
        return build(hint, value, where)  # type: ignore[arg-type]
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ResultFileError(f"{where} must be a list")
        if inner[-1] is not Ellipsis:
            if len(value) != len(inner):
                raise ResultFileError(f"{where} must have {len(inner)} items")
            return tuple(_value(one, each, where) for one, each in zip(inner, value, strict=True))
        return tuple(_value(inner[0], each, f"{where}[{i}]") for i, each in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ResultFileError(f"{where} must be an object")
        return {str(key): _value(inner[1], each, f"{where}.{key}") for key, each in value.items()}
    if hint is Any:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 2**1023 else math.inf
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ResultFileError(f"{where} must be {hint.__name__}, not {type(value).__name__}")
    if hint is int and abs(value) >= 2**63:
        raise ResultFileError(f"{where} must be less than 2**63")
    if hint is float and not math.isfinite(value):
        raise ResultFileError(f"{where} must be finite")
    return value
