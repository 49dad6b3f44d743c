"""FastAPI: its HTTP metrics, with routes named by the templates of its routers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from tallymark.integrations import starlette
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tallymark.integrations.starlette import Tags
    from tallymark.metric.registry import Registry
    from tallymark.serve.auth import Auth

__all__ = ["instrument", "uninstrument"]


def instrument(
    app: FastAPI,
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

    Another call for the same application replaces the first. The metrics' path is not in the OpenAPI schema.

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
    check_type("app", app, FastAPI)
    starlette.instrument(app, metrics_path=metrics_path, registry=registry, exclude=exclude, tags=tags, auth=auth)


def uninstrument(app: FastAPI) -> None:
    """Undo `instrument`: what an application serves from now on is not recorded. If it was not instrumented, do nothing."""
    starlette.uninstrument(app)
