"""`DeadlineSocket`: a connected socket that gives up at one moment, however slowly bytes arrive."""

from __future__ import annotations

import io
import re
import select
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Deadline", "DeadlineSocket", "has_arrived"]

_SLICE = 0.25
"""Seconds after which one who waits looks whether the deadline was moved."""
_PORTION = 2**18
_INTERIM = re.compile(rb"HTTP/\d\.\d 1")


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
        """Let it be no later than so many seconds from now. May be called while another thread waits."""
        self._end = min(self._end, self._clock() + seconds)

    def left(self) -> float:
        """Return the seconds that are left. `TimeoutError` if there are none."""
        left = self._end - self._clock()
        if left <= 0:
            raise TimeoutError
        return left

    def share(self, among: int) -> Deadline:
        """Return a deadline that leaves as much time to each of so many."""
        return _Share(self, self.left() / among)

    def within(self, seconds: float) -> Deadline:
        """Return a deadline that is so many seconds from now, or this one if that is earlier; it follows this one."""
        return _Share(self, seconds)

    def slice(self) -> float:
        """Return how long to wait before asking again. `TimeoutError` if nothing is left."""
        return min(self.left(), _SLICE)


class _Share(Deadline):
    """An earlier moment, which never is after that of the whole, even if that is moved."""

    def __init__(self, whole: Deadline, seconds: float) -> None:
        super().__init__(seconds, whole._clock)
        self._whole = whole

    def left(self) -> float:
        """Return the seconds that are left. `TimeoutError` if there are none."""
        return min(super().left(), self._whole.left())


class DeadlineSocket:
    """What `http.client` needs of a socket. It does not own the one that it is given.

    Args:
        sock: a connected socket.
        deadline: when all must be done.
        hears_answers: stop sending when something arrives: there is an answer already.

    Attributes:
        all_sent: False if it stopped.
    """

    def __init__(self, sock: socket.socket, deadline: Deadline, *, hears_answers: bool = False) -> None:
        self._sock = sock
        self._deadline = deadline
        self._hears = hears_answers and not hasattr(sock, "pending")  # with TLS, what arrives may be something else
        self.all_sent = True

    def sendall(self, data: Any) -> None:
        """Send all bytes. `TimeoutError` if that is not done by the deadline."""
        left = memoryview(data).cast("B")
        try:
            while left:
                if self._hears and _answers(self._sock):
                    break
                self._sock.settimeout(self._deadline.slice())
                try:
                    left = left[self._sock.send(left[:_PORTION]) :]
                except TimeoutError:
                    continue  # unless the deadline has passed
        finally:
            self.all_sent = self.all_sent and not left

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
        while True:
            self._sock.settimeout(self._deadline.slice())
            try:
                return self._sock.recv_into(buffer)
            except TimeoutError:
                continue  # unless the deadline has passed


def _answers(sock: socket.socket) -> bool:
    """Return True if a final answer is there, or none will come. One from 100 to 199 is not the final one (RFC 9110, 15.2)."""
    return has_arrived(sock) and not _INTERIM.match(sock.recv(16, socket.MSG_PEEK))


def has_arrived(sock: socket.socket) -> bool:
    """Return True if something can be read: bytes, or that the other side closed the connection."""
    reading = select.poll()
    reading.register(sock, select.POLLIN)
    return bool(reading.poll(0))
