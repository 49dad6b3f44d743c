"""`Gauge`: a value that goes up and down."""

from __future__ import annotations

from math import inf

from tallymark.engine.reference.scalar import Scalar
from tallymark.engine.tracking import InProgress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tallymark.engine.number import Number

__all__ = ["Gauge"]


class Gauge(Scalar):
    """A value that goes up and down: a queue's depth, a temperature, the connections that are open."""

    __slots__ = ()

    kind = "gauge"

    def set(self, value: Number, /, **tags: object) -> None:
        """Make the value `value`, of the series with `tags` added if there are any. Any double will do, NaN and inf too.

        Raises:
            TypeError: `value` is not a number, or a keyword cannot be a tag: `amount`, `value`, `exemplar`.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        number = value if type(value) is float else self._family.policy.number(value)
        if number is not None:
            series = self._family.find_given(self, tags) if tags else self
            series._store(number)

    def inc(self, amount: Number = 1.0, /, **tags: object) -> None:
        """Add `amount`, which may be negative. A non-finite one is rejected and counted in `tallymark_rejected`.

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
        """Do the same as `inc`, with an amount that must be given."""
        self.inc(amount, **tags)

    def track_in_progress(self, /, **tags: object) -> InProgress:
        """Return what adds 1 for the time of a `with` block, or, as a decorator, of each call of a function.

        Raises:
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        return InProgress(self.with_tags(**tags))

    def _set_from_callback(self, value: Number) -> None:
        """Make the value what a callback returned."""
        self.set(value)
