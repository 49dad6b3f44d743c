"""Instruments whose value a callback tells when the registry is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from tallymark.engine import Counter, Gauge, Number

__all__ = ["Callback", "Observed"]

Callback: TypeAlias = Callable[[], Number | Iterable[tuple[Mapping[str, object], Number]]]
"""Returns the present value (of a counter: the total), or pairs of tags and value, one for each series."""


class Observed:
    """An instrument, the callback that tells its values, and the series that it told of last time."""

    __slots__ = ("_callback", "_instrument", "_told")

    def __init__(self, instrument: Counter | Gauge, callback: Callback) -> None:
        self._instrument = instrument
        self._callback = callback
        self._told: set[Counter | Gauge] = set()

    def refresh(self) -> None:
        """Ask the callback and store what it says; remove the series that it no longer tells of.

        Raises:
            Exception: what the callback raises, or `TypeError` for a result of another form.
        """
        said: Any = self._callback()
        is_number = hasattr(type(said), "__float__") or hasattr(type(said), "__index__")
        told: dict[Counter | Gauge, Any] = {}
        for tags, value in [({}, said)] if is_number else said:
            series = self._instrument.with_tags(tags)
            told[series] = told[series] + value if series in told else value  # several go to an overflow series
        for series, value in told.items():
            series._tell(value)
        before, self._told = self._told, set(told)
        for series in before - set(told):
            series.remove()
