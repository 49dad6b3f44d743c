"""`AddressLock`: how processes that share a registry know that one of them listens at an address."""

from __future__ import annotations

import fcntl
import os
import struct
import time
import zlib
from contextlib import contextmanager, suppress
from weakref import WeakSet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TypeAlias

    Address: TypeAlias = tuple[str, int]

__all__ = ["AddressLock"]

_DECIDING = 2**41  # a byte far beyond the file's end, and beyond those that the engine locks; the addresses' bytes follow it
_LONGEST, _PAUSE = 1.0, 0.005  # seconds: how long to wait for who decides, unless it is stopped, and between two looks
_FLOCK = "hhqqi0q"


class AddressLock:
    """Locks on bytes of the shared file, one for each address. They end with the process, however it ends.

    They belong to an open file of their own, so a forked child, which closes that, has none of them.

    Args:
        shared: the engine's mapping of the file.

    Raises:
        OSError: this process may not open the file anew.
    """

    def __init__(self, shared: Any) -> None:
        self._file = os.fdopen(shared.open_again(), "r+b", buffering=0)
        self._network = os.stat("/proc/self/ns/net").st_ino  # in another one, as containers have them, it is another address
        _open.add(self)

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Find out, while no other process does, who listens at an address. It takes microseconds."""
        deadline = time.monotonic() + _LONGEST
        while not self._set(_DECIDING, fcntl.F_WRLCK) and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        try:
            yield
        finally:
            self._set(_DECIDING, fcntl.F_UNLCK)

    def hold(self, address: Address) -> None:
        """Tell other processes that this one listens at `address`, until it ends, or the lock is closed."""
        self._set(self._byte(address), fcntl.F_RDLCK)

    def is_held(self, address: Address) -> bool:
        """Return True if another process, or another lock of this one, tells that it listens at `address`."""
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, self._byte(address), 1, 0)
        return bool(struct.unpack(_FLOCK, fcntl.fcntl(self._file, fcntl.F_OFD_GETLK, asked))[0] != fcntl.F_UNLCK)

    def close(self) -> None:
        """Let go of everything. May be called again."""
        self._file.close()

    def _set(self, byte: int, kind: int) -> bool:
        with suppress(BlockingIOError, PermissionError):  # as POSIX has it, either may tell that another has the lock
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, kind, os.SEEK_SET, byte, 1, 0))
            return True
        return False

    def _byte(self, address: Address) -> int:
        return _DECIDING + 1 + zlib.crc32(f"{self._network} {address[0]} {address[1]}".encode())


_open: WeakSet[AddressLock] = WeakSet()


def _in_child() -> None:
    for lock in list(_open):
        lock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
