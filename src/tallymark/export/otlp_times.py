"""Times as OpenTelemetry's data points have them: nanoseconds since the epoch, 0 if unknown.

They are whole microseconds: a double that holds seconds of today knows no more.
"""

from __future__ import annotations

from tallymark.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Times", "nanoseconds"]

_END = 2**64


def nanoseconds(time: float) -> int:
    """Return a time in nanoseconds; 0 for one that 64 bits cannot tell, as if it were unknown."""
    return int(time * 1e6 + 0.5) * 1000 if 0.0 < time < _END / 1e9 else 0


class Times(Frozen):
    """When the points of a report start and end.

    Attributes:
        now: when all end.
        since: when those of differences start; 0 for a report of totals, and for the first of differences.
        delta: True for a report of differences.
    """

    __slots__ = ("delta", "now", "since")

    now: int
    since: int
    delta: bool

    def starts(self, created: Sequence[float], *, delta: bool) -> list[int]:
        """Return when the point of each series starts: never after its end, whatever a clock did meanwhile.

        Args:
            created: when each series was created.
            delta: True for differences: they start where the report before ended.
        """
        if delta and self.since:
            return [min(self.since, self.now)] * len(created)
        try:
            starts = [int(time * 1e6 + 0.5) * 1000 for time in created]
        except (OverflowError, ValueError):  # a time that is no number
            starts = [self.now if time * 1e9 >= _END else nanoseconds(time) for time in created]
        if starts and (min(starts) < 0 or max(starts) > self.now):
            return [min(max(start, 0), self.now) for start in starts]
        return starts
