"""`Turn`: whose turn it is to serve, of the processes that share a registry.

The port decides: who can listen serves. Who cannot looks at a lock on the shared file, by which it knows whether the port is
in the hands of a process that shares the registry, or of a stranger.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from tallymark.log import logger

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from tallymark.metric.shared.role_lock import RoleLock
    from tallymark.serve.address import Address
    from tallymark.serve.endpoint import Endpoint

__all__ = ["Turn"]

_PAUSE = 0.25
"""Seconds between two looks at whether the one that serves has ended."""
_ENDING = 0.2
"""Seconds in which a port is free again after its process was killed, whose locks may end a moment sooner."""
_AGAIN = 0.02


class Turn:
    """Has an endpoint run as soon as its address is free, in the background; see `report.background.Service`.

    Args:
        address: where to listen.
        lock: tells at which addresses other processes of the registry listen; None if it is not shared.
        endpoint: makes what serves on a socket.

    Attributes:
        endpoint: what serves; None while another process does.
        port: where it serves.

    Raises:
        OSError: the address cannot be used, and not because another process of the registry has it.
    """

    def __init__(self, address: Address, lock: RoleLock | None, endpoint: Callable[[socket.socket], Endpoint]) -> None:
        self.endpoint: Endpoint | None = None
        self.port = address.port
        self._address = address
        self._lock = lock
        self._make = endpoint
        self._stopping = threading.Event()
        self._logged: set[int] = set()
        try:
            self._take()
        except BaseException:
            self.release()
            raise

    def run(self) -> None:
        """Wait for the turn, and serve, until `stop` is called; then close everything."""
        try:
            while self.endpoint is None and not self._stopping.wait(_PAUSE):
                self._look()
            if self.endpoint is not None:
                self.endpoint.run()
        finally:
            self.release()

    def stop(self) -> None:
        """Make `run` return soon. May be called from any thread, at any time."""
        self._stopping.set()
        if self.endpoint is not None:
            self.endpoint.stop()

    def release(self) -> None:
        """Close the port, and let others know. The endpoint must not be running."""
        if self.endpoint is not None:
            self.endpoint.release()
        if self._lock is not None:
            self._lock.close()

    def abandon(self) -> None:
        """In a forked child: give up the sockets, which are the parent's to serve. The lock does so itself."""
        if self.endpoint is not None:
            self.endpoint.abandon()

    def _take(self) -> None:
        """Take the turn, unless another process of the registry has it."""
        deadline = time.monotonic() + (_ENDING if self._lock else 0)
        while True:
            try:
                return self._try()
            except OSError as error:
                if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
                    raise
                time.sleep(_AGAIN)

    def _try(self) -> None:
        if self._lock is None:
            self._serve(self._address.listen())
            return
        with self._lock.deciding():
            try:
                listener = self._address.listen()
            except OSError as error:
                if error.errno == errno.EADDRINUSE and self._lock.is_held(_role(self._address.sockaddr)):
                    return
                raise
            self._serve(listener)
            self._lock.hold(_role(listener.getsockname()))

    def _serve(self, listener: socket.socket) -> None:
        try:
            self.endpoint = self._make(listener)
            self.port = listener.getsockname()[1]
        except BaseException:
            listener.close()
            raise

    def _look(self) -> None:
        """Take the turn if the process that had it has ended."""
        if self._lock is None or self._lock.is_held(_role(self._address.sockaddr)):
            return
        try:
            self._take()
        except OSError as error:
            if error.errno not in self._logged:
                self._logged.add(error.errno or 0)
                logger().error("%s. It is tried again and again, but not logged again", error.strerror)
        if self.endpoint is not None:
            logger().info("this process now serves the metrics, as the one that did has ended")
            if self._stopping.is_set():  # it was told to before there was an endpoint to tell
                self.endpoint.stop()


def _role(address: tuple[Any, ...]) -> str:
    """Return the role of who listens at an address. In another network, as containers have them, it is another address."""
    return f"{os.stat('/proc/self/ns/net').st_ino} {address[0]} {address[1]}"
