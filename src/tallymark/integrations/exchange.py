"""`Exchange`: one request under way, and what is recorded when it ends."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from tallymark.operational.classify import class_name

if TYPE_CHECKING:
    from contextvars import Context

    from tallymark.integrations.http_metrics import HTTPMetrics, Line

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
        context: what was current when the response began, if that must be asked for an exemplar; None: what is current now.
        is_open: True until it ends.
    """

    __slots__ = ("_line", "_metrics", "_started", "context", "error", "is_open", "received", "route", "sent", "status")

    received: int | None
    sent: int | None

    def __init__(self, metrics: HTTPMetrics, line: Line) -> None:
        self._metrics = metrics
        self._line = line
        self.context: Context | None = None
        self.error = ""
        self.received = 0
        self.route: str | None = None
        self.sent = 0
        self.status: int | None = None
        self.is_open = True
        line.begin()
        self._started = perf_counter()

    def finish(self) -> None:
        """End the request, and record it. Only the first call counts."""
        if not self.is_open:
            return
        self.is_open = False
        seconds = perf_counter() - self._started
        line = self._line
        if line.is_stale:  # it began in the process that this one was forked from, and ends there
            return
        line.end()
        status = self.status
        error = self.error or (str(status) if status is not None and status >= 500 else "")
        series = line.series(self.find_route(), status, error)
        if series is None:
            return
        if self._metrics.tags is not None:
            series = self._metrics.tagged(series, *self.subject())
        if self.context is None:
            series.duration(seconds)
        else:
            self.context.run(series.duration, seconds)
        if self.received is not None:
            series.received(self.received)
        if self.sent is not None:
            series.sent(self.sent)

    def find_route(self) -> str | None:
        """Return the framework's template; None if none matched."""
        return self.route

    def subject(self) -> tuple[object, object]:
        """Return what the service's own function is given: request and response."""
        return None, None


def error_type(error: BaseException) -> str:
    """Return the convention's `error.type` of an exception: its class. Those that ask the code to stop are no error."""
    return class_name(error) if isinstance(error, Exception) else ""
