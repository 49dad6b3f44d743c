"""Rows in portions, so that a page of very many series holds up no other thread."""

from __future__ import annotations

import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["portions"]

_PORTION = 256
"""Rows: about a quarter of a millisecond."""
_PAUSE = 50e-6
"""Seconds. To let the GIL go is not to hand it over: another thread must have the time to wake up."""


def portions(rows: int, portion: int = _PORTION) -> Iterator[slice]:
    """Yield slices that cover all rows, and let other threads run between two of them, if there are any."""
    for start in range(0, rows, portion):
        if start and threading.active_count() > 1:
            time.sleep(_PAUSE)
        yield slice(start, start + portion)
