"""Which bridges this thread is reading over: two registries may be shown in each other, and neither must be asked twice."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["crossing", "underway"]


class _Crossings(threading.local):
    def __init__(self) -> None:
        self.bridges: list[object] = []


_crossings = _Crossings()


def underway() -> list[object]:
    """Return the bridges that this thread is reading over, the outermost first."""
    return _crossings.bridges


@contextmanager
def crossing(bridge: object) -> Iterator[None]:
    """Tell that this thread reads over a bridge."""
    _crossings.bridges.append(bridge)
    try:
        yield
    finally:
        _crossings.bridges.pop()
