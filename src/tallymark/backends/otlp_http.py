"""`HTTPWire`: OTLP over HTTP, in protobuf.

Source: https://opentelemetry.io/docs/specs/otlp/, section "OTLP/HTTP".
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from tallymark.backends.answers import check_answer
from tallymark.backends.otlp_answer import words_of_status
from tallymark.client.errors import ClientError
from tallymark.client.http import HTTPClient
from tallymark.frozen import replace
from tallymark.report.errors import SendError, TooLargeError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from tallymark.client.address import Address
    from tallymark.client.deadline import Deadline
    from tallymark.client.http import Answer

__all__ = ["HTTPWire"]

_LATER = (429, 502, 503, 504)
"""What may be sent again, and nothing else."""
_LEVEL = 3
"""Of compression: labels repeat, so that higher levels save little, and take their time."""
_GZIP = 16 + zlib.MAX_WBITS


class HTTPWire:
    """Sends messages to one server. For one thread at a time.

    Args:
        address: of the server.
        headers: fields of every request.
        tls: for `https://`.
        compression: `none`, or `gzip`.
    """

    def __init__(self, address: Address, headers: Mapping[str, str], tls: ssl.SSLContext | None, compression: str) -> None:
        self._address = address
        self._client = HTTPClient(address, headers, tls)
        self._fields = {"Content-Type": "application/x-protobuf"}
        self._compresses = compression == "gzip"
        if self._compresses:
            self._fields["Content-Encoding"] = "gzip"

    def send(self, message: bytes, deadline: Deadline) -> tuple[bytes, int]:
        """Return the server's answer, and how many bytes were sent.

        Raises:
            TooLargeError: it was too much at once.
            SendError: it was not taken, or nobody knows.
        """
        body = _compressed(message) if self._compresses else message
        try:
            answer = self._client.request("POST", self._address.target, body, self._fields, deadline)
        except ClientError as error:
            raise SendError(str(error)) from error
        _check(self._address, answer)
        return answer.body, len(body)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def forget(self) -> None:
        """In a forked child: give up the parent's connection, which stays open."""
        self._client.close()


def _compressed(message: bytes) -> bytes:
    compressor = zlib.compressobj(_LEVEL, wbits=_GZIP)
    return compressor.compress(message) + compressor.flush()


def _check(address: Address, answer: Answer) -> None:
    if answer.status >= 400 and "protobuf" in (answer.headers.get("Content-Type") or ""):
        answer = replace(answer, body=words_of_status(answer.body))
    try:
        check_answer(address, answer)
    except TooLargeError:
        raise
    except SendError as error:
        if error.again and answer.status not in _LATER:
            raise SendError(str(error), again=False) from None
        raise
