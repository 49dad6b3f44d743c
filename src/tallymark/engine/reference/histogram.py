"""`Histogram`: how values are distributed over buckets."""

from __future__ import annotations

from math import inf

from tallymark.engine.reference.locked import Distribution

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tallymark.engine.number import Number

__all__ = ["Histogram"]


class Histogram(Distribution):
    """How values are distributed: sizes of responses, rows of results. Counts them in buckets."""

    __slots__ = ()

    kind = "histogram"

    def observe(self, value: Number, /, *, exemplar: Mapping[str, object] | None = None, **tags: object) -> None:
        """Count `value` in the bucket with the first bound that is not below it.

        A non-finite value is rejected and counted in `tallymark_rejected`.

        Args:
            value: positional only.
            exemplar: what identifies this observation, such as `{"trace_id": "4f79"}`: at most 128 characters. Each bucket
                keeps its last one.
            tags: keywords.

        Raises:
            TypeError: `value` is not a number, a tag's value is a collection, or a keyword is `amount` or `value`.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        number = value if type(value) is float else self._family.policy.number(value)
        if number is None:
            return
        if not -inf < number < inf:
            return self._family.policy.reject_number(number)
        labels = None if exemplar is None else self._family.policy.labels(exemplar)
        series = self._family.find_given(self, tags) if tags else self
        series._record_value(number, labels)
