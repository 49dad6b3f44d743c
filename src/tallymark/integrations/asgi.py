"""`MetricsMiddleware`: the HTTP metrics of any ASGI application.

Source: the ASGI specification, version 3.0, and its protocols for HTTP and WebSocket.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from tallymark.integrations.asgi_exchanges import requests_of
from tallymark.integrations.http_metrics import HTTPMetrics
from tallymark.integrations.metrics_path import check_path, is_below
from tallymark.integrations.starlette_routes import StarletteRoutes, routed_app

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import TypeAlias

    from tallymark.integrations.exchange import RouteOf
    from tallymark.integrations.http_metrics import Line, OwnTags
    from tallymark.metric.registry import Registry
    from tallymark.serve.asgi import ASGIApp, Message, Receive, Send
    from tallymark.serve.auth import Auth

    Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

__all__ = ["MetricsMiddleware"]


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
        self.metrics = HTTPMetrics(registry, exclude=exclude, tags=tags)
        named = self._first_route if route is None else self.metrics.guarded(route)
        self._begin = requests_of(self.metrics, named, self._line, perf_counter)
        self._pages = _Pages(metrics_path, self.metrics.registry, auth) if metrics_path is not None else None
        self._is_off = False
        self._asks_first = self._pages is not None or bool(self.metrics.excludes)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if self._asks_first and (instead := self._instead(scope)) is not None:
            await instead(scope, receive, send)
            return
        request = self._begin(self.metrics, scope, receive, send)
        if request is None:
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, request.receive, request.send)
        except BaseException as error:
            if request.is_open:
                request.failed(error)
            raise
        if request.is_open:
            request.returned()

    def switch_off(self) -> None:
        """Record no more requests. The application answers as before."""
        self._is_off = self._asks_first = True

    def _instead(self, scope: Message) -> Application | None:
        """Return who answers a scope that is not measured; None if it is."""
        kind = scope["type"]
        if self._is_off or (kind != "http" and kind != "websocket"):
            return self.app
        if self._pages is not None and kind == "http" and self._pages.has(scope):
            return self._pages.answer
        if self.metrics.excludes(scope["path"]):
            return self.app
        return None

    def _line(self, scope: Message) -> Line:
        """Return the line of a scope of unknown values; a WebSocket begins with a request that has no method here: GET."""
        scheme = "http" if scope["type"] == "http" else "ws"
        return self.metrics.line(scope.get("method", "GET"), scope.get("scheme", scheme), scope.get("http_version", ""))

    def _first_route(self, scope: Message) -> str | None:
        """Name the first route. Only now it is known whose routes they are."""
        owner = routed_app(self.app) or scope.get("app")
        self._begin.route = route = _no_route if owner is None else StarletteRoutes(owner, self._not_named)
        return route(scope)

    def _not_named(self, error: Exception) -> None:
        self.metrics.failed("route", error)

    def __repr__(self) -> str:
        return f"<MetricsMiddleware of {self.app!r}>"


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


def _no_route(scope: Message) -> None:
    return None
