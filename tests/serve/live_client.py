"""A viewer for tests: it asks for the feed of the live page, and reads its events strictly."""

from __future__ import annotations

import json
from typing import Any

from raw_http import Client

WATCH = b"GET /live HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"


class Watcher(Client):
    """A connection that is sent events."""

    def watch(self, request: bytes = WATCH) -> Watcher:
        """Ask for events, and read the beginning of the response."""
        self.send(request)
        assert self._file.readline() == b"HTTP/1.1 200 OK\r\n"
        self.fields: dict[str, str] = {}
        while (line := self._file.readline()) != b"\r\n":
            name, _, value = line.decode("ascii").partition(":")
            self.fields[name.lower()] = value.strip()
        self._chunked = self.fields.get("transfer-encoding") == "chunked"
        self._rest = b""
        assert self.line() == b"retry: 2000"
        assert self.line() == b""
        return self

    def line(self) -> bytes:
        """Return the next line of the events; EOFError at the end of the stream."""
        while b"\n" not in self._rest:
            self._rest += self._more()
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _more(self) -> bytes:
        if not self._chunked:
            more = self._file.read1(65536)
        else:
            size = int(self._file.readline() or b"0", 16)
            more = self._file.read(size)
            self._file.readline()
        if not more:
            raise EOFError("the stream ended")
        return more

    def event(self) -> dict[str, Any]:
        """Return the next document."""
        while (line := self.line()) == b":" or line == b"":
            pass
        assert line.startswith(b"data: {")
        assert self.line() == b""
        told = json.loads(line.removeprefix(b"data: "))
        assert isinstance(told, dict)
        return told

    def has_ended(self) -> bool:
        """Read on to the end of the stream; return True if there is one."""
        try:
            while True:
                self.line()
        except (EOFError, ConnectionError):
            return True
