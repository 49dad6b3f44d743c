"""How lines travel to a server that answers nothing: in datagrams, or in a stream.

A socket is opened for each request, and closed after it. So nothing is stale: not a server that was started anew, not a name
that has another address now, not what a forked child has from its parent.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from tallymark.client.deadline import DeadlineSocket
from tallymark.client.lookup import lookup
from tallymark.report.errors import SendError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tallymark.backends.socket_address import SocketAddress
    from tallymark.client.deadline import Deadline

__all__ = ["Datagrams", "Stream", "words"]

_PATIENCE = 0.25
"""Seconds that one datagram may wait for room. Who reads no faster than that is stuck."""
_RETRY = 0.005
"""Seconds after which a system without room for datagrams is asked again."""
_BURST = 8
"""UDP datagrams that are sent at once. A receiver that has not changed Linux' defaults holds about 90 of 1,432 bytes."""
_PAUSE = 0.002
"""Seconds between two bursts. UDP drops what the server has no room for, and tells nobody: it must have the time to read. Of a
report of 100,000 series, the StatsD server of npm lost a tenth at four times this speed, and 96 % without a pause."""
_FULL = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM)


class Datagrams:
    """Sends each part as a datagram, over UDP or a Unix socket."""

    def __init__(self, address: SocketAddress) -> None:
        self._address = address

    def send(self, parts: Sequence[bytes], deadline: Deadline) -> int:
        """Send all, and return how many bytes that took.

        Raises:
            SendError: nobody listens, or a datagram found no room in time. What follows it was not sent.
        """
        lost = 0
        try:
            with _open(self._address, deadline) as sock:
                for i, part in enumerate(parts):
                    if i % _BURST == 0 and i and self._address.kind == "udp":
                        time.sleep(_PAUSE)
                    lost += self._send_one(sock, part, deadline)
                _check(sock)
        except OSError as error:
            raise SendError(f"{self._address.text} {words(error)}") from error
        if lost:
            raise SendError(
                f"{self._address.text} takes no datagram that is as large as {lost} of the lines; the others were sent."
                " Use fewer or shorter tags",
                again=False,
            )
        return sum([len(part) for part in parts])

    def _send_one(self, sock: socket.socket, part: bytes, deadline: Deadline) -> int:
        """Send a datagram, in halves if it is too large for the way. Return how many lines are too large."""
        try:
            _send_in_time(sock, part, deadline)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            middle = part.find(b"\n", len(part) // 2)
            middle = part.rfind(b"\n") if middle < 0 else middle
            if middle < 0:
                return 1
            return sum([self._send_one(sock, half, deadline) for half in (part[:middle], part[middle + 1 :])])
        return 0


def _send_in_time(sock: socket.socket, part: bytes, deadline: Deadline) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        deadline.left()
        try:
            sock.send(part)
            return
        except OSError as error:
            if error.errno not in _FULL or time.monotonic() > end:
                raise
        time.sleep(_RETRY)


def _check(sock: socket.socket) -> None:
    """Raise what the system has learnt of datagrams since the last was sent: on this machine, that nobody listens."""
    late = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if late:
        raise OSError(late, errno.errorcode.get(late, ""))


class Stream:
    """Sends parts one after another, over TCP or a Unix socket.

    Args:
        has_lengths: True if each part follows its length, four bytes, the lowest first: so Datadog's server reads a stream.
    """

    def __init__(self, address: SocketAddress, *, has_lengths: bool = False) -> None:
        self._address = address
        self._has_lengths = has_lengths

    def send(self, parts: Sequence[bytes], deadline: Deadline) -> int:
        """Send all, and return how many bytes that took.

        Raises:
            SendError: nobody listens, or the server has not read all by the deadline.
        """
        data = b"".join([struct.pack("<I", len(part)) + part for part in parts] if self._has_lengths else parts)
        try:
            with _open(self._address, deadline) as sock:
                _send_whole(sock, data, deadline)
                sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise SendError(f"{self._address.text} {words(error)}") from error
        return len(data)


def _send_whole(sock: socket.socket, data: bytes, deadline: Deadline) -> None:
    """Send all of it; or reset the connection, so that no server takes a line that was cut for its last one."""
    try:
        DeadlineSocket(sock, deadline).sendall(data)
    except BaseException:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise


def _open(address: SocketAddress, deadline: Deadline) -> socket.socket:
    """Return a socket that is connected."""
    kind = socket.SOCK_STREAM if address.is_stream else socket.SOCK_DGRAM
    if address.path:
        return _connected(socket.AF_UNIX, kind, address.path, deadline, address.is_stream)
    found = _found(address, deadline)
    # Over UDP, nobody tells that the first address is the wrong one; and most servers of StatsD listen to IPv4 alone.
    found.sort(key=lambda one: one[0] != socket.AF_INET)
    trouble: OSError | None = None
    for family, _, _, _, where in found:
        try:
            return _connected(family, kind, where, deadline, address.is_stream)
        except OSError as error:
            trouble = trouble or error
    raise trouble or OSError(errno.EADDRNOTAVAIL, "its name has no address")


def _found(address: SocketAddress, deadline: Deadline) -> list[Any]:
    try:
        return list(lookup(address.host, address.port, deadline))
    except TimeoutError:
        raise socket.gaierror(socket.EAI_AGAIN, "not known in time") from None


def _connected(family: int, kind: int, where: object, deadline: Deadline, is_stream: bool) -> socket.socket:
    sock = socket.socket(family, kind)
    try:
        sock.settimeout(deadline.left() if is_stream else min(deadline.left(), _PATIENCE))
        _connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


def _connect(sock: socket.socket, where: object) -> None:
    try:
        sock.connect(where)  # type: ignore[arg-type]
    except TimeoutError:  # which has no number, as that of a write has none
        raise OSError(errno.ETIMEDOUT, "not connected in time") from None


def words(error: OSError) -> str:
    """Return what an error means, and what to do: the end of a sentence about the server."""
    match error:
        case TimeoutError(errno=errno.ETIMEDOUT):
            return "cannot be reached: it does not answer; is a firewall in the way, or is it overloaded?"
        case TimeoutError() | BlockingIOError():
            return "has no room: its server does not read, or not fast enough; is it stuck?"
        case socket.gaierror():
            return f"cannot be reached: its host has no address ({error.strerror})"
        case ConnectionRefusedError():
            return "cannot be reached: nobody listens there; is the server running, and is the address right?"
        case ConnectionResetError() | BrokenPipeError():
            return "closed the connection; has the server ended?"
        case FileNotFoundError():
            return "cannot be reached: there is no such socket; is the server running, and is its folder mounted here?"
        case PermissionError():
            return "cannot be reached: this process may not write to it; what are the permissions of the socket?"
    if error.errno == errno.EPROTOTYPE:
        return "is another kind of socket: use unixstream:// for streams, and unix:// for datagrams"
    return f"cannot be reached: {error.strerror or error}"
