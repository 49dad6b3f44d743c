"""`DeadlineSocket`: a connected socket that gives up at one moment, however slowly bytes arrive."""

from __future__ import annotations

import io
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Deadline", "DeadlineSocket"]


class Deadline:
    """A moment of a clock.

    Args:
        seconds: from now.
        clock: returns seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def cut(self, seconds: float) -> None:
        """Let it be no later than so many seconds from now. May be called from another thread than who waits."""
        self._end = min(self._end, self._clock() + seconds)

    def left(self) -> float:
        """Return the seconds that are left. `TimeoutError` if there are none."""
        left = self._end - self._clock()
        if left <= 0:
            raise TimeoutError
        return left


class DeadlineSocket:
    """What `http.client` needs of a socket. It does not own the one that it is given."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def sendall(self, data: Any) -> None:
        """Send all bytes. `TimeoutError` if that is not done by the deadline."""
        self._sock.settimeout(self._deadline.left())
        self._sock.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the bytes that arrive."""
        return io.BufferedReader(_Arriving(self._sock, self._deadline))

    def close(self) -> None:
        """Do nothing: the connection is closed when its page has been read, and this is called before."""


class _Arriving(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._deadline.left())
        return self._sock.recv_into(buffer)
