"""`TLSTransport`: TLS between a connection and its socket.

asyncio has such a layer too. But each of its connections holds 0.3 MB, is not known to us before the handshake is over, so that
it can be neither counted nor closed, and goes in silence where TLS has an alert that names the reason.

This one adds no state to a connection: the handshake is a part of awaiting the first head, and has the same deadline. For
itself it holds a record of 16 KiB in each direction, and no more than `head_bytes` that arrived.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from tallymark.serve.pages import error_page

if TYPE_CHECKING:
    from tallymark.serve.connection import Connection
    from tallymark.serve.endpoint import Endpoint

    Buffer = bytes | bytearray | memoryview

__all__ = ["TLSTransport"]

_PLAIN_HTTP = ("HTTP_REQUEST", "HTTPS_PROXY_REQUEST")
_NOT_TLS = error_page(400, remedy="this port speaks TLS. Use https://")


class TLSTransport(asyncio.Transport, asyncio.BufferedProtocol):
    """The transport of a connection, and the protocol of its socket's transport.

    Args:
        connection: who sends and receives.
        context: has the certificate.
    """

    _socket: asyncio.Transport

    def __init__(self, connection: Connection, endpoint: Endpoint, context: ssl.SSLContext) -> None:
        super().__init__()
        self._connection = connection
        self._received = endpoint.received
        self._loop = endpoint.loop
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._shaken = False  # the handshake is over
        self._plain = False  # the client speaks plain HTTP, and is told so
        self._ended = False  # what arrives is discarded
        self._reading = True  # the connection takes what arrives
        self._blocked = False  # the kernel has not taken all that it was given
        self._awaited = False  # the connection is to be told when it has

    # As the protocol of the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.Transport, transport)
        self._connection.connection_made(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._connection.connection_lost(error)
        del self._connection  # which holds this: what OpenSSL needs is to be freed now, not when cycles are collected

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._received

    def buffer_updated(self, nbytes: int) -> None:
        if not self._ended:
            self._incoming.write(self._received[:nbytes])
            self._advance()

    def pause_writing(self) -> None:
        self._blocked = True
        self._socket.pause_reading()  # else what TLS answers by itself would grow, for a client that only sends

    def resume_writing(self) -> None:
        self._blocked = False
        if self._reading:
            self._socket.resume_reading()
        if self._awaited:
            self._awaited = False
            self._connection.resume_writing()

    def _advance(self) -> None:
        """Go on with the handshake, and give the connection what has arrived for it, as long as it reads."""
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
            while self._reading and not self._ended:
                size = cast(int, self._tls.read(len(self._received), self._received))
                if size == 0:
                    self.close()
                    return
                self._connection.buffer_updated(size)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._reject(error)
        self._flush()

    def _reject(self, error: ssl.SSLError) -> None:
        """Tell a client that its bytes are not TLS, or no TLS that is spoken here, and let it close."""
        if error.reason in _PLAIN_HTTP and not self._shaken:
            self._plain = True
            self._connection.reject(_NOT_TLS)
        else:
            self.write_eof()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._plain:
            self._socket.write(self._outgoing.read())

    # As the transport of the connection

    def write(self, data: Buffer) -> None:
        if self._plain:
            self._socket.write(data)
        else:
            self._encrypt(memoryview(data))
        if self._blocked:
            self._awaited = True
            self._connection.pause_writing()

    def _encrypt(self, data: memoryview) -> None:
        try:
            while data:
                data = data[self._tls.write(data) :]
                self._flush()  # each record, so that no more than one is held
        except ssl.SSLError:  # the client has ended TLS
            self._connection.abort()

    def write_eof(self) -> None:
        if not self._plain:
            with suppress(ssl.SSLError):  # it would await the client's end
                self._tls.unwrap()
            self._flush()
        self._ended = True
        with suppress(OSError):  # the client may be gone
            self._socket.write_eof()

    def close(self) -> None:
        self.write_eof()
        self._socket.close()

    def abort(self) -> None:
        self._ended = True
        self._socket.abort()

    def is_closing(self) -> bool:
        return self._socket.is_closing()

    def is_reading(self) -> bool:
        return self._reading and not self._socket.is_closing()

    def pause_reading(self) -> None:
        self._reading = False
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        self._reading = True
        self._loop.call_soon(self._resume)

    def _resume(self) -> None:
        if self._reading and not self._ended:
            self._advance()  # with what arrived before reading was paused
        if self._reading and not self._blocked:
            self._socket.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._socket.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._socket.get_write_buffer_size()
