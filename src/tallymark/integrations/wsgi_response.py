"""`Response`: what a WSGI application has under way; and `responses_of`, which begins them."""

from __future__ import annotations

from contextvars import copy_context
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from tallymark.integrations.body_size import told_size
from tallymark.integrations.compiled import clock_in_c, compiled_for
from tallymark.integrations.exchange import Exchange, error_type
from tallymark.integrations.http_metrics import CLAIM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

    from tallymark.integrations.exchange import RouteOf
    from tallymark.integrations.http_metrics import HTTPMetrics, Line

__all__ = ["ERROR", "VERSIONS", "Response", "Responses", "or_file", "responses_of"]

ERROR = "tallymark.error"
"""In an environ: the `error.type` of an exception that a framework answers."""

VERSIONS = {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2": "2", "HTTP/2.0": "2", "HTTP/3": "3"}


class Response(Exchange):
    """A request under way, and its response: the iterable that a server gets.

    With the native engine, `native/response.c` does the same.

    Attributes:
        body: the application's iterable.
    """

    __slots__ = ("_find_route", "_own", "_start", "_start_response", "_write", "body")

    body: Iterable[bytes] | None
    _find_route: RouteOf
    _own: Mapping[str, object] | None
    _start: Any
    _start_response: StartResponse
    _write: Callable[[bytes], object] | None

    def __init__(
        self, metrics: HTTPMetrics, line: Line, route: RouteOf, environ: WSGIEnvironment, start_response: StartResponse
    ) -> None:
        received = told_size(environ.get("CONTENT_LENGTH"), is_chunked=bool(environ.get("HTTP_TRANSFER_ENCODING")))
        super().__init__(metrics, line)
        self.request = environ
        self.body = None
        self.received = received
        self._find_route = route
        self._start_response = start_response
        self._start = self._own = self._write = None

    # What the application gets

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
        """Begin the response; return what sends a part of it."""
        if self.is_open:
            # Noted now, as it may be gone at the end: the framework's request, and the application's span.
            self._start = headers
            self.status = code = _code(status)
            try:
                self.route = self._find_route(self.request)
            except Exception as error:
                self._metrics.failed("route", error)
            if code is not None and code >= 500:
                self.error = error_type(exc_info[1]) if exc_info else self.request.get(ERROR, "")
            if self._metrics.notes_more:
                self._note_more(status, headers)
        # A server that does not know of exc_info must not have to.
        self._write = self._start_response(status, headers, exc_info) if exc_info else self._start_response(status, headers)
        return self.write

    def _note_more(self, status: str, headers: Any) -> None:
        metrics = self._metrics
        if metrics.tags is not None:
            self._own = metrics.own_tags(self.request, (status, headers))
        if metrics.registry._exemplars is not None:
            self.context = copy_context()

    def write(self, data: bytes) -> object:
        """Send a part of the response at once."""
        self._count(data)
        return None if self._write is None else self._write(data)

    def _count(self, data: bytes) -> None:
        if self.sent is not None:
            self.sent += len(data)

    # What the server gets

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self.body:  # type: ignore[union-attr]  # whatever the application has returned
                self.sent += len(chunk)  # type: ignore[operator]  # only of a file it is not known
                yield chunk
        except GeneratorExit:  # the server closes what it has not taken all of, or forgets it
            self.finish()
            raise
        except BaseException as error:
            self.failed(error)
            raise
        if self._start is None and self.is_open:
            self.status, self.sent = 500, None  # as servers answer now
        self.finish()

    def __len__(self) -> int:  # by which servers see that a body is whole, and tell its size; TypeError if it is not
        return len(self.body)  # type: ignore[arg-type]

    def __bool__(self) -> bool:
        return True

    def close(self) -> None:
        """End the request, if the server has not taken all of it, and close the application's body."""
        if self.is_open:
            self.finish()
        close = getattr(self.body, "close", None)
        if close is not None:
            close()

    # Its end

    def failed(self, error: BaseException) -> None:
        """End the request: the application raised before it had answered."""
        if not self.is_open:
            return
        self.error = error_type(error)
        if self.status is None and self.error:
            self.status, self.sent = 500, None  # as the server answers now
        if self._start is None:
            self._route_of = self._metrics.guarded(self._find_route)
        self.finish()

    def __del__(self) -> None:  # nobody read it, nor closed it
        if getattr(self, "is_open", False):
            self.finish()

    def own_tags(self) -> Mapping[str, object] | None:
        return super().own_tags() if self._start is None else self._own


def _code(status: object) -> int | None:
    """Return the code that the text of a status begins with; None if it begins with none."""
    digits = status[:3] if isinstance(status, str) else ""
    return int(digits) if digits.isascii() and digits.isdigit() else None


def or_file(response: Response, wrapper: Any) -> Iterable[bytes]:
    """Return a response; but where it is a file that the server sends in its own way, that file.

    Args:
        response: of an application.
        wrapper: what the server names as its `wsgi.file_wrapper`.
    """
    body: Any = response.body
    if isinstance(wrapper, type) and isinstance(body, wrapper) and _ends_with(response, body):
        response.sent = _size_of_file(response._start)
        return cast("Iterable[bytes]", body)
    return response


def _size_of_file(headers: Any) -> int | None:
    """Return the size of a file that the server reads, as the headers tell it; None if they do not."""
    try:
        told = [value for name, value in headers if name.lower() == "content-length"]
    except (AttributeError, TypeError, ValueError):  # they are none, as the server will tell
        return None
    return told_size(told[0], is_chunked=True) if told else None


def _ends_with(response: Response, body: Any) -> bool:
    """Have the request end when a body is closed; return True if that can be."""
    close = getattr(body, "close", None)

    def end() -> None:
        response.finish()
        if close is not None:
            close()

    try:
        body.close = end
    except AttributeError:
        return False
    return True


class Responses:
    """Begins the requests of one middleware.

    Args:
        route: returns the template of an environ whose request was routed.
        find_line: returns the line of an environ.
    """

    def __init__(self, route: RouteOf, find_line: Callable[[WSGIEnvironment], Line]) -> None:
        self.route = route
        self._find_line = find_line

    def __call__(self, metrics: HTTPMetrics, environ: WSGIEnvironment, start_response: StartResponse) -> Response | None:
        """Return a response whose request is under way from now on; None if another middleware records it."""
        if environ.setdefault(CLAIM, metrics) is not metrics and not metrics.claim(environ):
            return None
        return Response(metrics, self._find_line(environ), self.route, environ, start_response)


def responses_of(metrics: HTTPMetrics, route: RouteOf, find_line: Callable[[WSGIEnvironment], Line]) -> Any:
    """Return what begins the requests of one middleware: `Responses`, or what does the same in C."""
    responses = Responses(route, find_line)
    compiled = compiled_for(metrics.registry)
    if compiled is None:
        return responses
    return compiled.Responses(
        route=route, find_line=find_line, otherwise=responses, helper=Response._note_more, error_type=error_type,
        handled_error=None, clock=clock_in_c(perf_counter), versions=VERSIONS,
    )  # fmt: skip
