"""`Histogram`: how values are distributed over buckets."""

from __future__ import annotations

from math import inf

from tallymark.engine.number import Number
from tallymark.engine.reference.distribution import Distribution

__all__ = ["Histogram"]


class Histogram(Distribution):
    """How values are distributed: sizes of responses, rows of results. Counts them in buckets."""

    __slots__ = ()

    kind = "histogram"

    def observe(self, value: Number, /, **tags: object) -> None:
        """Count `value` in the bucket with the first bound that is not below it.

        A non-finite value is refused and counted in `tallymark_rejected`.

        Raises:
            TypeError: `value` is not a number.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        number = value if type(value) is float else self._family.policy.number(value)
        if number is None:
            return
        if not -inf < number < inf:
            return self._family.policy.refuse(number)
        series = self._family.find(self, tags) if tags else self
        series._observe(number)
