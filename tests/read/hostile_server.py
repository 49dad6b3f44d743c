"""A server that sends what a test tells it to, on a free port of this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Answer: TypeAlias = Callable[[socket.socket, bytes], None]


class HostileServer:
    """Answers each connection with `answer(connection, request)`.

    Args:
        until: what ends a request.

    Attributes:
        requests: what was read of each connection.
    """

    def __init__(self, answer: Answer, until: bytes) -> None:
        self._answer = answer
        self._until = until
        self.requests: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            if self._ended.is_set():
                connection.close()
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            request = b""
            try:
                while self._until not in request and (part := connection.recv(65536)):
                    request += part
                self.requests.append(request)
                self._answer(connection, request)
            except OSError:  # the reader has had enough
                pass

    def close(self) -> None:
        self._ended.set()
        socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self._threads:
            thread.join(10)
        self._listening.close()


@contextmanager
def hostile_server(answer: Answer | bytes, until: bytes = b"\r\n\r\n") -> Iterator[HostileServer]:
    """Run a server within a `with` block. Bytes are what it sends to all."""
    server = HostileServer(answer if callable(answer) else lambda connection, _: connection.sendall(answer), until)
    try:
        yield server
    finally:
        server.close()


def page(body: bytes, *fields: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """Return an answer of HTTP/1.1."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def path_of(request: bytes) -> str:
    """Return the path that a request asks for."""
    return request.split(b" ")[1].decode()
