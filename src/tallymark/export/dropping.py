"""What an exporter tells of data that its format cannot carry, and so leaves out or changes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Dropped: TypeAlias = Callable[[str, str], None]
    """Is told a metric's name and a reason: `"unsupported_value"`, `"unsupported_type"` or `"name"`."""

__all__ = ["ignore", "once"]


def ignore(metric: str, reason: str) -> None:
    """Tell nobody."""


def once(dropped: Dropped) -> Dropped:
    """Return what tells `dropped` of each metric and reason once."""
    told: set[tuple[str, str]] = set()

    def tell(metric: str, reason: str) -> None:
        if (metric, reason) not in told:
            told.add((metric, reason))
            dropped(metric, reason)

    return tell
