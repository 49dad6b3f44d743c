"""`MetricsMiddleware`: the HTTP metrics of any WSGI application.

Source: PEP 3333.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from tallymark.integrations.exchange import Exchange, error_type
from tallymark.integrations.http_metrics import HTTPMetrics, Line
from tallymark.integrations.metrics_path import check_path, is_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from tallymark.integrations.http_metrics import OwnTags
    from tallymark.metric.registry import Registry
    from tallymark.serve.auth import Auth
    from tallymark.serve.wsgi import WSGIApp

    RouteOf: TypeAlias = Callable[[WSGIEnvironment], str | None]

__all__ = ["MetricsMiddleware"]

_SEEN = "tallymark.http"
"""In an environ: the registry that has this request already, as the application is within another one that is instrumented."""

_END: Any = object()

_VERSIONS = {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2": "2", "HTTP/2.0": "2", "HTTP/3": "3"}

_LONGEST_SIZE = 15
"""Digits of a size that is believed: nobody sends a petabyte."""


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
        tags: called with the environ of each request that ended, and its status and headers as the application gave them (None:
            there was no response); returns further tags. If it fails, the request is recorded without them.
        route: returns the template of an environ whose request was routed, None if none matched. By default there is none.

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
        self.is_on = True
        self.metrics = HTTPMetrics(registry, exclude=exclude, tags=tags)
        self.route = route or _no_route
        self._excludes = self.metrics.excludes or None
        self._pages = _Pages(metrics_path, self.metrics.registry, auth) if metrics_path is not None else None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self.is_on or environ.get(_SEEN) is self.metrics.registry:
            return self.app(environ, start_response)
        if self._pages is not None and self._pages.has(environ):
            return self._pages.answer(environ, start_response)
        if self._excludes is not None and self._excludes(environ.get("PATH_INFO", "")):
            return self.app(environ, start_response)
        environ[_SEEN] = self.metrics.registry
        response = _Response(self.metrics, self.route, environ, start_response)
        try:
            return response.of(self.app(environ, response))
        except BaseException as error:
            response.failed(error)
            raise

    def __repr__(self) -> str:
        return f"<MetricsMiddleware of {self.app!r}>"


class _Response(Exchange):
    """A request under way, and its response.

    It is what the application calls as `start_response(status, headers)`, and as the `write(data)` that this returns; and it is
    the iterable that the server gets: one object for all.
    """

    __slots__ = ("_body", "_environ", "_iterator", "_route_of", "_start", "_start_response", "_write")

    def __init__(self, metrics: HTTPMetrics, route: RouteOf, environ: WSGIEnvironment, start_response: StartResponse) -> None:
        super().__init__(metrics, _line_of(metrics, environ))
        self.received = _announced_size(environ)
        self._route_of = route
        self._environ = environ
        self._start_response = start_response
        self._start: tuple[str, Any] | None = None
        self._body: Any = None
        self._iterator: Iterator[bytes] | None = None
        self._write: Callable[[bytes], object] | None = None

    def __call__(self, status: Any, headers: Any = _END, exc_info: Any = None) -> Any:
        if headers is _END:  # as write(data), where `status` is the data
            self._count(status)
            return None if self._write is None else self._write(status)
        if self.is_open:
            self._start = (status, headers)
            self.status = _code(status)
            if exc_info:
                self.error = error_type(exc_info[1])
            if self._metrics.registry._exemplars is not None:
                self.context = copy_context()  # at the end of the response, the application's span may have ended
        # An application that does not know of exc_info must not have to.
        self._write = self._start_response(status, headers, exc_info) if exc_info else self._start_response(status, headers)
        return self

    def _count(self, data: bytes) -> None:
        if self.sent is not None:
            self.sent += len(data)

    # What the server gets

    def of(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """Return the response with this body: this object, but for a file that the server sends in its own way."""
        self._body = body
        wrapper = self._environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper) and self._close_with(body):
            self.sent = None  # the server reads it
            return body
        return self

    def _close_with(self, body: Any) -> bool:
        close = getattr(body, "close", None)
        try:
            body.close = lambda: self._closed(close)
        except AttributeError:
            return False
        return True

    def __iter__(self) -> Iterator[bytes]:
        self._iterator = iter(self._body)
        return self

    def __next__(self) -> bytes:
        if self._iterator is None:
            self._iterator = iter(self._body)
        try:
            chunk = next(self._iterator, _END)
        except BaseException as error:
            self.failed(error)
            raise
        if chunk is _END:
            self.finish()
            raise StopIteration
        self._count(chunk)
        return chunk

    def __len__(self) -> int:  # by which servers see that a body is whole, and tell its size; TypeError if it is not
        return len(self._body)

    def __bool__(self) -> bool:
        return True

    def close(self) -> None:
        """End the request, if the server has not taken all of it, and close the application's body."""
        self._closed(getattr(self._body, "close", None))

    def _closed(self, close: Callable[[], object] | None) -> None:
        self.finish()
        if close is not None:
            close()

    def __del__(self) -> None:  # some servers, and clients of tests, do not close what they do not want
        self.finish()

    def failed(self, error: BaseException) -> None:
        """End the request: the application raised before it had answered."""
        self.error = error_type(error)
        if self.status is None and self.error:
            self.status, self.sent = 500, None  # as the server answers now
        self.finish()

    def find_route(self) -> str | None:
        try:
            return self._route_of(self._environ)
        except Exception as error:
            self._metrics.failed("route", error)
            return None

    def subject(self) -> tuple[object, object]:
        return self._environ, self._start

    def finish(self) -> None:
        if self.sent and self._environ.get("REQUEST_METHOD") == "HEAD":
            self.sent = 0  # servers drop it
        Exchange.finish(self)


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


def _line_of(metrics: HTTPMetrics, environ: WSGIEnvironment) -> Line:
    protocol = environ.get("SERVER_PROTOCOL", "")
    return metrics.line(environ["REQUEST_METHOD"], environ.get("wsgi.url_scheme", "http"), _VERSIONS.get(protocol, ""))


def _announced_size(environ: WSGIEnvironment) -> int | None:
    size = environ.get("CONTENT_LENGTH")
    if not size:
        return None if environ.get("HTTP_TRANSFER_ENCODING") else 0
    return int(size) if size.isascii() and size.isdigit() and len(size) <= _LONGEST_SIZE else None


def _code(status: object) -> int | None:
    digits = status[:3] if isinstance(status, str) else ""
    return int(digits) if digits.isascii() and digits.isdigit() and int(digits) >= 100 else None


def _no_route(environ: WSGIEnvironment) -> None:
    return None
