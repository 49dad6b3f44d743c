"""What a metric may be called, and when a request fits the metric that has its name."""

from __future__ import annotations

import re
from math import inf

from tallymark.engine.number import to_float
from tallymark.engine.options import FamilyOptions
from tallymark.metric.rejections import REJECTED

__all__ = ["check_name", "check_ttl", "check_type", "conflict_with", "text"]

_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_.:/-]{0,254}")


def check_type(name: str, value: object, kind: type) -> None:
    """Raise `TypeError` unless `value`, the argument called `name`, is a `kind`."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, not {type(value).__name__}")


def text(name: str, value: str) -> str:
    """Return the argument called `name` as an exact `str`; `TypeError` for what is not text."""
    check_type(name, value, str)
    return str.__str__(value)


def check_name(name: str) -> None:
    """Raise `ValueError` unless a metric may have this name."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"metric name {name[:300]!r} is not valid: it starts with an ASCII letter, '_' or ':', and goes on with letters,"
            " digits and any of '_.:/-', up to 255 characters"
        )
    if name.startswith("tallymark_") and name != REJECTED:
        raise ValueError(f"metric name {name!r} is not free: 'tallymark_' is for the registry's reports on itself")


def check_ttl(name: str, ttl: float | None) -> float | None:
    """Return a time to live as a float. `TypeError` for what is no number, `ValueError` for what is not positive."""
    if ttl is None:
        return None
    try:
        seconds = to_float(ttl)
    except OverflowError:
        seconds = inf
    if not seconds > 0:
        raise ValueError(f"metric {name!r}: ttl must be positive, not {ttl!r}")
    return seconds


def conflict_with(options: FamilyOptions, kind: str, unit: str, bounds: tuple[float, ...] | None, aggregate: str = "") -> str:
    """Say how a request differs from the family that has its name; nothing where it does not. What is left out is no demand."""
    asked = {"kind": kind, "unit": unit or options.unit, "bounds": bounds or options.bounds}
    if aggregate:
        asked["aggregate"] = aggregate
    for what, wanted in asked.items():
        present = getattr(options, what)
        present = present or "last" if what == "aggregate" else present
        if present != wanted:
            return f"metric {options.name!r} exists already with {what} {present!r}; {wanted!r} needs another name"
    return ""
