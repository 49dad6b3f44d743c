"""`Line`: one line of a report, as people read it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Line"]


class Line(NamedTuple):
    """What a report has of a metric.

    Attributes:
        text: as the backend gets it; for a binary format, what it means.
        name: of the metric at the backend; empty for a line that names none.
        type: as the backend has it, in our words; empty if it has none.
        unit: as the backend has it; empty if it has none.
    """

    text: str
    name: str = ""
    type: str = ""
    unit: str = ""
