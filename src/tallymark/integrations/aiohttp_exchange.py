"""`AiohttpExchange`: a request of aiohttp's under way, from its middleware to the last byte of its response."""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any
from weakref import ref

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion10, HttpVersion11

from tallymark.integrations.body_size import told_size
from tallymark.integrations.exchange import Exchange, error_type

if TYPE_CHECKING:
    from tallymark.integrations.http_metrics import HTTPMetrics

__all__ = ["AiohttpExchange"]

_VERSIONS = {HttpVersion10: "1.0", HttpVersion11: "1.1"}


class AiohttpExchange(Exchange):
    """A request under way."""

    __slots__ = ("_counts", "_is_head", "_request", "_response")

    def __init__(self, metrics: HTTPMetrics, request: web.Request) -> None:
        super().__init__(metrics, metrics.line(request.method, request.scheme, _VERSIONS.get(request.version, "")))
        told = request.headers
        self.received = told_size(told.get(hdrs.CONTENT_LENGTH), is_chunked=hdrs.TRANSFER_ENCODING in told)
        resource = request.match_info.route.resource
        self.route = None if resource is None else resource.canonical
        self._counts = False
        self._is_head = request.method == hdrs.METH_HEAD
        self._request = None if metrics.tags is None else request
        self._response: web.StreamResponse | None = None

    def begin(self, response: web.StreamResponse) -> None:
        """Take note of a response whose headers are about to be sent. The request ends when its last byte was."""
        self.status = response.status
        if self.status < 500:
            self.error = ""  # it was handled
        if self._request is not None:
            self._response = response
        if self._metrics.registry._exemplars is not None:
            self.context = copy_context()
        if isinstance(response, web.WebSocketResponse):
            self.finish()
        else:
            self._follow(response)

    def failed(self, error: BaseException) -> None:
        """Take note of an exception. It ends the request, unless aiohttp can still answer it."""
        self.error = error_type(error)
        if self.status is not None or not self.error:
            self.finish()

    def subject(self) -> tuple[object, object]:
        return self._request, self._response

    def finish(self) -> None:
        Exchange.finish(self)
        self._request = self._response = None

    def __del__(self) -> None:  # its client went before it was answered
        if self.is_open:
            self.finish()

    def _follow(self, response: web.StreamResponse) -> None:
        """End the request with the response: aiohttp has no hook for that."""
        weakly = ref(response)  # else the response would wait for the garbage collector

        async def write_eof(*data: Any) -> None:
            of = weakly()
            assert of is not None  # noqa: S101 - it is who is asked
            try:
                await type(of).write_eof(of, *data)
                self._count(*data)
            except BaseException as error:
                self.error = "" if isinstance(error, OSError) else error_type(error)  # a client that has gone is no error
                raise
            finally:
                self._end(of)

        async def write(data: Any) -> None:
            of = weakly()
            assert of is not None  # noqa: S101 - as above
            await type(of).write(of, data)
            self._count(data)

        response.write_eof = write_eof  # type: ignore[method-assign, assignment]
        if type(response) is web.StreamResponse:  # others know their size
            response.write = write  # type: ignore[method-assign]
            self._counts = True

    def _count(self, data: Any = b"") -> None:
        if self.sent is not None:
            self.sent += len(data)

    def _end(self, response: web.StreamResponse) -> None:
        if self._is_head or response.status in (204, 304):
            self.sent = 0  # aiohttp drops it
        elif not self._counts:
            self.sent = response.content_length
        self.finish()
