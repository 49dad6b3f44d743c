"""A client for tests: it sends whatever bytes it is given, and reads the response strictly."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from tallymark.serve.server import Server

PATIENCE = 20.0
"""Seconds after which a test decides that something does not happen."""


@dataclass(frozen=True)
class Response:
    status: int
    fields: dict[str, str]
    body: bytes


def anyone() -> ssl.SSLContext:
    """Return a context that believes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Client:
    """One connection to a server: over TLS if it has a context, or if the server's URL says so."""

    def __init__(self, server: Server, receive_buffer: int | None = None, context: ssl.SSLContext | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect(("127.0.0.1", server.port))
            if context or server.url.startswith("https:"):
                self.socket = (context or anyone()).wrap_socket(self.socket, server_hostname="localhost")
        except OSError:
            self.socket.close()
            raise
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self, *, body: bool = True) -> Response:
        """Read one response; ConnectionError where there is none."""
        line = self._file.readline()
        if not line:
            raise ConnectionError("closed without a response")
        version, status, _ = line.decode("ascii").split(" ", 2)
        assert version == "HTTP/1.1"
        fields = {}
        while (line := self._file.readline()) != b"\r\n":
            assert line.endswith(b"\r\n")
            name, _, value = line.decode("ascii").partition(":")
            fields[name.lower()] = value.strip()
        content = self._file.read(int(fields["content-length"])) if body else b""
        assert not body or len(content) == int(fields["content-length"])
        return Response(int(status), fields, content)

    def ask(self, data: bytes) -> Response:
        self.send(data)
        return self.read()

    def is_closed(self) -> bool:
        """Wait until the server sends something or closes; return True if it closed."""
        try:
            return self._file.read(1) == b""
        except ConnectionError:
            return True


def ask(server: Server, data: bytes, context: ssl.SSLContext | None = None) -> Response:
    """Send one request on a connection of its own."""
    with Client(server, context=context) as client:
        return client.ask(data)


def get(server: Server, path: str = "/metrics", **fields: str) -> Response:
    """Get a page on a connection of its own."""
    lines = "".join([f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items()])
    return ask(server, f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode("latin-1"))


def parse(body: bytes) -> dict[str, float]:
    """Return values by sample name, as Prometheus's own parser reads them (of each name, those of the last sample)."""
    return {sample.name: sample.value for family in text_string_to_metric_families(body.decode()) for sample in family.samples}


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait until something holds; return True if it did."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
