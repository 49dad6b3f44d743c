"""`Request` and `Handshake`: what an ASGI application has under way."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import TYPE_CHECKING

from tallymark.integrations.exchange import Exchange, error_type

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tallymark.integrations.exchange import RouteOf
    from tallymark.serve.asgi import Message, Receive, Send

__all__ = ["Handshake", "Request"]


class Request(Exchange):
    """A request under way, whose methods `receive` and `send` an application gets instead of its server's."""

    __slots__ = ("_receive", "_send", "_start")

    received: int
    _receive: Receive
    _route_of: RouteOf
    _send: Send
    _start: Message | None

    def receive(self) -> Awaitable[Message]:
        """Take a message of the client."""
        return self._take() if self.is_open else self._receive()

    def send(self, message: Message) -> Awaitable[None]:
        """Hand a message over to the server."""
        if self.is_open:
            kind = message["type"]
            if kind == "http.response.body":
                body = message.get("body")
                if body and self.sent is not None:
                    self.sent += len(body)
                return self._hand_over(message) if message.get("more_body") else self._end_with(message)
            if kind == "http.response.start":
                if self._start is None:
                    self.status = message["status"]
                    self._start = message
            elif kind == "http.response.pathsend" or kind == "http.response.zerocopysend":
                self.sent = None  # the server reads it
                return self._hand_over(message) if message.get("more_body") else self._end_with(message)
        return self._send(message)

    async def _take(self) -> Message:
        message = await self._receive()
        kind = message["type"]
        if kind == "http.request":
            self.received += len(message.get("body") or b"")
        elif kind == "http.disconnect" or kind == "websocket.disconnect":
            self.finish()
        return message

    async def _hand_over(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:  # the client has gone
            self.finish()
            raise

    async def _end_with(self, message: Message) -> None:
        """Hand over the last part of a response, and end the request."""
        try:
            await self._send(message)
        except OSError:  # the client has gone
            self.finish()
            raise
        if self.status == 500 and not self.error:
            self.error = _handled_error()
        if not self.is_open:
            return
        # As `finish` does. Its call, and its questions that have one answer here, take nearly one microsecond of seven.
        self.is_open = False
        seconds = perf_counter() - self._started
        line = self._line
        line.end()
        route = self._route_of(self.request)
        try:
            record, receive, send = line.known[self.error][route][self.status]
        except (KeyError, TypeError):
            record, receive, send = line.series(self.error, route, self.status, self)
        record(seconds)
        receive(self.received)
        if self.sent is not None:
            send(self.sent)

    def failed(self, error: BaseException) -> None:
        """End the request: the application raised before it had answered."""
        self.error = error_type(error)
        if self.status is None and self.error:
            self.status, self.sent = 500, None  # as the server answers now
        self.finish()

    def returned(self) -> None:
        """End the request: the application returned before it had answered."""
        if self.status is None:
            self.status, self.sent = 500, None  # as the server answers now
        else:
            self.error = "incomplete_response"
        self.finish()

    def subject(self) -> tuple[object, object]:
        return self.request, self._start


class Handshake(Request):
    """The handshake of a WebSocket under way: a request that ends when it is accepted or refused."""

    __slots__ = ()

    def send(self, message: Message) -> Awaitable[None]:
        """Hand a message over to the server."""
        if self.is_open:
            kind = message["type"]
            if kind == "websocket.accept" or kind == "websocket.close":
                self._begin(message, 101 if kind == "websocket.accept" else 403)
                return self._end_with(message)
            if kind == "websocket.http.response.start":  # an extension: the application refuses with a response of its own
                self._begin(message, message["status"])
            elif kind == "websocket.http.response.body":
                self.sent = (self.sent or 0) + len(message.get("body") or b"")
                return self._hand_over(message) if message.get("more_body") else self._end_with(message)
        return self._send(message)

    def _begin(self, message: Message, status: int) -> None:
        if self._start is None:
            self._start = message
            self.status = status


def _handled_error() -> str:
    """Return the `error.type` of the exception that is being handled, where a framework answers it before it goes on."""
    error = sys.exc_info()[1]
    return error_type(error) if error is not None and not hasattr(error, "status_code") else ""
