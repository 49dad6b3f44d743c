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
    from collections.abc import Mapping

    from tallymark.integrations.http_metrics import HTTPMetrics
    from tallymark.metric.registry import Registry

__all__ = ["AiohttpExchange"]

_VERSIONS = {HttpVersion10: "1.0", HttpVersion11: "1.1"}


class AiohttpExchange(Exchange):
    """A request under way.

    Attributes:
        around: the same request, as an application around this one records it to another registry; None if there is none.
    """

    __slots__ = ("_counts", "_own", "around")

    def __init__(self, metrics: HTTPMetrics, request: web.Request, around: AiohttpExchange | None = None) -> None:
        super().__init__(metrics, metrics.line(request.method, request.scheme, _VERSIONS.get(request.version, "")))
        told = request.headers
        self.received = told_size(told.get(hdrs.CONTENT_LENGTH), is_chunked=hdrs.TRANSFER_ENCODING in told)
        resource = request.match_info.route.resource
        self.route = None if resource is None else resource.canonical
        self._counts = False
        self.request = None if metrics.tags is None else request
        self._own: Mapping[str, object] | None = None
        self.around = around

    def is_of(self, metrics: HTTPMetrics) -> bool:
        """Return True if it is recorded by these."""
        return self._metrics is metrics

    def is_in(self, registry: Registry) -> bool:
        """Return True if it is recorded to this registry, by this application or one around it."""
        return self._metrics.registry is registry or (self.around is not None and self.around.is_in(registry))

    def leave_out_of(self, registry: Registry) -> None:
        """Record nothing of it to a registry, where this application or one around it does."""
        if self._metrics.registry is registry:
            self.leave_out()
        elif self.around is not None:
            self.around.leave_out_of(registry)

    def begin(self, response: web.StreamResponse) -> None:
        """Take note of a response whose headers are about to be sent. The request ends when its last byte was."""
        self.status = response.status
        if self.status < 500:
            self.error = ""  # it was handled
        if self.request is not None:
            self._own = self._metrics.own_tags(self.request, response)
            self.request = None  # lest they hold each other: a cycle would wait for the garbage collector
        if self._metrics.registry._exemplars is not None and self.context is None:
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

    def own_tags(self) -> Mapping[str, object] | None:
        return self._own if self.request is None else super().own_tags()

    def finish(self) -> None:
        super().finish()
        self.request = None

    def __del__(self) -> None:  # its client went before it was answered
        if self.is_open:
            self.finish()

    def _follow(self, response: web.StreamResponse) -> None:
        """End the request with the response: aiohttp has no hook for that."""
        weakly = ref(response)  # else the response would wait for the garbage collector
        inner_eof, inner_write = (response.__dict__.get(name) for name in ("write_eof", "write"))  # of another exchange

        async def write_eof(*data: Any) -> None:
            of = weakly()
            assert of is not None  # noqa: S101 - it is who is asked
            try:
                await (type(of).write_eof(of, *data) if inner_eof is None else inner_eof(*data))
                self._count(*data)
            except BaseException as error:
                self.error = "" if isinstance(error, OSError) else error_type(error)  # a client that has gone is no error
                raise
            finally:
                self._end(of)

        async def write(data: Any) -> None:
            of = weakly()
            assert of is not None  # noqa: S101 - as above
            try:
                await (type(of).write(of, data) if inner_write is None else inner_write(data))
            except OSError:  # the client has gone
                self.finish()
                raise
            self._count(data)

        response.write_eof = write_eof  # type: ignore[method-assign, assignment]
        if not isinstance(response, web.Response | web.FileResponse):  # these know their size
            response.write = write  # type: ignore[method-assign]
            self._counts = True

    def _count(self, data: Any = b"") -> None:
        if self.sent is not None:
            self.sent += len(data)

    def _end(self, response: web.StreamResponse) -> None:
        if response.status in (204, 304):
            self.sent = 0  # aiohttp drops it
        elif not self._counts:
            self.sent = response.content_length
        self.finish()
