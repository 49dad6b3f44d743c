"""`Gauge`: a value that goes up and down."""

from __future__ import annotations

from math import inf

from tallymark.engine.number import Number
from tallymark.engine.reference.scalar import Scalar

__all__ = ["Gauge"]


class Gauge(Scalar):
    """A value that goes up and down: a queue's depth, a temperature, the connections that are open."""

    __slots__ = ()

    kind = "gauge"

    def set(self, value: Number, /, **tags: object) -> None:
        """Make the value `value`, of the series with `tags` added if there are any. Any double will do, NaN and inf too.

        Raises:
            TypeError: `value` is not a number.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        number = value if type(value) is float else self._family.policy.number(value)
        if number is not None:
            series = self._family.find(self, tags) if tags else self
            series._store(number)

    def inc(self, amount: Number = 1.0, /, **tags: object) -> None:
        """Add `amount`, which may be negative. A non-finite one is refused and counted in `tallymark_rejected`.

        Raises:
            TypeError: `amount` is not a number.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        number = amount if type(amount) is float else self._family.policy.number(amount)
        if number is None:
            return
        if not -inf < number < inf:
            return self._family.policy.refuse(number)
        series = self._family.find(self, tags) if tags else self
        series._add(number)

    def dec(self, amount: Number = 1.0, /, **tags: object) -> None:
        """Subtract `amount`; otherwise as `inc`."""
        number = amount if type(amount) is float else self._family.policy.number(amount)
        if number is not None:
            self.inc(-number, **tags)

    def add(self, amount: Number, /, **tags: object) -> None:
        """Do the same as `inc`, with an amount that must be given."""
        self.inc(amount, **tags)

    def _set_from_callback(self, value: Number) -> None:
        """Make the value what a callback says that it is."""
        self.set(value)
