"""One request and its answer over a connection."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException, HTTPResponse, parse_headers
from typing import TYPE_CHECKING, Any, cast

from tallymark.client.deadline import DeadlineSocket

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from tallymark.client.deadline import Deadline

__all__ = ["exchange"]

_INTERIM = 20
"""Answers before the final one, such as 103 Early Hints."""


_ANY_PORT = 80
"""The connection is there already. Without one, a port would be looked for in the host."""


class _Response(HTTPResponse):
    """One that knows that any answer from 100 to 199 is not the final one (RFC 9110, 15.2)."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200:
                return version, status, reason
            parse_headers(self.fp)
        raise HTTPException("no final answer")


def exchange(
    sock: socket.socket, host: str, method: str, target: str, body: bytes, fields: Mapping[str, str], deadline: Deadline
) -> HTTPResponse:
    """Send a request, and return the answer, of which the head was read.

    A server that takes no more, and answers before it has read all, is heard.

    Raises:
        HTTPException: what comes is not an answer.
        OSError: none comes; `TimeoutError` if not by the deadline.
    """
    connection = HTTPConnection(host, _ANY_PORT)
    connection.response_class = _Response
    limited = DeadlineSocket(sock, deadline, hears_answers=True)
    connection.sock = cast("Any", limited)
    try:
        connection.request(method, target or "/", body=body, headers=fields)
    except ConnectionError as error:
        try:
            response = connection.getresponse()
        except (OSError, HTTPException):
            raise error from None
    else:
        response = connection.getresponse()
    if not limited.all_sent:
        response.will_close = True
    return response
