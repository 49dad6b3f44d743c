"""`Counter`: a total that only goes up."""

from __future__ import annotations

from math import inf

from tallymark.engine.number import Number
from tallymark.engine.reference.scalar import Scalar

__all__ = ["Counter"]


class Counter(Scalar):
    """A total that only goes up: requests served, bytes sent, seconds of CPU used."""

    __slots__ = ()

    kind = "counter"

    def inc(self, amount: Number = 1.0, /, **tags: object) -> None:
        """Add `amount`, to the series with `tags` added if there are any.

        A negative or non-finite amount is refused and counted in `tallymark_rejected`.

        Raises:
            TypeError: `amount` is not a number.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        if type(amount) is not float:
            number = self._family.policy.number(amount)
            if number is None:
                return
            amount = number
        if not 0.0 <= amount < inf:
            return self._family.policy.refuse(amount)
        if tags:
            return self._family.find(self, tags)._add(amount)
        # Atomic
        if self._live:
            self._value += amount
            return
        self._add(amount)

    def add(self, amount: Number, /, **tags: object) -> None:
        """Do the same as `inc`, with an amount that must be given."""
        self.inc(amount, **tags)

    def _set_from_callback(self, total: Number) -> None:
        """Make the total what a callback says that it is; a counter that counts elsewhere."""
        number = self._family.policy.number(total)
        if number is None:
            return
        if not 0.0 <= number < inf:
            return self._family.policy.refuse(number)
        self._store(number)
