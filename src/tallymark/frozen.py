"""`Frozen`: the base of small, immutable classes of data.

`dataclasses` would do the same, but importing it costs more than importing all that a service needs to count.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Self, TypeVar, dataclass_transform

    F = TypeVar("F", bound="Frozen")
else:

    def dataclass_transform(**options):
        return lambda cls: cls


__all__ = ["Frozen", "replace"]

_set = object.__setattr__


@dataclass_transform(frozen_default=True)
class Frozen:
    """A value. Its annotated names are its fields: they are given in that order or by name, and never change.

    A subclass lists them in `__slots__` too. Two values are equal if they have the same class and equal fields.
    """

    __slots__ = ()
    __match_args__: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        cls.__match_args__ = (*cls.__match_args__, *cls.__annotations__)  # type: ignore[misc]

    def __init__(self, *values: Any, **named: Any) -> None:
        names = self.__match_args__
        if named:
            fields = dict(zip(names, values, strict=False), **named)
            if len(values) + len(named) != len(names) or not fields.keys() >= set(names):
                raise self._wrong()
            values = tuple(map(fields.__getitem__, names))
        elif len(values) != len(names):
            raise self._wrong()
        for name, value in zip(names, values, strict=True):
            _set(self, name, value)

    def _wrong(self) -> TypeError:
        return TypeError(f"{type(self).__name__} takes {', '.join(self.__match_args__)}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be set: a {type(self).__name__} never changes")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be deleted: a {type(self).__name__} never changes")

    def _values(self) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in self.__match_args__])

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        fields = ", ".join([f"{name}={getattr(self, name)!r}" for name in self.__match_args__])
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._values()

    def __replace__(self, **changes: Any) -> Self:
        fields = dict(zip(self.__match_args__, self._values(), strict=True))
        return type(self)(**(fields | changes))


def replace(value: F, /, **changes: Any) -> F:
    """Return a copy of `value` with some fields changed. (`copy.replace` does the same, from Python 3.13.)"""
    return value.__replace__(**changes)
