"""Flask: its HTTP metrics, with routes named by the rules of its URL map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Flask, request
from flask.signals import got_request_exception
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.wrappers import Request, Response

from tallymark.integrations.exchange import error_type
from tallymark.integrations.werkzeug_routes import ROUTE
from tallymark.integrations.wsgi import MetricsMiddleware
from tallymark.integrations.wsgi_response import ERROR
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeAlias
    from wsgiref.types import WSGIEnvironment

    from tallymark.integrations.http_metrics import OwnTags
    from tallymark.metric.registry import Registry
    from tallymark.serve.auth import Auth

    Tags: TypeAlias = Callable[[Any, Response | None], Mapping[str, object] | None]

__all__ = ["instrument", "uninstrument"]


def instrument(
    app: Flask,
    *,
    metrics_path: str | None = None,
    registry: Registry | None = None,
    exclude: Iterable[str] = (),
    tags: Tags | None = None,
    auth: Auth | None = None,
) -> None:
    """Record the HTTP metrics of an application: around `app.wsgi_app`. It may serve requests already.

        instrument(app, metrics_path="/metrics")
        instrument(app, exclude=("/healthz",), tags=lambda request, response: {"tenant": flask.g.tenant})

    Another call for the same application replaces the first.

    Args:
        app: the application.
        metrics_path: serve the pages of `tm.wsgi_app` at this path, such as `"/metrics"`. They are not recorded.
        registry: where to record; by default the current registry at the time of this call.
        exclude: globs of routes or paths that are not recorded.
        tags: called in the context of each request when its response begins, with Flask's request, and a response that has a
            status and headers (None: there was none); returns further tags. If it fails, the request is recorded without them.
        auth: what `metrics_path` asks of clients: `tm.BasicAuth(user, password)` or `tm.BearerAuth(token)`.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: `metrics_path` is not a path below the application.
        MetricConflictError: a metric of the convention's name exists, and differs.
    """
    check_type("app", app, Flask)
    own = None if tags is None else _with_objects(tags)
    middleware = MetricsMiddleware(
        app.wsgi_app, registry=registry, metrics_path=metrics_path, exclude=exclude, tags=own, auth=auth, route=_Routes(app)
    )
    uninstrument(app)
    before: Any = app.wsgi_app
    middleware.app = before
    app.wsgi_app = middleware  # type: ignore[method-assign]  # as Flask documents it
    app.extensions[__name__] = middleware
    got_request_exception.connect(_note_error, app)


def uninstrument(app: Flask) -> None:
    """Undo `instrument`: what an application serves from now on is not recorded. If it was not instrumented, do nothing."""
    middleware = app.extensions.pop(__name__, None)
    if middleware is None:
        return
    got_request_exception.disconnect(_note_error, app)
    middleware.switch_off()  # it may be within other middleware
    if vars(app)["wsgi_app"] is middleware:
        app.wsgi_app = middleware.app  # type: ignore[method-assign]


def _note_error(app: Flask, exception: BaseException, **_: object) -> None:
    """Tell the middleware of an exception that Flask handles, and the rule, as the request goes before the response ends."""
    request.environ[ERROR] = error_type(exception)
    if request.url_rule is not None:
        request.environ[ROUTE] = request.url_rule.rule


class _Routes:
    """Names the routes of an application.

    Attributes:
        is_rule: as `WerkzeugRoutes` has it.
    """

    is_rule = True

    def __init__(self, app: Flask) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment) -> str | None:
        asked = environ.get("werkzeug.request")
        rule = None if asked is None else asked.url_rule
        if rule is not None:
            return str(rule.rule)
        noted: str | None = environ.get(ROUTE)
        return noted if noted is not None else _rule_of_other_methods(self._app, asked)


def _rule_of_other_methods(app: Flask, asked: Any) -> str | None:
    """Return the rule of a request whose method it does not allow (status 405), which Flask has not noted."""
    refused = getattr(asked, "routing_exception", None)
    if not isinstance(refused, MethodNotAllowed) or not refused.valid_methods:
        return None
    adapter = app.create_url_adapter(asked)
    try:
        return None if adapter is None else adapter.match(method=next(iter(refused.valid_methods)), return_rule=True)[0].rule
    except HTTPException:
        return None


def _with_objects(tags: Tags) -> OwnTags:
    """Return a function that calls another one with Werkzeug's objects, instead of those of the protocol."""
    if not callable(tags):
        raise TypeError(f"tags must be a function of request and response that returns tags, not a {type(tags).__name__}")

    def own(environ: Any, start: Any) -> Mapping[str, object] | None:
        asked = environ.get("werkzeug.request")
        asked = Request(environ, populate_request=False) if asked is None else asked
        return tags(asked, None if start is None else Response(status=start[0], headers=list(start[1])))

    return own
