"""The end of processes that `multiprocessing` makes: it does not run what `atexit` knows, but its own finalizers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["at_end_of_child", "at_end_of_forked_child"]

_FIRST = 100
"""Finalizers with a higher number run first; those of queues have 10 or less."""


class _Marker:
    """What `multiprocessing` keeps a note for."""


_marker = _Marker()


def at_end_of_child(close: Callable[[], object]) -> None:
    """Have something called at the end of this process, if it is a child of `multiprocessing`, which it knows already."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        _finalize(close)


def at_end_of_forked_child(close: Callable[[], object]) -> None:
    """The same in a child that was just forked: what it finalizes, it forgets first."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(_marker, lambda _: _finalize(close))


def _finalize(close: Callable[[], object]) -> None:
    sys.modules["multiprocessing.util"].Finalize(None, close, exitpriority=_FIRST)
