"""`Counter`: a total that only goes up."""

from __future__ import annotations

from math import inf

from tallymark.engine.lock import FREE_THREADED
from tallymark.engine.reference.exemplars import exemplify
from tallymark.engine.reference.locked import Scalar
from tallymark.engine.tracking import ExceptionCount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tallymark.engine.exemplar import Labels
    from tallymark.engine.number import Number

__all__ = ["Counter"]


class Counter(Scalar):
    """A total that only goes up: requests served, bytes sent, seconds of CPU used."""

    __slots__ = ()

    kind = "counter"

    def inc(self, amount: Number = 1.0, /, *, exemplar: Mapping[str, object] | None = None, **tags: object) -> None:
        """Add `amount` to this series, or to the one with `tags` added.

        A negative or non-finite amount is rejected and counted in `tallymark_rejected`.

        Args:
            amount: positional only, as is the number in every record call: a keyword would be a tag.
            exemplar: what identifies this record, such as `{"trace_id": "4f79"}`: at most 128 characters. The series keeps
                the last one.
            tags: keywords, such as `method="GET"`. A value that is not text is recorded as `str(value)`.

        Raises:
            TypeError: `amount` is not a number, a tag's value is a collection, or a keyword is `amount` or `value`.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        if type(amount) is not float:
            number = self._family.policy.number(amount)
            if number is None:
                return
            amount = number
        if not 0.0 <= amount < inf:
            return self._family.policy.reject_number(amount)
        labels = None if exemplar is None else self._family.policy.labels(exemplar)
        series = self._family.find_given(self, tags) if tags else self
        if labels is not None or self._family._asks:
            return series._record(amount, labels)
        # Atomic
        if series._live and not FREE_THREADED:
            series._value += amount
            return
        series._add(amount)

    def _record(self, amount: float, labels: Labels | None = None) -> None:
        """Add to the series, and keep an exemplar: that with these labels, or, for None, one that the registry knows."""
        live = self._add(amount)
        if labels is not None or self._family._asks:
            exemplify(live, amount, labels)

    def add(self, amount: Number, /, *, exemplar: Mapping[str, object] | None = None, **tags: object) -> None:
        """Add `amount`, as `inc` does. Here it has no default."""
        self.inc(amount, exemplar=exemplar, **tags)

    def count_exceptions(self, /, *exceptions: type[BaseException], **tags: object) -> ExceptionCount:
        """Count the exceptions that end a `with` block or, as a decorator, a call of a function. Suppress none.

        Args:
            exceptions: the classes that count; by default `Exception`.
            tags: of the series that counts them.

        Returns:
            The context manager, which is also a decorator.

        Raises:
            TypeError: one of `exceptions` is not an exception class.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        return ExceptionCount(self.with_tags(**tags), exceptions)

    def _set_from_callback(self, total: Number) -> None:
        """Set the total that a callback returned, of something that is counted elsewhere."""
        number = self._family.policy.number(total)
        if number is None:
            return
        if not 0.0 <= number < inf:
            return self._family.policy.reject_number(number)
        self._store(number)
        self._touch()

    def _touch(self) -> None:
        """Have `ttl` begin anew, as a record does: a callback has just told the total, the same or not."""
        self._family._touch(self)
