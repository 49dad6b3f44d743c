"""`Timer`: a histogram of seconds."""

from __future__ import annotations

from datetime import timedelta
from math import inf
from time import perf_counter
from typing import cast

from tallymark.engine.number import Number
from tallymark.engine.reference.distribution import Distribution
from tallymark.engine.reference.timing import Timing

__all__ = ["Timer"]


class Timer(Distribution):
    """How long things take: a histogram of seconds."""

    __slots__ = ()

    kind = "timer"

    def record(self, duration: Number | timedelta, /, **tags: object) -> None:
        """Count a duration, in seconds or as a `timedelta`.

        A negative (a clock was set back) or non-finite one is refused and counted in `tallymark_rejected`.

        Raises:
            TypeError: `duration` is neither a number nor a `timedelta`.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        seconds = duration if type(duration) is float else self._seconds(duration)
        if seconds is None:
            return
        if not 0.0 <= seconds < inf:
            return self._family.policy.refuse(seconds)
        series = self._family.find(self, tags) if tags else self
        series._observe(seconds)

    def _seconds(self, duration: Number | timedelta) -> float | None:
        """Return a duration in seconds; None, and a refusal counted, where it cannot be read."""
        if issubclass(type(duration), timedelta):
            duration = cast(timedelta, duration).total_seconds()
        return self._family.policy.number(duration)

    def record_since(self, start: Number, /, **tags: object) -> None:
        """Count the time since `start`, a reading of `time.perf_counter()`. Otherwise as `record`."""
        end = perf_counter()
        seconds = start if type(start) is float else self._family.policy.number(start)
        if seconds is not None:
            self.record(end - seconds, **tags)

    def time(self, /, **tags: object) -> Timing:
        """Return what times a `with` block, or, as a decorator, each call of a function.

        Raises:
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        return Timing(self.with_tags(**tags))
