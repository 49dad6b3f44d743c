"""`Request` and `Handshake`: what an ASGI application has under way; and `requests_of`, which begins them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tallymark.integrations.compiled import clock_in_c, compiled_for
from tallymark.integrations.exchange import Exchange, error_type
from tallymark.integrations.http_metrics import CLAIM

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from tallymark.integrations.exchange import RouteOf
    from tallymark.integrations.http_metrics import HTTPMetrics, Line
    from tallymark.serve.asgi import Message, Receive, Send

__all__ = ["Handshake", "Request", "Requests", "requests_of"]


class Request(Exchange):
    """A request under way, whose methods `receive` and `send` an application gets instead of its server's.

    With the native engine, `native/asgi.c` does the same.
    """

    __slots__ = ("_receive", "_send", "_start")

    received: int
    _receive: Receive
    _route_of: RouteOf
    _send: Send
    _start: Message | None

    def __init__(self, metrics: HTTPMetrics, line: Line, route: RouteOf, scope: Message, receive: Receive, send: Send) -> None:
        super().__init__(metrics, line)
        self.request = scope
        self._route_of = route
        self._receive = receive
        self._send = send
        self._start = None

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
        self.finish()

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


class Requests:
    """Begins the requests of one middleware.

    Args:
        route: returns the template of a scope whose request was routed; it must not raise.
        find_line: returns the line of a scope.
    """

    def __init__(self, route: RouteOf, find_line: Callable[[Message], Line]) -> None:
        self.route = route
        self._find_line = find_line

    def __call__(self, metrics: HTTPMetrics, scope: Message, receive: Receive, send: Send) -> Request | None:
        """Return a request that is under way from now on; None if it is not recorded here: another one does, or it is none."""
        kind = scope["type"]
        if kind != "http" and kind != "websocket":
            return None
        if scope.setdefault(CLAIM, metrics) is not metrics and not metrics.claim(scope):
            return None
        made = Request if kind == "http" else Handshake
        return made(metrics, self._find_line(scope), self.route, scope, receive, send)


def requests_of(metrics: HTTPMetrics, route: RouteOf, find_line: Callable[[Message], Line], clock: Callable[[], float]) -> Any:
    """Return what begins the requests of one middleware: `Requests`, or what does the same in C."""
    requests = Requests(route, find_line)
    compiled = compiled_for(metrics.registry)
    if compiled is None:
        return requests
    return compiled.Requests(
        route=route, find_line=find_line, otherwise=requests, helper=Request._take, error_type=error_type,
        handled_error=_handled_error, clock=clock_in_c(clock),
    )  # fmt: skip
