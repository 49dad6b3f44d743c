"""An HTTP server that fails in the way that a test tells it to, on a free port of this machine."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeAlias

Behaviour: TypeAlias = Callable[[socket.socket, bytes], bool]
"""Answers a request with this body, and returns True if the connection is kept. `OSError`: the client has had enough."""


def answer(status: str = "204 No Content", *fields: str, body: bytes = b"") -> Behaviour:
    """Answer with a status, such as `"429 Too Many Requests"`, and fields, such as `"Retry-After: 1"`."""
    has_body = not status.startswith(("1", "204"))
    lines = [f"HTTP/1.1 {status}", *fields, *([f"Content-Length: {len(body)}"] if has_body else []), "", ""]
    return say("\r\n".join(lines).encode("latin-1") + (body if has_body else b""))


def say(raw: bytes, *, keeps: bool = True) -> Behaviour:
    """Send some bytes, whatever they are."""

    def behave(connection: socket.socket, body: bytes) -> bool:
        connection.sendall(raw)
        return keeps

    return behave


def reset(connection: socket.socket, body: bytes) -> bool:
    """Reset the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def hang_up(connection: socket.socket, body: bytes) -> bool:
    """Close the connection without an answer."""
    return False


def byte_by_byte(raw: bytes, pause: float = 0.01) -> Behaviour:
    """Send an answer so slowly that no single read takes long."""

    def behave(connection: socket.socket, body: bytes) -> bool:
        ended = threading.Event()
        for byte in raw:
            connection.sendall(bytes([byte]))
            ended.wait(pause)
        return True

    return behave


def too_large_above(size: int) -> Behaviour:
    """Answer 413 to bodies of more bytes, and take others."""
    return lambda connection, body: answer("413 Content Too Large" if len(body) > size else "204 No Content")(connection, body)


class FailingServer:
    """Serves until it is closed.

    Attributes:
        behaves: what it does with each request; may be changed at any time.
        bodies: of all requests that it has read.
        taken: of those that it answered with a status of 200 to 299.
        heads: of all requests.
        connections: how many there were.
    """

    def __init__(self, behaves: Behaviour | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.behaves = behaves or answer()
        self.bodies: list[bytes] = []
        self.taken: list[bytes] = []
        self.heads: list[bytes] = []
        self.connections = 0
        self._tls = tls
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}/write"
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="failing-server", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                self._open.append(connection)
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as reading:
                while (request := _read(reading)) is not None:
                    head, body = request
                    self.heads.append(head)
                    self.bodies.append(body)
                    told = _Told(connection, lambda body=body: self.taken.append(body))  # type: ignore[misc]
                    if not self.behaves(told, body):  # type: ignore[arg-type]
                        return

    def close(self) -> None:
        """Close all connections, and wait for the threads."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)


_TAKEN = b"HTTP/1.1 2"


class _Told:
    """A connection that notes, before it is told, that a request was taken."""

    def __init__(self, connection: socket.socket, takes: Callable[[], None]) -> None:
        self._connection = connection
        self._takes = takes
        self._said = b""

    def sendall(self, raw: bytes) -> None:
        before, self._said = self._said, (self._said + raw)[:100]
        if self._said.startswith(_TAKEN) and not before.startswith(_TAKEN):
            self._takes()
        self._connection.sendall(raw)

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


def _read(reading: object) -> tuple[bytes, bytes] | None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = reading.readline()  # type: ignore[attr-defined]
        if not line:
            return None
        head += line
    length = next((int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length:")), 0)
    return head, reading.read(length)  # type: ignore[attr-defined]


@contextmanager
def failing_server(behaves: Behaviour | None = None, tls: ssl.SSLContext | None = None) -> Iterator[FailingServer]:
    """Run a server within a `with` block."""
    server = FailingServer(behaves, tls)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def silent_port() -> Iterator[int]:
    """Accept connections within a `with` block, and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def refusing_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port
