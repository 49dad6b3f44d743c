"""`Counter`: a total that only goes up."""

from __future__ import annotations

from math import inf

from tallymark.engine.reference.scalar import Scalar
from tallymark.engine.tracking import ExceptionCount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tallymark.engine.number import Number

__all__ = ["Counter"]


class Counter(Scalar):
    """A total that only goes up: requests served, bytes sent, seconds of CPU used."""

    __slots__ = ()

    kind = "counter"

    def inc(self, amount: Number = 1.0, /, *, exemplar: Mapping[str, object] | None = None, **tags: object) -> None:
        """Add `amount`, to the series with `tags` added if there are any.

        A negative or non-finite amount is rejected and counted in `tallymark_rejected`.

        Args:
            amount: given by place alone, and so are the numbers of all other records: `amount=` would be a tag.
            exemplar: what tells this record from others, `{"trace_id": "4f79"}` say: at most 128 characters. It is checked,
                and not kept yet.
            tags: by keyword, `method="GET"`: text, or what becomes text.

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
        if exemplar is not None:
            self._family.policy.check_exemplar(exemplar)
        if tags:
            return self._family.find_given(self, tags)._add(amount)
        # Atomic
        if self._live:
            self._value += amount
            return
        self._add(amount)

    def add(self, amount: Number, /, *, exemplar: Mapping[str, object] | None = None, **tags: object) -> None:
        """Do the same as `inc`, with an amount that must be given."""
        self.inc(amount, exemplar=exemplar, **tags)

    def count_exceptions(self, /, *exceptions: type[BaseException], **tags: object) -> ExceptionCount:
        """Return what counts the exceptions that end a `with` block, or, as a decorator, a call of a function. Swallows none.

        Args:
            exceptions: the classes that count; by default `Exception`.
            tags: of the series that is added to.

        Raises:
            TypeError: one of `exceptions` is not an exception class.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        return ExceptionCount(self.with_tags(**tags), exceptions)

    def _set_from_callback(self, total: Number) -> None:
        """Make the total what a callback says that it is; a counter that counts elsewhere."""
        number = self._family.policy.number(total)
        if number is None:
            return
        if not 0.0 <= number < inf:
            return self._family.policy.reject_number(number)
        self._store(number)
