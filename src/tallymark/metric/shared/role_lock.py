"""`RoleLock`: how, of the processes that share a registry, one has a role, such as to report, or to listen at an address."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from contextlib import contextmanager, suppress
from hashlib import blake2b
from weakref import WeakSet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["RoleLock"]

_DECIDING = 2**41  # a byte far beyond the file's end, and beyond those that the engine locks
_ROLES = 2**60  # the bytes of the roles follow it
_LONGEST, _PAUSE = 1.0, 0.005  # seconds: how long to wait for who decides, unless it is stopped, and between two looks
_FLOCK = "hhqqi0q"


class RoleLock:
    """Locks on bytes of the shared file, one for each role. They end with the process, however it ends.

    They belong to an open file of their own, so a forked child, which closes that, has none of them.

    Args:
        shared: the engine's mapping of the file.

    Raises:
        OSError: this process may not open the file anew.
    """

    def __init__(self, shared: Any) -> None:
        self._file = os.fdopen(shared.open_again(), "r+b", buffering=0)
        self._process = os.getpid()
        _open.add(self)

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Find out, while no other process does, who has a role. It takes microseconds."""
        deadline = time.monotonic() + _LONGEST
        while not self._set(_DECIDING, fcntl.F_WRLCK) and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        try:
            yield
        finally:
            self._set(_DECIDING, fcntl.F_UNLCK)

    def take(self, role: str) -> bool:
        """Take a role if no other has it; return True if it is ours, until this process ends, or the lock is closed."""
        return self._set(_byte(role), fcntl.F_WRLCK)

    def hold(self, role: str) -> None:
        """Tell other processes that this one has a role, as others may have too."""
        self._set(_byte(role), fcntl.F_RDLCK)

    def is_held(self, role: str) -> bool:
        """Return True if another process, or another lock of this one, has a role."""
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _byte(role), 1, 0)
        return bool(struct.unpack(_FLOCK, fcntl.fcntl(self._file, fcntl.F_OFD_GETLK, asked))[0] != fcntl.F_UNLCK)

    def close(self) -> None:
        """Let go of everything. May be called again."""
        self._file.close()

    def _set(self, byte: int, kind: int) -> bool:
        with suppress(BlockingIOError, PermissionError):  # as POSIX has it, either may tell that another has the lock
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, kind, os.SEEK_SET, byte, 1, 0))
            return True
        return False


def _byte(role: str) -> int:
    return _ROLES + int.from_bytes(blake2b(role.encode("utf-8", "backslashreplace"), digest_size=7).digest(), "big")


_open: WeakSet[RoleLock] = WeakSet()


def _in_child() -> None:
    for lock in list(_open):
        if lock._process != os.getpid():  # else it was made here, by what was told of the fork before
            lock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
