"""`Fetcher`: gets the page of an endpoint over HTTP, within limits of time and size.

One connection is made for each page. No proxy is used, whatever the environment says: endpoints are near.
"""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException, HTTPResponse
from time import monotonic
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urljoin

from tallymark.client.address import Address
from tallymark.client.connect import connect, trouble
from tallymark.client.deadline import Deadline, DeadlineSocket
from tallymark.frozen import Frozen
from tallymark.metric.shared.printable import printable
from tallymark.read.body import read_body
from tallymark.read.errors import ReadError
from tallymark.version import __version__

if TYPE_CHECKING:
    import ssl
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
        except ValueError:
            raise ReadError(f"{address.url} redirects to {printable(location[:200])}, which is not a URL to read") from None

    def _answer(self, address: Address, trusted: tuple[str, str, int], deadline: Deadline) -> Page | str:
        """Return the page, or where it redirects to."""
        try:
            with connect(address, deadline, self._tls) as sock:
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
            raise ReadError(f"{address.url} {trouble(address, error)}") from None

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
