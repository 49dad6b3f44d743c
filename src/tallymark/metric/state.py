"""`State`: which of a fixed set of states something is in."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tallymark.engine import Gauge

__all__ = ["State"]


class State:
    """Which of a fixed set of states something is in: a gauge with a series for each, tagged `state`, of which one is 1.

    Made by `Registry.state`. Before the first `set`, all are 0.
    """

    __slots__ = ("_present", "_series")

    def __init__(self, gauge: Gauge, states: Iterable[str], tags: Mapping[str, object] | None) -> None:
        self._series = {state: gauge.with_tags(tags, state=state) for state in states}
        self._present: str | None = None
        own = [series for series in self._series.values() if "state" in series.tags]
        if len(set(own)) < len(own):
            raise ValueError(
                f"state {gauge.name!r}: some of its states become one, as TagLimits.max_value_length truncates them:"
                f" {', '.join(map(repr, self._series))}"
            )

    @property
    def states(self) -> tuple[str, ...]:
        """All possible states."""
        return tuple(self._series)

    @property
    def value(self) -> str | None:
        """The present state; None before the first `set`. Of a state beyond `TagLimits.max_series`, what this object set."""
        shown = [state for state, series in self._series.items() if series.value and not _is_overflow(series)]
        if not shown and self._present is not None and _is_overflow(self._series[self._present]):
            return self._present
        return next(iter(shown), None)

    def set(self, state: str) -> None:
        """Enter a state.

        Raises:
            ValueError: there is no such state.
        """
        if state not in self._series:
            raise ValueError(f"no state {state!r}; there are {', '.join(map(repr, self._series))}")
        self._present = state
        for other, series in self._series.items():
            series.set(float(other == state))

    def __repr__(self) -> str:
        name = next(iter(self._series.values())).name
        return f"<State {name} {self.value!r} of {', '.join(map(repr, self._series))}>"


def _is_overflow(series: Gauge) -> bool:
    """Return True for the series that all those beyond the limit share: its value says nothing of one state."""
    return "state" not in series.tags and "overflow" in series.tags
