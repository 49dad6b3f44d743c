"""`DjangoExchange`: a request of Django's under way, from its middleware to the close of its response."""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from tallymark.integrations.body_size import told_size
from tallymark.integrations.django_routes import template
from tallymark.integrations.exchange import Exchange, error_type

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from types import TracebackType

    from tallymark.integrations.http_metrics import HTTPMetrics

__all__ = ["DjangoExchange"]

_VERSIONS = {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2": "2", "HTTP/2.0": "2", "HTTP/3": "3"}


_EXCHANGE = "_tallymark_exchange"
"""The attribute of a request that holds what is recorded of it, until there is a response."""


class DjangoExchange(Exchange):
    """A request under way. It is called when its response is closed, as Django calls whatever a response holds.

    In a `with` block around what makes the response, the request holds it. One that raises ends the request.
    """

    __slots__ = ("_own",)

    def __init__(self, metrics: HTTPMetrics, request: Any) -> None:
        told = request.META
        protocol = told.get("SERVER_PROTOCOL")
        version = _VERSIONS.get(protocol, "") if protocol else getattr(request, "scope", {}).get("http_version", "")
        super().__init__(metrics, metrics.line(request.method, request.scheme, version))
        self.received = told_size(told.get("CONTENT_LENGTH"), is_chunked="HTTP_TRANSFER_ENCODING" in told)
        self.request = request
        self._own: Mapping[str, object] | None = None

    @staticmethod
    def under_way(request: Any) -> DjangoExchange | None:
        """Return what is recorded of a request that has no response yet; None: nothing is."""
        found: DjangoExchange | None = getattr(request, _EXCHANGE, None)
        return found

    def __enter__(self) -> None:
        setattr(self.request, _EXCHANGE, self)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.request.__dict__.pop(_EXCHANGE, None)
        if error is not None:
            self.failed(error)

    def answered(self, response: Any) -> None:
        """Take note of a response. The request ends when that is closed, after its last byte."""
        self.status = response.status_code
        if self.status is not None and self.status < 500:
            self.error = ""  # it was handled
        self._name_route()
        if self._metrics.tags is not None:
            self._own = self._metrics.own_tags(self.request, response)
        self.request = None  # lest they hold each other: a cycle would wait for the garbage collector
        if self._metrics.registry._exemplars is not None:
            self.context = copy_context()  # at the close, the view's span has ended
        self.sent = self._size(response)
        response._resource_closers.append(self)  # what Django closes with a response: it has no public hook for that

    def failed(self, error: BaseException) -> None:
        """End the request, as it raised."""
        self.error = error_type(error)
        if self.status is None:
            self._name_route()
            if self.error:
                self.status, self.sent = 500, None  # as Django answers
        self.finish()

    def own_tags(self) -> Mapping[str, object] | None:
        return self._own if self.request is None else super().own_tags()

    def __call__(self) -> None:
        self.finish()

    def __reduce__(self) -> tuple[Callable[[], object], tuple[()]]:
        return _ended, ()  # Django's cache pickles responses, with what they hold

    def __del__(self) -> None:  # a response that nobody closed, as in tests of views
        if self.is_open:
            self.finish()

    def _name_route(self) -> None:
        try:
            self.route = template(self.request)
        except Exception as error:
            self._metrics.failed("route", error)

    def _size(self, response: Any) -> int | None:
        """Return the size of a response; of one that streams, what is counted from now on."""
        if not response.streaming:
            return len(response.content)
        if getattr(response, "file_to_stream", None) is not None:  # servers send files in their own ways: leave it alone
            return told_size(response.headers.get("Content-Length"), is_chunked=True)
        chunks = response.streaming_content
        response.streaming_content = self._counted_later(chunks) if response.is_async else self._counted(chunks)
        return 0

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        try:
            for chunk in chunks:
                self._count(chunk)
                yield chunk
        except BaseException as error:  # also where the server closes what it has not taken all of
            self.failed(error)
            raise

    async def _counted_later(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for chunk in chunks:
                self._count(chunk)
                yield chunk
        except BaseException as error:  # as above
            self.failed(error)
            raise

    def _count(self, chunk: bytes) -> None:
        if self.sent is not None:
            self.sent += len(chunk)


def _ended() -> object:
    """Return what a copy of a response holds for the request, which is over."""
    return _do_nothing


def _do_nothing() -> None:
    pass
