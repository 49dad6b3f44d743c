"""The one lock of the slow paths: creating, waking and removing series and families. No record to a live series takes it.

It is re-entrant, because a signal handler or a finaliser may record while its own thread holds it; each step under it
leaves a state that such a record can work with. Nothing else is ever acquired under it: no logging, no user callbacks.
A forked child gets a new one, because the thread that held the old one may not exist there.
"""

from __future__ import annotations

import os
from _thread import RLock  # what `threading.RLock` is; `threading` itself takes longer to import than all of this

__all__ = ["held", "slow_path"]

_lock = RLock()


def slow_path() -> RLock:
    """Return the lock, to be used at once: `with slow_path(): ...`."""
    return _lock


def held() -> bool:
    """Return True if this thread holds the lock: it runs a finaliser or signal handler that interrupted a slow path."""
    return bool(_lock._is_owned())  # type: ignore[attr-defined]  # as threading.Condition does


def _renew() -> None:
    global _lock
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
