"""`Fetcher`: gets the page of an endpoint over HTTP, within limits of time and size.

One connection is made for each page. No proxy is used, whatever the environment says: endpoints are near.
"""

from __future__ import annotations

import socket
import ssl
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from time import monotonic
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urljoin

from tallymark.frozen import Frozen
from tallymark.metric.shared.printable import printable
from tallymark.read.address import Address
from tallymark.read.body import read_body
from tallymark.read.deadline import Deadline, DeadlineSocket
from tallymark.read.errors import ReadError
from tallymark.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Fetcher", "Page"]

_ACCEPT = "text/plain;version=0.0.4, application/openmetrics-text;q=0.5, */*;q=0.1"
_REDIRECTS = 5
_MOVED = (301, 302, 303, 307, 308)


class Page(Frozen):
    """What an endpoint answered with status 200, or that it has nothing there (404)."""

    __slots__ = ("body", "content_type", "found")

    found: bool
    content_type: str
    body: str


class Fetcher:
    """Gets pages.

    Args:
        headers: further fields, which win over ours. They go to the host that is asked first and no other: they may be secret.
        tls: for `https://`; None: certificates are verified as the system does it.
        timeout: seconds for the whole page.
        max_bytes: of a page, decompressed.
    """

    def __init__(self, headers: Mapping[str, str], tls: ssl.SSLContext | None, timeout: float, max_bytes: int) -> None:
        self._own = {name.title(): value for name, value in headers.items()}
        self._tls = tls
        self._timeout = timeout
        self._max_bytes = max_bytes

    def get(self, address: Address) -> Page:
        """Return the page at an address.

        Raises:
            ReadError: there is none to be had; the message says why, and what to do.
        """
        deadline = Deadline(self._timeout, monotonic)
        first = address
        for _ in range(_REDIRECTS + 1):
            answer = self._answer(address, first.origin, deadline)
            if isinstance(answer, Page):
                return answer
            address = self._next(address, answer)
        raise ReadError(f"{first.url} redirects more than {_REDIRECTS} times; give the URL that it should lead to")

    def _next(self, address: Address, location: str) -> Address:
        if not location:
            raise ReadError(f"{address.url} redirects to nowhere; give the URL of the metrics")
        try:
            return Address.parse(urljoin(f"{address.scheme}://{address.netloc}{address.target}", location))
        except (ReadError, ValueError):
            raise ReadError(f"{address.url} redirects to {printable(location[:200])}, which is not a URL to read") from None

    def _answer(self, address: Address, trusted: tuple[str, str, int], deadline: Deadline) -> Page | str:
        """Return the page, or where it redirects to."""
        try:
            with self._connected(address, deadline) as sock:
                connection = HTTPConnection(address.host, address.port)
                connection.sock = cast("Any", DeadlineSocket(sock, deadline))
                connection.request("GET", address.target or "/", headers=self._fields(address, trusted))
                with connection.getresponse() as response:
                    return self._read(address, response)
        except ReadError:
            raise
        except TimeoutError:
            raise ReadError(f"{address.url} has not answered completely after {self._timeout:g} s; is it overloaded?") from None
        except (OSError, HTTPException, ValueError) as error:  # http.client raises ValueError for some broken answers
            raise ReadError(f"{address.url} {_trouble(address, error)}") from None

    def _connected(self, address: Address, deadline: Deadline) -> socket.socket:
        sock = socket.create_connection((address.host, address.port), timeout=deadline.left())
        try:
            if address.scheme == "https":
                sock.settimeout(deadline.left())
                context = self._tls or ssl.create_default_context()
                sock = context.wrap_socket(sock, server_hostname=address.host)
        except BaseException:
            sock.close()
            raise
        return sock

    def _fields(self, address: Address, trusted: tuple[str, str, int]) -> dict[str, str]:
        fields = {
            "Host": address.netloc, "Accept": _ACCEPT, "Accept-Encoding": "gzip", "Connection": "close",
            "User-Agent": f"tallymark/{__version__}",
        }  # fmt: skip
        return fields | self._own if address.origin == trusted else fields

    def _read(self, address: Address, response: HTTPResponse) -> Page | str:
        if response.status in _MOVED:
            return str(response.headers.get("Location", ""))
        if response.status == 404:
            return Page(False, "", "")
        if response.status != 200:
            raise ReadError(f"{address.url} answers {_status(response)}{_remedy(response.status)}")
        body = read_body(address.url, response, self._max_bytes)
        return Page(True, response.headers.get("Content-Type", ""), body)


def _status(response: HTTPResponse) -> str:
    return printable(f"{response.status} {response.reason[:60]}".rstrip())


def _remedy(status: int) -> str:
    match status:
        case 400:
            return ": it does not understand what it is asked; should it be https://?"
        case 401:
            return ": it asks for credentials; give a user and a password, or a bearer token"
        case 403:
            return ": it lets nobody in, or not with these credentials, or not under this name of its host"
        case _ if status >= 500:
            return ": it has failed; its log may tell why"
    return ": is this the URL of its metrics?"


def _trouble(address: Address, error: Exception) -> str:
    """Return what an error of the network or of HTTP means."""
    match error:
        case IncompleteRead():
            return "closed the connection before its page was complete; is it failing?"
        case ssl.SSLCertVerificationError():
            return f"has a certificate that is not trusted ({error.verify_message}); name the certificate of who issued it"
        case ssl.SSLError():
            return f"does not speak TLS ({printable(str(error.reason or error))}); try http://"
        case socket.gaierror():
            return f"cannot be reached: there is no host {printable(address.host)}"
        case ConnectionRefusedError():
            return "cannot be reached: nobody listens there; is the service running, and is the port right?"
        case ConnectionResetError() | BrokenPipeError():
            other = "http://" if address.scheme == "https" else "https://"
            return f"closed the connection without an answer; should it be {other}?"
        case OSError():
            return f"cannot be reached: {error.strerror or error}"
    what = printable(str(error).strip()[:80]) or type(error).__name__
    return f"does not answer in HTTP ({what}); is the port right?"
