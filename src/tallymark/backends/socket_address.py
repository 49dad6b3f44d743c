"""`SocketAddress`: where a server without HTTP is: a host and a port, or the path of a Unix socket."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tallymark.client.address import without_secrets
from tallymark.client.errors import AddressError
from tallymark.frozen import Frozen
from tallymark.metric.shared.printable import printable
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["SocketAddress"]

_SCHEMES = {"udp": "udp", "tcp": "tcp", "unix": "unixgram", "unixgram": "unixgram", "unixstream": "unixstream"}
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[\w.-]*)(:\d{1,5})?", re.ASCII)
_LONGEST_PATH = 107
"""Bytes of the path of a Unix socket (unix(7))."""
_FORMS = "write it as HOST:PORT, udp://HOST:PORT, tcp://HOST:PORT, unix:///PATH or unixstream:///PATH"


class SocketAddress(Frozen):
    """Where a server listens.

    Attributes:
        kind: `"udp"`, `"tcp"`, `"unixgram"` or `"unixstream"`.
        host: empty for a Unix socket, as the port is 0 then.
        path: of a Unix socket.
    """

    __slots__ = ("host", "kind", "path", "port")

    kind: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str, port: int) -> SocketAddress:
        """Return the address that a text means. Without a scheme it is for UDP; `:8125` is on this machine.

        Args:
            port: of an address that names none.

        Raises:
            AddressError: it is no such address.
            TypeError: it is not text.
        """
        check_type("address", text, str)
        url = f"udp://{text}" if _HOST.fullmatch(text) and text and not text.isdigit() else text
        try:
            parts = urlsplit(url)
            found = parts.port
        except ValueError as error:  # whose message may have what was taken for the port
            raise _wrong(text, "" if "@" in text else str(error)) from None
        if parts.scheme not in _SCHEMES or not url.isprintable():
            raise _wrong(text, "")
        if _SCHEMES[parts.scheme].startswith("unix"):
            return cls(_SCHEMES[parts.scheme], "", 0, _path(text, parts))
        host = parts.hostname or ("127.0.0.1" if parts.netloc.startswith(":") else "")
        rest = f"{parts.path.strip('/')}{parts.query}{parts.fragment}"
        if not host or found == 0 or rest or not _HOST.fullmatch(parts.netloc):
            raise _wrong(text, "")
        return cls(_SCHEMES[parts.scheme], host, port if found is None else found, "")

    @property
    def is_stream(self) -> bool:
        """Return True if bytes arrive in one stream; False if datagrams do, each whole or not at all."""
        return self.kind in ("tcp", "unixstream")

    @property
    def text(self) -> str:
        """The address for people."""
        if self.path:
            return printable(f"{self.kind}://{self.path}")
        return printable(f"{self.kind}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}")


def _path(text: str, parts: SplitResult) -> str:
    path = f"{parts.path}{f'?{parts.query}' if parts.query else ''}{f'#{parts.fragment}' if parts.fragment else ''}"
    if parts.netloc or not path.startswith("/") or path == "/":
        raise _wrong(text, "the path of a Unix socket begins with a slash: unix:///var/run/…")
    if len(path.encode("utf-8", "surrogateescape")) > _LONGEST_PATH:
        raise _wrong(text, f"the path of a Unix socket has {_LONGEST_PATH} bytes at most")
    return path


def _wrong(text: str, reason: str) -> AddressError:
    shown = without_secrets(text)[:300]
    return AddressError(f"{shown!r} is not the address of a StatsD server{f' ({reason})' if reason else ''}: {_FORMS}")
