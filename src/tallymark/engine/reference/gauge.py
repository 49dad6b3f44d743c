"""`Gauge`: a value that goes up and down."""

from __future__ import annotations

from math import inf

from tallymark.engine.reference.locked import Scalar
from tallymark.engine.tracking import InProgress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from tallymark.engine.number import Number
    from tallymark.engine.reference.family import Family
    from tallymark.engine.reference.tagset import TagSet

__all__ = ["Gauge"]


class Gauge(Scalar):
    """A value that goes up and down: a queue's depth, a temperature, the connections that are open."""

    __slots__ = ("_moved",)

    kind = "gauge"

    _moved: bool
    """True if the last record moved the value."""

    @classmethod
    def _make(cls, family: Family, tags: TagSet) -> Self:
        self = super()._make(family, tags)
        self._moved = False
        return self

    @property
    def _in_use(self) -> bool:  # type: ignore[override]
        """True for what is in progress: moved by `inc` and `dec`, and not back at 0."""
        return self._moved and self._value != 0.0

    def set(self, value: Number, /, **tags: object) -> None:
        """Set this series, or the one with `tags` added, to `value`: any double, including NaN and inf.

        Raises:
            TypeError: `value` is not a number, or a keyword cannot be a tag: `amount`, `value`, `exemplar`.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        number = value if type(value) is float else self._family.policy.number(value)
        if number is not None:
            series = self._family.find_given(self, tags) if tags else self
            series._store(number)

    def inc(self, amount: Number = 1.0, /, **tags: object) -> None:
        """Add `amount`, which may be negative. A non-finite amount is rejected and counted in `tallymark_rejected`.

        Raises:
            TypeError: `amount` is not a number, or a keyword cannot be a tag: `amount`, `value`, `exemplar`.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        number = amount if type(amount) is float else self._family.policy.number(amount)
        if number is None:
            return
        if not -inf < number < inf:
            return self._family.policy.reject_number(number)
        series = self._family.find_given(self, tags) if tags else self
        series._add(number)

    def dec(self, amount: Number = 1.0, /, **tags: object) -> None:
        """Subtract `amount`; otherwise as `inc`."""
        number = amount if type(amount) is float else self._family.policy.number(amount)
        if number is not None:
            self.inc(-number, **tags)

    def add(self, amount: Number, /, **tags: object) -> None:
        """Add `amount`, as `inc` does. Here it has no default."""
        self.inc(amount, **tags)

    def track_in_progress(self, /, **tags: object) -> InProgress:
        """Add 1 while a `with` block or, as a decorator, a call of a function runs.

        Returns:
            The context manager, which is also a decorator.

        Raises:
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        return InProgress(self.with_tags(**tags))

    # The record is counted before it is made, so that a series does not expire between the two.

    def _add(self, amount: float) -> Self | None:
        self._records += 1
        self._moved = True
        return super()._add(amount)

    def _store(self, value: float) -> None:
        self._records += 1
        self._moved = False
        super()._store(value)

    def _set_from_callback(self, value: Number) -> None:
        """Set the value that a callback returned."""
        self.set(value)
