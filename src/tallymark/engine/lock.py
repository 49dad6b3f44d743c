"""The one lock of the slow paths: creating, waking and removing series and families. No record to a live series takes it.

It is re-entrant, because a signal handler or a finaliser may record while its own thread holds it; each step under it
leaves a state that such a record can work with. Nothing else is ever acquired under it but the lock of the cells: no
logging, no user callbacks. A forked child gets new ones, because the thread that held the old ones may not exist there.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock  # what `threading.RLock` is; `threading` itself takes longer to import than all of this

__all__ = ["FREE_THREADED", "cells", "has_gil", "held", "slow_path"]

FREE_THREADED = "t" in getattr(sys, "abiflags", "")
"""True if this build of CPython can run without a GIL, so that other threads run at any time. (Whether it does may change.)"""

cells = RLock()
"""The lock of the reference engine's cells, where there is no GIL to guard them. Nothing is called under it."""

_lock = RLock()


def has_gil() -> bool:
    """Return True if this interpreter has a GIL now."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def slow_path() -> RLock:
    """Return the lock, to be used at once: `with slow_path(): ...`."""
    return _lock


def held() -> bool:
    """Return True if this thread holds the lock: it runs a finaliser or signal handler that interrupted a slow path."""
    return bool(_lock._is_owned())  # type: ignore[attr-defined]  # as threading.Condition does


def _renew() -> None:
    global _lock
    _lock = RLock()
    cells._at_fork_reinit()  # type: ignore[attr-defined]  # as threading.Condition does


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
