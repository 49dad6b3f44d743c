"""`MetricsMiddleware`: the HTTP metrics of any ASGI application.

Source: the ASGI specification, version 3.0, and its protocols for HTTP and WebSocket.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tallymark.integrations.exchange import Exchange, error_type
from tallymark.integrations.http_metrics import HTTPMetrics
from tallymark.integrations.metrics_path import check_path, is_below
from tallymark.integrations.starlette_routes import StarletteRoutes, routed_app

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import TypeAlias

    from tallymark.integrations.http_metrics import Line, OwnTags
    from tallymark.metric.registry import Registry
    from tallymark.serve.asgi import ASGIApp, Message, Receive, Send
    from tallymark.serve.auth import Auth

    Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]
    RouteOf: TypeAlias = Callable[[Message], str | None]

__all__ = ["MetricsMiddleware"]

_SEEN = "tallymark.http"
"""In a scope: the registry that has this request already, as the application is within another one that is instrumented."""


class MetricsMiddleware:
    """An ASGI application around another one, of which it records the metrics of OpenTelemetry's HTTP conventions.

        app = MetricsMiddleware(app)                 # any ASGI application
        app.add_middleware(MetricsMiddleware)        # Starlette, FastAPI: within its handler of errors

    A request ends when the last byte of its response was handed over to the server, or its client has gone: what the
    application does later, such as background tasks, does not count. The handshake of a WebSocket is a request with the status
    101; what is sent through it later is not counted. All else, such as the lifespan, passes through.

    Args:
        app: the application.
        registry: where to record; by default the current registry.
        metrics_path: serve the pages of `tm.asgi_app` at this path, such as `"/metrics"`. They are not recorded.
        auth: what `metrics_path` asks of clients, as for `tm.asgi_app`.
        exclude: globs of routes or paths that are not recorded, such as `("/healthz", "/internal/*")`.
        tags: called with the scope and the message that began the response (None: there was none) of each request that ended;
            returns further tags. If it fails, the request is recorded without them.
        route: returns the template of a scope whose request was routed, None if none matched. By default Starlette's.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: `metrics_path` is not a path.
        MetricConflictError: a metric of the convention's name exists, and differs.
    """

    def __init__(
        self,
        app: Application,
        *,
        registry: Registry | None = None,
        metrics_path: str | None = None,
        auth: Auth | None = None,
        exclude: Iterable[str] = (),
        tags: OwnTags | None = None,
        route: RouteOf | None = None,
    ) -> None:
        self.app = app
        self.is_on = True
        self.metrics = HTTPMetrics(registry, exclude=exclude, tags=tags)
        self._route = route
        self._excludes = self.metrics.excludes or None
        self._pages = _Pages(metrics_path, self.metrics.registry, auth) if metrics_path is not None else None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if (kind != "http" and kind != "websocket") or not self.is_on or scope.get(_SEEN) is self.metrics.registry:
            await self.app(scope, receive, send)
            return
        if self._pages is not None and kind == "http" and self._pages.has(scope):
            await self._pages.answer(scope, receive, send)
            return
        if self._excludes is not None and self._excludes(scope["path"]):
            await self.app(scope, receive, send)
            return
        route = self._route or self._find_routes(scope)
        scope[_SEEN] = self.metrics.registry
        exchange = (_Request if kind == "http" else _Handshake)(self.metrics, route, scope, receive, send)
        try:
            await self.app(scope, exchange, exchange)
        except BaseException as error:
            if exchange.is_open:
                exchange.failed(error)
            raise
        if exchange.is_open:
            exchange.returned()

    def _find_routes(self, scope: Message) -> RouteOf:
        """Return how to name routes, as the application is not known before its first request."""
        owner = scope.get("app") or routed_app(self.app)
        self._route = _no_route if owner is None else StarletteRoutes(owner).template
        return self._route

    def __repr__(self) -> str:
        return f"<MetricsMiddleware of {self.app!r}>"


class _Request(Exchange):
    """A request under way. It is what the application calls as `receive()` and as `send(message)`: one object for both."""

    __slots__ = ("_receive", "_route_of", "_scope", "_send", "_start")

    received: int

    def __init__(self, metrics: HTTPMetrics, route: RouteOf, scope: Message, receive: Receive, send: Send) -> None:
        super().__init__(metrics, self._line_of(metrics, scope))
        self._route_of = route
        self._scope = scope
        self._receive = receive
        self._send = send
        self._start: Message | None = None

    @staticmethod
    def _line_of(metrics: HTTPMetrics, scope: Message) -> Line:
        return metrics.line(scope["method"], scope.get("scheme", "http"), scope.get("http_version", "1.1"))

    def __call__(self, message: Message | None = None) -> Awaitable[Any]:
        if message is None:
            return self._take() if self.is_open else self._receive()
        if self.is_open:
            kind = message["type"]
            if kind == "http.response.body":
                body = message.get("body")
                if body and self.sent is not None:
                    self.sent += len(body)
                return self._hand_over(message, not message.get("more_body"))
            if kind == "http.response.start":
                self._begin(message)
            elif kind == "http.response.pathsend" or kind == "http.response.zerocopysend":
                self.sent = None  # the server reads it
                return self._hand_over(message, not message.get("more_body"))
        return self._send(message)

    def _begin(self, message: Message) -> None:
        if self._start is None:
            self._start = message
            self.status = _status(message)

    async def _take(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.received += len(message.get("body") or b"")
        elif message["type"] == "http.disconnect":
            self.finish()
        return message

    async def _hand_over(self, message: Message, is_last: bool) -> None:
        try:
            await self._send(message)
        except OSError:  # the client has gone
            self.finish()
            raise
        if is_last:
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

    def find_route(self) -> str | None:
        try:
            return self._route_of(self._scope)
        except Exception as error:
            self._metrics.failed("route", error)
            return None

    def subject(self) -> tuple[object, object]:
        return self._scope, self._start

    def finish(self) -> None:
        if self.sent and self._scope.get("method") == "HEAD":
            self.sent = 0  # servers drop it
        Exchange.finish(self)


class _Handshake(_Request):
    """The handshake of a WebSocket under way: a request that ends when it is accepted or refused."""

    __slots__ = ()

    @staticmethod
    def _line_of(metrics: HTTPMetrics, scope: Message) -> Line:
        return metrics.line("GET", scope.get("scheme", "ws"), scope.get("http_version", "1.1"))

    def __call__(self, message: Message | None = None) -> Awaitable[Any]:
        if not self.is_open:
            return self._receive() if message is None else self._send(message)
        if message is None:
            return self._take()
        kind = message["type"]
        if kind == "websocket.accept":
            return self._answer(message, 101)
        if kind == "websocket.close":
            return self._answer(message, 403)
        if kind == "websocket.http.response.start":  # an extension: the application refuses with a response of its own
            self._begin(message)
        elif kind == "websocket.http.response.body":
            self.sent += len(message.get("body") or b"")  # type: ignore[operator]  # only a file's is not known
            return self._hand_over(message, not message.get("more_body"))
        return self._send(message)

    async def _take(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self.finish()
        return message

    def _answer(self, message: Message, status: int) -> Awaitable[None]:
        if self._start is None:
            self._start = message
            self.status = status
        return self._hand_over(message, True)


class _Pages:
    """The pages of a registry at a path of the application's."""

    def __init__(self, path: str, registry: Registry, auth: Auth | None) -> None:
        from tallymark.serve.asgi import asgi_app

        self._path = check_path(path)
        self._app: ASGIApp = asgi_app(registry, auth)

    def has(self, scope: Message) -> bool:
        return is_below(self._path, _path_of(scope))

    async def answer(self, scope: Message, receive: Receive, send: Send) -> None:
        scope = dict(scope)
        path = _path_of(scope)
        prefix = scope.get("root_path", "").rstrip("/") + self._path
        await self._app({**scope, "root_path": prefix, "path": prefix + path[len(self._path) :]}, receive, send)


def _path_of(scope: Message) -> str:
    """Return the path of a request as the application sees it: without what its server has taken away, or should have."""
    path: str = scope["path"]
    prefix = scope.get("root_path", "").rstrip("/")
    return path[len(prefix) :] if prefix and is_below(prefix, path) else path


def _status(message: Message) -> int | None:
    status = message.get("status")
    return int(status) if isinstance(status, int) and 100 <= status <= 999 else None


def _handled_error() -> str:
    """Return the `error.type` of the exception that is being handled, where a framework answers it before it goes on."""
    error = sys.exc_info()[1]
    return error_type(error) if error is not None and not hasattr(error, "status_code") else ""


def _no_route(scope: Message) -> None:
    return None
