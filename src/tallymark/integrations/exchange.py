"""`Exchange`: one request under way, and what is recorded when it ends."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from tallymark.operational.classify import class_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Context
    from typing import Any, TypeAlias

    from tallymark.integrations.http_metrics import HTTPMetrics, Line

    RouteOf: TypeAlias = Callable[[Any], str | None]

__all__ = ["Exchange", "error_type"]


class Exchange:
    """One request under way: active from the moment that this is made, until `finish`.

    An integration makes one, or one of a subclass that knows the framework's requests, sets what it learns of the response,
    and calls `finish` when the last byte was handed over, or the client went.

        exchange = Exchange(metrics, metrics.line("GET", "http", "1.1"))
        exchange.status = 200
        exchange.sent = 1432
        exchange.route = "/users/{id}"
        exchange.finish()

    Attributes:
        status: of the response; None: none was begun.
        error: the convention's `error.type`; empty: what `error_type` makes of the status.
        received: bytes of the request's body; None: not known.
        sent: bytes of the response's body; None: not known.
        route: the framework's template; None: none matched.
        request: what the integration knows the request by.
        context: what was current when the response began, if that must be asked for an exemplar; None: what is current now.
        is_open: True until it ends.
    """

    __slots__ = (
        "_line", "_metrics", "_route_of", "_started", "context", "error", "is_open", "received", "request", "route", "sent",
        "status",
    )  # fmt: skip

    context: Context | None
    error: str
    is_open: bool
    received: int | None
    request: Any
    route: str | None
    sent: int | None
    status: int | None
    _route_of: RouteOf | None
    """Returns the route of a request; None: `route` is it."""

    def __init__(self, metrics: HTTPMetrics, line: Line) -> None:
        self._metrics = metrics
        self._line = line
        self._route_of = self.context = self.request = self.route = self.status = None
        self.error = ""
        self.received = self.sent = 0
        line.begin()
        self.is_open = True
        self._started = perf_counter()

    def finish(self) -> None:
        """End the request, and record it. Only the first call counts."""
        if not self.is_open:
            return
        self.is_open = False
        seconds = perf_counter() - self._started
        line = self._line
        line.end()
        error, status = self.error, self.status
        route = self.route if self._route_of is None else self._route_of(self.request)
        try:
            record, receive, send = line.known[error][route][status]
        except (KeyError, TypeError):
            record, receive, send = line.series(error, route, status, self)
        if self.context is None:
            record(seconds)
        else:
            self.context.run(record, seconds)
        if self.received is not None:
            receive(self.received)
        if self.sent is not None:
            send(self.sent)

    def leave_out(self) -> None:
        """End the request, and record nothing of it. If it has ended, do nothing."""
        if self.is_open:
            self.is_open = False
            self._line.end()

    def own_tags(self) -> Mapping[str, object] | None:
        """Return what the service's own function makes of request and response; None: nothing."""
        return self._metrics.own_tags(*self.subject())

    def subject(self) -> tuple[object, object]:
        """Return the request and the response that the service's own function is given."""
        return self.request, None


def error_type(error: BaseException) -> str:
    """Return the convention's `error.type` of an exception: its class. Those that ask the code to stop are no error."""
    return class_name(error) if isinstance(error, Exception) else ""
