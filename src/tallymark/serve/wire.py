"""HTTP/1.x on the wire: the head of a request from bytes, and the head of a response to bytes. Pure; uses no socket.

Sources: RFC 9110 (semantics), RFC 9112 (HTTP/1.1). Less strict where it does no harm: lines may end in a bare LF, and `Host`
may be missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

from tallymark.serve.pages import Page, PageRequest

if TYPE_CHECKING:
    Buffer = bytes | bytearray | memoryview

__all__ = ["HeadReader", "Request", "RequestError", "encode_head", "parse_head"]

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(%b) ([^\x00-\x20\x7f]+) HTTP/([0-9])\.([0-9])" % _TOKEN)
_METHOD_START = re.compile(rb"%b(?: |\Z)" % _TOKEN)
_METHOD_REST = re.compile(rb"(?:%b)?(?: |\Z)" % _TOKEN)
_BREAKS = re.compile(rb"[\r\n]*")
_FIELD = re.compile(rb"(%b):([^\r\0]*)" % _TOKEN)
_END = re.compile(rb"\r?\n\r?\n")
_ORIGIN = re.compile(r"https?://[^/?#]*", re.IGNORECASE)


class RequestError(Exception):
    """A request whose only answer is this status. Nothing that follows on its connection can be parsed."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """A request, and whether its connection stays open.

    Attributes:
        asked: what the request asks for.
        keep_alive: True if another request may follow. Never after one with a body, since bodies are not read.
    """

    asked: PageRequest
    keep_alive: bool


class HeadReader:
    """Finds the heads of requests in the bytes that arrive. It looks at each byte once, in however small parts they come.

    Args:
        limit: how many bytes a head may have.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._seen = 0  # bytes that hold no end of a head
        self._line_is_valid = self._method_is_valid = False

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: Buffer) -> None:
        """Add bytes that arrived."""
        self._buffer += data

    def clear(self) -> None:
        """Forget all bytes."""
        self._buffer.clear()
        self._begin()

    def take(self) -> bytes | None:
        """Remove the first head and return it, without the empty line; None while its end is missing.

        Raises:
            RequestError: 400 as soon as no further bytes could make it a request, 431 if it is longer than the limit.
        """
        buffer = self._buffer
        if not self._seen:  # RFC 9112, 2.2: empty lines before a request are ignored
            del buffer[: _BREAKS.match(buffer).end()]  # type: ignore[union-attr]  # it matches always
        end = _END.search(buffer, max(0, self._seen - 3), self._limit)  # three bytes of it may be seen already
        if end:
            head = bytes(buffer[: end.start()])
            del buffer[: end.end()]
            self._begin()
            return head
        if self._is_hopeless():
            raise RequestError(400)
        if len(buffer) >= self._limit:
            raise RequestError(431)
        self._seen = len(buffer)
        return None

    def _begin(self) -> None:
        self._seen = 0
        self._line_is_valid = self._method_is_valid = False

    def _is_hopeless(self) -> bool:
        # Clients of TLS, HTTP/0.9 or another protocol never send the empty line: they would wait for the deadline.
        buffer = self._buffer
        if self._line_is_valid or not buffer:
            return False
        newline = buffer.find(b"\n", self._seen)
        if newline >= 0:
            self._line_is_valid = _REQUEST_LINE.fullmatch(buffer[:newline].removesuffix(b"\r")) is not None
            return not self._line_is_valid
        if not self._method_is_valid:
            match = (_METHOD_REST if self._seen else _METHOD_START).match(buffer, self._seen)
            self._method_is_valid = match is not None and match[0].endswith(b" ")
            return match is None
        return False


def parse_head(head: bytes) -> Request:
    """Parse a head that `take_head` returned.

    Raises:
        RequestError: 400 if it is malformed, 505 if it is of another major version.
    """
    first, *rest = [line.removesuffix(b"\r") for line in head.split(b"\n")]
    match = _REQUEST_LINE.fullmatch(first)
    if match is None:
        raise RequestError(400)
    method, target, major, minor = [part.decode("latin-1") for part in match.groups()]
    if major != "1":
        raise RequestError(505)
    fields = _fields(rest)
    keep_alive = _keeps_alive(minor, fields) and not _has_body(fields)
    return Request(PageRequest(method, *_path_and_query(target), fields), keep_alive)


def _fields(lines: list[bytes]) -> dict[str, str]:
    """Return the header fields by lower-case name; those of one name are joined with commas."""
    fields: dict[str, str] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise RequestError(400)
        name, value = [part.decode("latin-1") for part in match.groups()]
        name = name.lower()
        fields[name] = f"{fields[name]},{value}" if name in fields else value
    return fields


def _path_and_query(target: str) -> tuple[str, str]:
    """Split a target in origin form (`/metrics?x`) or absolute form (`http://host/metrics?x`)."""
    origin = _ORIGIN.match(target)
    path, _, query = (target[origin.end() :] if origin else target).partition("#")[0].partition("?")
    return path or "/", query


def _keeps_alive(minor: str, fields: dict[str, str]) -> bool:
    options = {option.strip().lower() for option in fields.get("connection", "").split(",")}
    return "close" not in options and (minor != "0" or "keep-alive" in options)


def _has_body(fields: dict[str, str]) -> bool:
    length = fields.get("content-length", "0").strip(" \t")
    if not (length.isascii() and length.isdigit()):
        raise RequestError(400)
    return "transfer-encoding" in fields or length.strip("0") != ""


def encode_head(page: Page, *, keep_alive: bool) -> bytes:
    """Return the head of the response that has this page."""
    fields = [
        ("Date", formatdate(usegmt=True)),
        *page.headers,
        *(() if page.is_open else (("Content-Length", str(len(page.body))),)),
        ("Connection", "keep-alive" if keep_alive else "close"),
    ]
    lines = [f"HTTP/1.1 {page.status} {HTTPStatus(page.status).phrase}", *[f"{name}: {value}" for name, value in fields]]
    return "\r\n".join([*lines, "", ""]).encode("ascii")
