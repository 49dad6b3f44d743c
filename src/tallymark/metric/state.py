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

    __slots__ = ("_series",)

    def __init__(self, gauge: Gauge, states: Iterable[str], tags: Mapping[str, object] | None) -> None:
        self._series = {state: gauge.with_tags(tags, state=state) for state in states}

    @property
    def states(self) -> tuple[str, ...]:
        """All possible states."""
        return tuple(self._series)

    @property
    def value(self) -> str | None:
        """The present state; None before the first `set`."""
        return next((state for state, series in self._series.items() if series.value), None)

    def set(self, state: str) -> None:
        """Enter a state.

        Raises:
            ValueError: there is no such state.
        """
        if state not in self._series:
            raise ValueError(f"no state {state!r}; there are {', '.join(map(repr, self._series))}")
        for other, series in self._series.items():
            series.set(float(other == state))

    def __repr__(self) -> str:
        name = next(iter(self._series.values())).name
        return f"<State {name} {self.value!r} of {', '.join(map(repr, self._series))}>"
