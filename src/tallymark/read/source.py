"""`open_source`: metrics of another process, by the URL of an endpoint or the path of a file that processes share."""

from __future__ import annotations

import re
import ssl
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tallymark.client.address import Address, basic_credentials, looks_like_host
from tallymark.client.errors import AddressError
from tallymark.errors import SharedFileError
from tallymark.metric.shared.printable import printable
from tallymark.metric.snapshot import Snapshot
from tallymark.read.errors import ReadError
from tallymark.read.fetch import Fetcher
from tallymark.read.text import TextReader

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from tallymark.metric.shared.contents import LivingProcess
    from tallymark.read.fetch import Page

__all__ = ["Source", "open_source"]

MAX_BYTES = 64 * 2**20
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2


class Source(ABC):
    """Metrics of another process; a context manager.

    Attributes:
        name: the URL without its credentials, or the path. It can be printed.
        processes: those that had the shared file open when it was last read; empty for a URL, and before.
    """

    name: str
    processes: tuple[LivingProcess, ...] = ()

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Return the metrics as they are now. A family has the name that the endpoint shows, in `exposition_name` too.

        Raises:
            ReadError: they cannot be read now; the message tells why. Another try may succeed.
        """

    def close(self) -> None:  # noqa: B027  # nothing is kept open between two readings
        """Let go of what reading needs. A second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def open_source(
    text: str | os.PathLike[str],
    *,
    headers: Mapping[str, str] | None = None,
    basic_auth: tuple[str, str] | None = None,
    bearer_token: str = "",
    tls: ssl.SSLContext | None = None,
    timeout: float = 10.0,
    max_bytes: int = MAX_BYTES,
    clock: Callable[[], float] = time.time,
) -> Source:
    """Return where metrics can be read, which is not tried yet.

    Args:
        text: a URL (`http://` or `https://`; `/metrics` need not be said), a host and a port (`localhost:9464`), or the path
            of a file that processes share. A user and a password may stand in the URL.
        headers: further fields for each request.
        basic_auth: user and password for the endpoint.
        bearer_token: a token for the endpoint.
        tls: for `https://`; by default certificates are verified as the system does it.
        timeout: seconds for one reading of an endpoint.
        max_bytes: of a page, decompressed. A larger one is an error.
        clock: tells the time of a snapshot, in seconds since the epoch.

    Raises:
        ReadError: there is no such file, or the URL, a field or a credential is not valid.
        ValueError: both a user and a token are given.
    """
    given = str(text)
    if "://" not in given and (Path(given).exists() or not looks_like_host(given)):
        return _File(Path(given))
    try:
        address = Address.parse(given)
    except AddressError as error:
        raise ReadError(str(error)) from None
    fields = {**(headers or {}), **_authorization(address, basic_auth, bearer_token)}
    for name, value in fields.items():
        if not (_FIELD_NAME.fullmatch(name) and value.isascii() and value.isprintable()):
            raise ReadError(f"the field {printable(name)!r} of the request has characters that HTTP cannot carry, or no name")
    return _Endpoint(address, Fetcher(fields, tls, timeout, max_bytes), clock)


def _authorization(address: Address, basic_auth: tuple[str, str] | None, bearer_token: str) -> dict[str, str]:
    if basic_auth is not None and bearer_token:
        raise ValueError("an endpoint is given a user and a password, or a bearer token, not both")
    if bearer_token:
        return {"Authorization": f"Bearer {bearer_token}"}
    credentials = basic_credentials(*basic_auth) if basic_auth is not None else address.credentials
    return {"Authorization": credentials} if credentials else {}


class _File(Source):
    """A file that processes share."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise ReadError(f"{printable(str(path))}: no such file; for an endpoint, give a URL: http://HOST:PORT/metrics")
        self._path = path
        self.name = printable(str(path))

    def snapshot(self) -> Snapshot:
        from tallymark.metric.shared.contents import read_contents
        from tallymark.metric.shared.inspect import snapshot_of

        try:
            contents = read_contents(self._path)
        except SharedFileError as error:
            raise ReadError(str(error)) from None
        self.processes = contents.processes
        return snapshot_of(contents)


class _Endpoint(Source):
    """A Prometheus endpoint."""

    def __init__(self, address: Address, fetcher: Fetcher, clock: Callable[[], float]) -> None:
        self._candidates = _candidates(address)
        self._fetcher = fetcher
        self._clock = clock
        self._reader = TextReader()
        self.name = self._candidates[0].url

    def snapshot(self) -> Snapshot:
        now = self._clock()
        page = self._page()
        try:
            return Snapshot(self._reader.families(page.body), now)
        except ReadError as error:
            raise ReadError(f"{self.name}: {error}; is this the URL of its metrics?") from None

    def _page(self) -> Page:
        """Return the first page that has metrics, and ask for no other from then on."""
        troubles = []
        for address in self._candidates:
            page = self._fetcher.get(address)
            trouble = _trouble(page)
            if not trouble:
                self._candidates, self.name = [address], address.url
                return page
            troubles.append(f"{address.url} {trouble}")
        raise ReadError(f"{', and '.join(troubles)}; give the URL of its metrics")


def _candidates(address: Address) -> list[Address]:
    """Return where metrics are looked for, in order: most endpoints have them at `/metrics`, as people need not say."""
    path, _, query = address.target.partition("?")
    ending = f"?{query}" if query else ""
    if path.strip("/") == "":
        return [address.at(f"/metrics{ending}"), address.at(f"/{ending}")]
    if path.rstrip("/").endswith("/metrics"):
        return [address]
    return [address, address.at(f"{path.rstrip('/')}/metrics{ending}")]


def _trouble(page: Page) -> str:
    """Return what keeps a page from being read as metrics; "" if nothing is known to."""
    if not page.found:
        return "is not there (404)"
    told = page.content_type.partition(";")[0].strip().lower()
    if told in ("text/html", "application/xhtml+xml") or page.body.lstrip()[:1] == "<":
        return "is a web page (HTML)"
    if told in ("application/json", "application/vnd.google.protobuf"):
        return f"is not text of metrics ({told})"
    return ""
