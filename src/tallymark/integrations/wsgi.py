"""`MetricsMiddleware`: the HTTP metrics of any WSGI application.

Source: PEP 3333.
"""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING

from tallymark.integrations.http_metrics import HTTPMetrics
from tallymark.integrations.metrics_path import check_path, is_below
from tallymark.integrations.werkzeug_client import CLIENT, WholeBody
from tallymark.integrations.werkzeug_routes import WerkzeugRoutes
from tallymark.integrations.wsgi_response import VERSIONS, or_file, responses_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from tallymark.integrations.exchange import RouteOf
    from tallymark.integrations.http_metrics import Line, OwnTags
    from tallymark.metric.registry import Registry
    from tallymark.serve.auth import Auth
    from tallymark.serve.wsgi import WSGIApp

__all__ = ["MetricsMiddleware"]


class MetricsMiddleware:
    """A WSGI application around another one, of which it records the metrics of OpenTelemetry's HTTP conventions.

        app = MetricsMiddleware(app)
        app.wsgi_app = MetricsMiddleware(app.wsgi_app)       # Flask

    A request ends when the server has taken the last byte of its response, or closes the response early, as its client has
    gone. The size of its body is what the header Content-Length tells; that of a body without one is not recorded.

    Args:
        app: the application.
        registry: where to record; by default the current registry.
        metrics_path: serve the pages of `tm.wsgi_app` at this path, such as `"/metrics"`. They are not recorded.
        auth: what `metrics_path` asks of clients, as for `tm.wsgi_app`.
        exclude: globs of routes or paths that are not recorded, such as `("/healthz", "/internal/*")`.
        tags: called with the environ of each request when its response begins, and the response's status and headers as the
            application gives them (None: there was none); returns further tags. If it fails, the request is recorded without
            them.
        route: called with an environ when its response begins; returns the template of its route, None if none matched. By
            default the rule of Werkzeug's request, if there is one.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: `metrics_path` is not a path.
        MetricConflictError: a metric of the convention's name exists, and differs.
    """

    def __init__(
        self,
        app: WSGIApplication,
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
        self._begin = responses_of(self.metrics, route or WerkzeugRoutes(app), self._find_line)
        self._pages = _Pages(metrics_path, self.metrics.registry, auth) if metrics_path is not None else None
        self._is_off = False
        self._asks_first = self._pages is not None or bool(self.metrics.excludes)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._asks_first and (instead := self._instead(environ)) is not None:
            return instead(environ, start_response)
        sends_files = "wsgi.file_wrapper" in environ  # as nearly all servers do
        if not sends_files and type(start_response) is FunctionType and start_response.__module__ == CLIENT:
            start_response = WholeBody(start_response)
        response = self._begin(self.metrics, environ, start_response)
        if response is None:
            return self.app(environ, start_response)
        try:
            response.body = self.app(environ, response.start_response)
        except BaseException as error:
            response.failed(error)
            raise
        if sends_files:
            return or_file(response, environ["wsgi.file_wrapper"])
        return response if type(start_response) is not WholeBody else start_response.of(response)

    def _find_line(self, environ: WSGIEnvironment) -> Line:
        version = VERSIONS.get(environ.get("SERVER_PROTOCOL", ""), "")
        return self.metrics.line(environ["REQUEST_METHOD"], environ.get("wsgi.url_scheme", "http"), version)

    def switch_off(self) -> None:
        """Record no more requests. The application answers as before."""
        self._is_off = self._asks_first = True

    def _instead(self, environ: WSGIEnvironment) -> WSGIApplication | None:
        """Return who answers an environ that is not measured; None if it is."""
        if self._is_off:
            return self.app
        if self._pages is not None and self._pages.has(environ):
            return self._pages.answer
        return self.app if self.metrics.excludes(environ.get("PATH_INFO", "")) else None

    def __repr__(self) -> str:
        return f"<MetricsMiddleware of {self.app!r}>"


class _Pages:
    """The pages of a registry at a path of the application's."""

    def __init__(self, path: str, registry: Registry, auth: Auth | None) -> None:
        from tallymark.serve.wsgi import wsgi_app

        self._path = check_path(path)
        self._app: WSGIApp = wsgi_app(registry, auth)

    def has(self, environ: WSGIEnvironment) -> bool:
        return is_below(self._path, environ.get("PATH_INFO", ""))

    def answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        prefix, path = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
        moved = {"SCRIPT_NAME": prefix + self._path, "PATH_INFO": path[len(self._path) :]}
        return self._app({**environ, **moved}, start_response)
