"""`Address`: where a server is to listen."""

from __future__ import annotations

import errno
import os
import socket
from typing import cast

__all__ = ["Address"]

_REMEDIES = {
    errno.EADDRINUSE: "; choose another port, or port=0 for one that is free",
    errno.EADDRNOTAVAIL: '; this machine has no such address: host="0.0.0.0" stands for all that it has',
    errno.EACCES: "; ports below 1024 need a right: choose another one",
}


class Address:
    """A host and a port. The host's name is looked up once.

    Attributes:
        port: 0 stands for one that is free.
        sockaddr: what the system calls it.

    Raises:
        OSError: the host is unknown.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self.port = port
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except OSError as error:
            raise self._explained(error) from error
        self._family: int = found[0][0]
        self.sockaddr = cast("tuple[str, int]", found[0][4])

    def listen(self) -> socket.socket:
        """Return a socket that listens.

        Raises:
            OSError: the address cannot be used. The message names it, and a remedy where there is one.
        """
        try:
            return socket.create_server(self.sockaddr, family=self._family, backlog=128)
        except OSError as error:
            raise self._explained(error) from error

    def _explained(self, error: OSError) -> OSError:
        remedy = _REMEDIES.get(error.errno or 0, "")
        code = error.errno or 0  # below 0 from getaddrinfo
        reason = os.strerror(code) if code > 0 else error.strerror
        return OSError(code, f"cannot serve metrics on host {self._host!r}, port {self.port}: {reason}{remedy}")
