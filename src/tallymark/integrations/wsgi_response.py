"""`Response`: what a WSGI application has under way."""

from __future__ import annotations

from contextvars import copy_context
from time import perf_counter
from typing import TYPE_CHECKING, Any

from tallymark.integrations.body_size import told_size
from tallymark.integrations.exchange import Exchange, error_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

    from tallymark.integrations.exchange import RouteOf
    from tallymark.integrations.http_metrics import HTTPMetrics, Line

__all__ = ["ERROR", "Response"]

ERROR = "tallymark.error"
"""In an environ: the `error.type` of an exception that a framework answers."""


class Response(Exchange):
    """A request under way, and its response: the iterable that a server gets.

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

    @classmethod
    def begin(
        cls, metrics: HTTPMetrics, line: Line, route: RouteOf, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Response:
        """Return a response whose request is active from now on. (An `__init__` would double what one costs.)"""
        self = cls.__new__(cls)
        self._metrics = metrics
        self._line = line
        self._find_route = route
        self._route_of = None
        self.request = environ
        self._start_response = start_response
        self._start = self._own = self._write = self.body = self.context = self.route = self.status = None
        self.error = ""
        length, is_chunked = environ.get("CONTENT_LENGTH"), bool(environ.get("HTTP_TRANSFER_ENCODING"))
        self.received = told_size(length, is_chunked=is_chunked) if length or is_chunked else 0
        self.sent = 0
        line.begin()
        self.is_open = True
        self._started = perf_counter()
        return self

    # What the application gets

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
        """Begin the response; return what sends a part of it."""
        if self.is_open:
            # Noted now, as it may be gone at the end: the framework's request, and the application's span.
            self._start = headers
            try:
                self.status = code = _codes[status]
            except (KeyError, TypeError):
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

    def or_file(self, wrapper: Any) -> Iterable[bytes]:
        """Return the response; but where it is a file that the server sends in its own way, that file."""
        body = self.body
        if isinstance(wrapper, type) and isinstance(body, wrapper) and self._ends_with(body):
            self.sent = None  # the server reads it
            return body  # type: ignore[return-value]
        return self

    def _ends_with(self, body: Any) -> bool:
        """Have the request end when a body is closed; return True if that can be."""
        close = getattr(body, "close", None)

        def end() -> None:
            self.finish()
            if close is not None:
                close()

        try:
            body.close = end
        except AttributeError:
            return False
        return True

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

    def own_tags(self) -> Mapping[str, object] | None:
        return super().own_tags() if self._start is None else self._own


_codes: dict[str, int | None] = {}
"""Of texts of statuses that were seen before."""

_MOST_CODES = 1000


def _code(status: object) -> int | None:
    """Return the code that the text of a status begins with; None if it begins with none."""
    digits = status[:3] if isinstance(status, str) else ""
    code = int(digits) if digits.isascii() and digits.isdigit() else None
    if isinstance(status, str) and len(_codes) < _MOST_CODES:
        _codes[status] = code
    return code
