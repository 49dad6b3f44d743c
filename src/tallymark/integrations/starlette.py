"""Starlette: its HTTP metrics, with routes named by the templates of its routers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from tallymark.integrations.asgi import MetricsMiddleware
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeAlias

    from tallymark.integrations.http_metrics import OwnTags
    from tallymark.metric.registry import Registry
    from tallymark.serve.auth import Auth

    Tags: TypeAlias = Callable[[Any, Response | None], Mapping[str, object] | None]

__all__ = ["instrument", "uninstrument"]

_BUILD = "build_middleware_stack"


def instrument(
    app: Starlette,
    *,
    metrics_path: str | None = None,
    registry: Registry | None = None,
    exclude: Iterable[str] = (),
    tags: Tags | None = None,
    auth: Auth | None = None,
) -> None:
    """Record the HTTP metrics of an application, around all its middleware. It may serve requests already.

        instrument(app, metrics_path="/metrics")
        instrument(app, exclude=("/healthz",), tags=lambda request, response: {"tenant": request.path_params.get("tenant")})

    Another call for the same application replaces the first.

    Args:
        app: the application.
        metrics_path: serve the pages of `tm.asgi_app` at this path, such as `"/metrics"`. They are not recorded.
        registry: where to record; by default the current registry at the time of this call.
        exclude: globs of routes or paths that are not recorded.
        tags: called with the request, and a response that has a status and headers (None: there was none), of each request that
            ended; returns further tags. If it fails, the request is recorded without them.
        auth: what `metrics_path` asks of clients: `tm.BasicAuth(user, password)` or `tm.BearerAuth(token)`.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: `metrics_path` is not a path below the application.
        MetricConflictError: a metric of the convention's name exists, and differs.
    """
    check_type("app", app, Starlette)
    own = None if tags is None else _with_objects(tags)
    middleware = MetricsMiddleware(app, registry=registry, metrics_path=metrics_path, exclude=exclude, tags=own, auth=auth)
    uninstrument(app)
    if app.middleware_stack is not None:  # it serves requests already
        middleware.app, app.middleware_stack = app.middleware_stack, middleware
    setattr(app, _BUILD, _Around(middleware, app.__dict__.get(_BUILD), app.build_middleware_stack))


def uninstrument(app: Starlette) -> None:
    """Undo `instrument`: what an application serves from now on is not recorded. If it was not instrumented, do nothing."""
    around = app.__dict__.get(_BUILD)
    if not isinstance(around, _Around):
        return
    if app.middleware_stack is around.middleware:
        app.middleware_stack = around.middleware.app
    around.middleware.switch_off()  # somebody may hold it
    if around.replaced is None:
        delattr(app, _BUILD)
    else:
        setattr(app, _BUILD, around.replaced)


class _Around:
    """What an application builds its middleware with: as before, and the metrics around all of it.

    `add_middleware` would put them within the handler of errors, which may answer an exception with any status, and within
    whatever is added later.
    """

    def __init__(self, middleware: MetricsMiddleware, replaced: Any, build: Callable[[], Any]) -> None:
        self.middleware = middleware
        self.replaced = replaced
        self._build = build

    def __call__(self) -> Any:
        self.middleware.app = self._build()
        return self.middleware


def _with_objects(tags: Tags) -> OwnTags:
    """Return a function that calls another one with Starlette's objects, instead of those of the protocol."""
    if not callable(tags):
        raise TypeError(f"tags must be a function of request and response that returns tags, not a {type(tags).__name__}")

    def own(scope: Any, start: Any) -> Mapping[str, object] | None:
        request = Request(scope) if scope["type"] == "http" else HTTPConnection(scope)
        return tags(request, None if start is None else _response(start))

    return own


def _response(start: Any) -> Response:
    of_handshake = 101 if start["type"] == "websocket.accept" else 403
    response = Response(status_code=start.get("status", of_handshake))
    response.raw_headers = [(name.lower(), value) for name, value in start.get("headers") or ()]
    return response
