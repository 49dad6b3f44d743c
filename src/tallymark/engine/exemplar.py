"""`Exemplar`: what tells one record of a series from all others, such as the trace in which it was made."""

from __future__ import annotations

from tallymark.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Labels: TypeAlias = tuple[tuple[str, str], ...]

__all__ = ["Exemplar"]


class Exemplar(Frozen):
    """One record of a series, and what identifies it.

    Attributes:
        labels: pairs of name and value, as they were given.
        value: what was recorded: the amount of a counter, the observation of a histogram or timer.
        time: when, in seconds since the epoch.
    """

    __slots__ = ("labels", "time", "value")

    labels: Labels
    value: float
    time: float
