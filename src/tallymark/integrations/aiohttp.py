"""aiohttp: the HTTP metrics of an `aiohttp.web` application.

import tallymark as tm

tm.integrations.aiohttp.instrument(app, metrics_path="/metrics")
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from aiohttp import web

from tallymark.integrations.aiohttp_exchange import AiohttpExchange
from tallymark.integrations.aiohttp_pages import Pages
from tallymark.integrations.http_metrics import HTTPMetrics
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeAlias

    from aiohttp.typedefs import Handler

    from tallymark.metric.registry import Registry
    from tallymark.serve.auth import Auth

    Tags: TypeAlias = Callable[[web.Request, web.StreamResponse | None], Mapping[str, object] | None]

__all__ = ["instrument", "uninstrument"]

_EXCHANGE: Any = getattr(web, "RequestKey", lambda name, _: name)("tallymark.http", AiohttpExchange)
"""Where a request holds what its innermost application records of it. Before aiohttp 3.14, such keys were texts."""


def instrument(
    app: web.Application,
    *,
    metrics_path: str | None = None,
    registry: Registry | None = None,
    exclude: Iterable[str] = (),
    tags: Tags | None = None,
    auth: Auth | None = None,
) -> None:
    """Record the HTTP metrics of an application, and of its sub-applications, before it is started.

        instrument(app, metrics_path="/metrics")
        instrument(app, exclude=("/healthz",), tags=lambda request, response: {"tenant": request.match_info.get("tenant", "")})

    A request ends when the last byte of its response was handed over, or its client has gone. The handshake of a WebSocket is a
    request with the status 101; what is sent through it later is not counted. Another call for the same application replaces
    the first.

    Args:
        app: the application.
        metrics_path: serve the pages of `tm.asgi_app` at this path, such as `"/metrics"`. They are not recorded.
        registry: where to record; by default the current registry at the time of this call.
        exclude: globs of routes or paths that are not recorded.
        tags: called with request and response (None: there was none) of each request, when its response begins; returns further
            tags. If it fails, the request is recorded without them.
        auth: what `metrics_path` asks of clients: `tm.BasicAuth(user, password)` or `tm.BearerAuth(token)`.

    Raises:
        RuntimeError: the application was started already.
        TypeError: an argument is of the wrong type.
        ValueError: `metrics_path` is not a path below the application.
        MetricConflictError: a metric of the convention's name exists, and differs.
    """
    check_type("app", app, web.Application)
    if app.frozen:
        raise RuntimeError(f"{app!r} was started already: call instrument(app) where it is made")
    made = _Instrumentation(HTTPMetrics(registry, exclude=exclude, tags=tags), metrics_path, auth)
    uninstrument(app)
    app.middlewares.insert(0, made)
    if made.asks_for_exemplars:
        app.middlewares.append(made.note_context)
    app.on_response_prepare.append(made.note)
    _instrumented[app] = made


def uninstrument(app: web.Application) -> None:
    """Undo `instrument`: what an application serves from now on is not recorded. If it was not instrumented, do nothing."""
    made = _instrumented.pop(app, None)
    if made is None:
        return
    made.is_on = False  # an application that was started keeps its middleware
    if not app.frozen:
        app.middlewares.remove(made)
        if made.asks_for_exemplars:
            app.middlewares.remove(made.note_context)
        app.on_response_prepare.remove(made.note)


_instrumented: WeakKeyDictionary[web.Application, _Instrumentation] = WeakKeyDictionary()


class _Instrumentation:
    """What an application is instrumented with: the outermost of its middlewares.

    Attributes:
        is_on: False: it records nothing more.
        asks_for_exemplars: True if what is current below the other middlewares is noted, too.
    """

    __middleware_version__ = 1  # as `web.middleware` marks functions

    def __init__(self, metrics: HTTPMetrics, metrics_path: str | None, auth: Auth | None) -> None:
        self.is_on = True
        self.asks_for_exemplars = metrics.registry._exemplars is not None
        self._metrics = metrics
        self._pages = None if metrics_path is None else Pages(metrics_path, metrics.registry, auth)

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self.is_on:
            return await handler(request)
        around: AiohttpExchange | None = request.get(_EXCHANGE)
        if self._pages is not None and self._pages.has(request):
            if around is not None:
                around.leave_out_of(self._metrics.registry)
            return await self._pages.answer(request)
        if around is not None and around.is_in(self._metrics.registry):
            return await handler(request)
        if self._metrics.excludes(request.path):
            return await handler(request)
        exchange = request[_EXCHANGE] = AiohttpExchange(self._metrics, request, around)
        try:
            return await handler(request)
        except web.HTTPException:  # it is a response
            raise
        except BaseException as error:
            exchange.failed(error)
            raise

    async def note(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Have the exchange of a request take note of its response, whose headers are about to be sent."""
        exchange = self._exchange_of(request)
        if exchange is not None:
            exchange.begin(response)

    @web.middleware
    async def note_context(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note what is current when a handler returns: it is gone when aiohttp sends the response, after all middlewares.

        So it is with the span of OpenTelemetry's instrumentation, which is a middleware.
        """
        try:
            return await handler(request)
        finally:
            exchange = self._exchange_of(request)
            if exchange is not None and exchange.context is None:
                exchange.context = copy_context()

    def _exchange_of(self, request: web.BaseRequest) -> AiohttpExchange | None:
        exchange: AiohttpExchange | None = request.get(_EXCHANGE)
        while exchange is not None and not exchange.is_of(self._metrics):
            exchange = exchange.around
        return exchange

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with {self._metrics!r}>"
