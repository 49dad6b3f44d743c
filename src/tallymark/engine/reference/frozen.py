"""`frozen`: values of classes that never change."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from tallymark.frozen import Frozen

    F = TypeVar("F", bound=Frozen)

__all__ = ["frozen"]


def frozen(cls: type[F], /, *fields: Any) -> F:
    """Return a value of a class with these fields, in their order: all of them, for defaults are not known here.

    It is what a call of the class returns, if that does no more than to set its fields. Where an engine can, it does so faster:
    a snapshot has several such values for each family.

    Raises:
        TypeError: the class has other fields.
    """
    return cls(*fields)
