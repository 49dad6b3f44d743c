"""`Scalar`: an instrument whose series holds one number."""

from __future__ import annotations

from tallymark.engine.columns import Columns
from tallymark.engine.reference.exemplars import exemplars_of_rows
from tallymark.engine.reference.instrument import Instrument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from tallymark.engine.number import Number

__all__ = ["Scalar"]


class Scalar(Instrument):
    """What counters and gauges have in common."""

    __slots__ = ("_records", "_value")

    _value: float

    _records: int
    """Of a gauge: how many there were, so that each is seen, whatever value it sets."""

    @property
    def value(self) -> float:
        """The series' present value."""
        return self._value

    def _add(self, amount: float) -> Self | None:
        """Add; return the live series that it went to, None if it was rejected."""
        # Atomic
        if self._live:
            self._value += amount
            return self
        live = self._family.wake(self)
        return None if live is None else live._add(amount)

    def _store(self, value: float) -> None:
        # Atomic
        if self._live:
            self._value = value
            return
        live = self._family.wake(self)
        if live is not None:
            live._store(value)

    def _set_from_callback(self, value: Number) -> None:
        raise NotImplementedError

    def _mark(self) -> object:
        return self._value, self._records

    def _clear(self, mark: object) -> bool:
        # Atomic
        if self._live and (mark is None or (self._value, self._records) == mark):
            self._live = False
            self._value = 0.0
            self._records = 0
            return True
        return False

    @classmethod
    def _columns(cls, rows: Sequence[Self]) -> Columns:
        return Columns(
            tags=tuple([row._tags for row in rows]),
            created=tuple([row._created for row in rows]),
            values=tuple([row._value for row in rows]),
            exemplars=exemplars_of_rows(rows),
        )
