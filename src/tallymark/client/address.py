"""`Address`: where a server is, from what people write: a URL, or a host and a port."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from tallymark.client.errors import AddressError
from tallymark.frozen import Frozen
from tallymark.metric.shared.printable import printable

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["Address", "basic_credentials", "looks_like_host", "without_secrets"]

_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]*):\d{1,5}(/.*)?", re.ASCII)
_SCHEMES = {"http": 80, "https": 443}
_BEFORE_HOST = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://|//|).*@", re.DOTALL)
_SECRET_FIELD = re.compile(r"([?&](?:p|[^=&#]*(?:pass|pwd|secret|token|key|auth|sig)[^=&#]*)=)[^&#]+", re.IGNORECASE)
"""A field of a query that is called like a secret; `p` is the password of InfluxDB 1."""


def looks_like_host(text: str) -> bool:
    """Return True for a host and a port, without a scheme: `localhost:9464`, `:9464`, `[::1]:9464/metrics`."""
    return _HOST_AND_PORT.fullmatch(text) is not None


class Address(Frozen):
    """A URL in parts.

    Attributes:
        target: path and query, as a request has them.
        credentials: the value of the field `Authorization` for a user and password that the URL named; "" if it named none.
    """

    __slots__ = ("credentials", "host", "port", "scheme", "target")

    scheme: str
    host: str
    port: int
    target: str
    credentials: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address that a URL means. `:9464` is on this machine.

        Raises:
            AddressError: it is not the URL of an HTTP server.
        """
        if looks_like_host(text):
            text = f"http://{'127.0.0.1' if text.startswith(':') else ''}{text}"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:  # whose message has what was taken for the port, which may be a password
            reason = "" if "@" in text else f": {error}"
            raise AddressError(f"{without_secrets(text)} is not a URL{reason}") from None
        if parts.scheme not in _SCHEMES:
            raise AddressError(f"{without_secrets(text)}: only http:// and https:// can be used")
        if not parts.hostname or not _is_sendable(text):
            raise AddressError(f"{without_secrets(text)} is not a URL: write it as http://HOST:PORT/PATH")
        target = urlunsplit(("", "", parts.path, parts.query, ""))
        return cls(parts.scheme, parts.hostname, _SCHEMES[parts.scheme] if port is None else port, target, _basic(parts))

    @property
    def origin(self) -> tuple[str, str, int]:
        """To whom credentials may be sent: they are not for another host."""
        return self.scheme, self.host, self.port

    @property
    def netloc(self) -> str:
        """Host and port as a URL has them; the port only if it is not that of the scheme."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _SCHEMES[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address for people: without credentials, which a query may have too."""
        return printable(f"{self.scheme}://{self.netloc}{_without_fields(self.target)}")

    def at(self, target: str) -> Address:
        """Return the same server at another path."""
        return Address(self.scheme, self.host, self.port, target, self.credentials)

    def __repr__(self) -> str:
        return f"<Address {self.url}>"


def _is_sendable(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _basic(parts: SplitResult) -> str:
    if parts.username is None:
        return ""
    return basic_credentials(unquote(parts.username), unquote(parts.password or ""))


def basic_credentials(user: str, password: str) -> str:
    """Return the value of the field `Authorization` (RFC 7617)."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def without_secrets(text: str) -> str:
    """Return an address for people, whatever is wrong with it: printable, without a user, a password, or a token in a query."""
    return printable(_without_fields(_BEFORE_HOST.sub(r"\1…@", text, count=1)))


def _without_fields(text: str) -> str:
    return _SECRET_FIELD.sub(r"\1…", text)
