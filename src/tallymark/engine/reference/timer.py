"""`Timer`: a histogram of seconds."""

from __future__ import annotations

import sys
from math import inf
from time import perf_counter

from tallymark.engine.reference.locked import Distribution
from tallymark.engine.reference.timing import Timing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from typing import Any

    from tallymark.engine.number import Number

__all__ = ["Timer"]


class Timer(Distribution):
    """How long things take: a histogram of seconds."""

    __slots__ = ()

    kind = "timer"

    def record(self, duration: Number | timedelta, /, *, exemplar: Mapping[str, object] | None = None, **tags: object) -> None:
        """Count a duration, in seconds or as a `timedelta`.

        A negative duration (a clock was set back) or a non-finite one is rejected and counted in `tallymark_rejected`.

        Args:
            duration: positional only.
            exemplar: what identifies this duration, such as `{"trace_id": "4f79"}`: at most 128 characters. Each bucket keeps
                its last one.
            tags: keywords.

        Raises:
            TypeError: `duration` is neither a number nor a `timedelta`, a tag's value is a collection, or a keyword is
                `amount` or `value`.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        seconds = duration if type(duration) is float else self._seconds(duration)
        if seconds is None:
            return
        if not 0.0 <= seconds < inf:
            return self._family.policy.reject_number(seconds)
        labels = None if exemplar is None else self._family.policy.labels(exemplar)
        series = self._family.find_given(self, tags) if tags else self
        series._record_value(seconds, labels)

    def _record(self, seconds: float, tags: dict[str, object]) -> None:
        """Count a duration in the series with `tags` added, whatever their names."""
        if not 0.0 <= seconds < inf:
            return self._family.policy.reject_number(seconds)
        series = self._family.find(self, tags) if tags else self
        series._record_value(seconds)

    def _seconds(self, duration: Any) -> float | None:
        """Return a duration in seconds. If it cannot be read, count a rejection and return None."""
        datetime = sys.modules.get("datetime")  # if it was never imported, there is no timedelta
        if datetime is not None and issubclass(type(duration), datetime.timedelta):
            duration = duration.total_seconds()
        return self._family.policy.number(duration)

    def record_since(self, start: Number, /, **tags: object) -> None:
        """Count the time since `start`, a reading of `time.perf_counter()`. Otherwise as `record`."""
        end = perf_counter()
        seconds = start if type(start) is float else self._family.policy.number(start)
        if seconds is not None:
            self._record(end - seconds, tags)

    def time(self, /, **tags: object) -> Timing:
        """Time a `with` block or, as a decorator, each call of a function.

        Returns:
            The context manager, which is also a decorator.

        Raises:
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        return Timing(self.with_tags(**tags))
