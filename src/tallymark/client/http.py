"""`HTTPClient`: asks one server, over one connection that is kept while both sides want it."""

from __future__ import annotations

from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING

from tallymark.client.connect import connect, trouble
from tallymark.client.deadline import has_arrived
from tallymark.client.errors import ClientError
from tallymark.client.exchange import exchange
from tallymark.client.fields import checked_fields
from tallymark.frozen import Frozen
from tallymark.version import __version__

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Mapping
    from email.message import Message

    from tallymark.client.address import Address
    from tallymark.client.deadline import Deadline

__all__ = ["Answer", "HTTPClient"]

_LONGEST_ANSWER = 65536


class Answer(Frozen):
    """What a server answered.

    Attributes:
        body: its first 65,536 bytes.
    """

    __slots__ = ("body", "headers", "status")

    status: int
    headers: Message
    body: bytes


class HTTPClient:
    """Sends requests to a server. For one thread at a time.

    Redirects are not followed: what is sent may be secret, and is meant for this server.

    Args:
        address: of the server; its credentials are sent, unless `headers` has others.
        headers: fields of every request; they win over ours.
        tls: for `https://`; None: certificates are verified as the system does it.

    Raises:
        TypeError: a field is not text.
        ValueError: a field cannot be sent.
    """

    def __init__(self, address: Address, headers: Mapping[str, str] | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.address = address
        self._tls = tls
        self._fields = {"Host": address.netloc, "User-Agent": f"tallymark/{__version__}"}
        if address.credentials:
            self._fields["Authorization"] = address.credentials
        self._fields |= checked_fields(headers)
        self._socket: socket.socket | None = None

    def request(self, method: str, target: str, body: bytes, headers: Mapping[str, str], deadline: Deadline) -> Answer:
        """Return what the server answers.

        Where a connection that was kept turns out to be closed, the request is sent once more over a new one.

        Raises:
            ClientError: it did not answer in HTTP, or not by the deadline.
        """
        fields = {**self._fields, **{name.title(): value for name, value in headers.items()}}
        try:
            kept = self._kept()
            if kept is not None:
                with suppress(ConnectionError, HTTPException):
                    return self._ask(kept, method, target, body, fields, deadline)
            self._socket = connect(self.address, deadline, self._tls)
            return self._ask(self._socket, method, target, body, fields, deadline)
        except TimeoutError:
            raise ClientError(f"{self.address.url} has not answered in time; is it overloaded?") from None
        except (OSError, HTTPException, ValueError) as error:  # http.client raises ValueError for some broken answers
            raise ClientError(f"{self.address.url} {trouble(self.address, error)}") from error

    def _kept(self) -> socket.socket | None:
        """Return the connection, if it can be used again."""
        if self._socket is not None and has_arrived(self._socket):  # it was closed, or says something that was not asked for
            self.close()
        return self._socket

    def _ask(
        self, sock: socket.socket, method: str, target: str, body: bytes, fields: dict[str, str], deadline: Deadline
    ) -> Answer:
        try:
            with exchange(sock, self.address.host, method, target, body, fields, deadline) as response:
                return self._read(sock, response)
        except BaseException:
            self._drop(sock)
            raise

    def _read(self, sock: socket.socket, response: HTTPResponse) -> Answer:
        body, length = bytearray(_LONGEST_ANSWER), 0
        is_whole = False
        with suppress(OSError, HTTPException, ValueError):  # the status is known, and tells what matters
            length = response.readinto(body)  # `read` takes all that comes for a chunk whose length is below 0
            is_whole = response.isclosed()
        if response.will_close or not is_whole:  # what was not read would be taken for the next answer
            self._drop(sock)
        return Answer(response.status, response.headers, bytes(body[:length]))

    def _drop(self, sock: socket.socket) -> None:
        """Close a connection, which need not be the present one: in a forked child, a greenlet of gevent's goes on with it."""
        if self._socket is sock:
            self._socket = None
        sock.close()

    def close(self) -> None:
        """Close the connection. It may be called again, and in a forked child, where the parent's stays open."""
        kept, self._socket = self._socket, None
        if kept is not None:
            kept.close()
