"""The calls that `RecordedOperations` keeps. Their `context` is a `TagSet`, which equals a dict of the same texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from tallymark.engine import TagSet

__all__ = ["Call", "ErrorCall", "EventCall", "OperationCall", "ValueCall"]


@dataclass(frozen=True, slots=True)
class OperationCall:
    """An operation that ended. Its duration is in seconds."""

    operation: str
    status: str
    duration: float
    context: Mapping[str, str] = field(default_factory=TagSet)


@dataclass(frozen=True, slots=True)
class ErrorCall:
    """An error of an operation."""

    operation: str
    error_type: str
    error_category: str = ""
    context: Mapping[str, str] = field(default_factory=TagSet)


@dataclass(frozen=True, slots=True)
class EventCall:
    """Something that happened."""

    kind: str
    action: str
    context: Mapping[str, str] = field(default_factory=TagSet)


@dataclass(frozen=True, slots=True)
class ValueCall:
    """One amount that the service recorded."""

    name: str
    category: str
    value: float
    context: Mapping[str, str] = field(default_factory=TagSet)


Call: TypeAlias = OperationCall | ErrorCall | EventCall | ValueCall
"""Any of them."""
