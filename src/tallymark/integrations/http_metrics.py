"""`HTTPMetrics`: what an HTTP server records of its requests, whatever its framework.

Source: OpenTelemetry's semantic conventions for HTTP metrics (servers), which name the metrics, their tags and bounds.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakSet

from tallymark.errors import TagError
from tallymark.integrations.compiled import LineFields
from tallymark.integrations.globs import Globs
from tallymark.metric import context
from tallymark.metric.registry import Registry
from tallymark.metric.rejections import failure_text
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, MutableMapping
    from typing import Any

    from tallymark.engine import Gauge
    from tallymark.integrations.exchange import Exchange

    OwnTags: TypeAlias = Callable[[Any, Any], Mapping[str, object] | None]

__all__ = ["ACTIVE", "CLAIM", "DURATION", "RECEIVED", "SENT", "HTTPMetrics", "Line", "Series"]

DURATION = "http.server.request.duration"
ACTIVE = "http.server.active_requests"
RECEIVED = "http.server.request.body.size"
SENT = "http.server.response.body.size"

DURATION_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds: those of the convention."""

OTHER = "_OTHER"
"""What a text of the client's is recorded as that is none of those that are known."""

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY")
SCHEMES = ("http", "https", "ws", "wss")
VERSIONS = ("1.0", "1.1", "2", "3")

CLAIM = "tallymark.http"
"""In the scope or environ of a request: the `HTTPMetrics` that record it. No client can write there."""

_METHODS_VARIABLE = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"
"""Of the environment: names the methods that are known, instead of `METHODS`, with commas between them."""

_MOST_KEPT = 10_000
"""Series that are found without making their tags again. It is a bound on memory: what is recorded has limits of its own."""


Series: TypeAlias = "tuple[Callable[[float], None], Callable[[float], None], Callable[[float], None]]"
"""The calls that record to the series of requests that ended alike: the duration, and the sizes of the two bodies."""


class Line(LineFields):
    """Requests with one method, scheme and version of HTTP.

    Attributes:
        begin: counts a request as active.
        end: counts it no longer.
        is_stale: True in a process that was forked since: what began before is the parent's.
        metrics: whose line it is.
        known: the series that were found before, by error, route and status: see `series`. None with own tags.
    """

    __slots__ = ("_tags", "active")

    begin: Callable[[], None]
    end: Callable[[], None]
    known: dict[str, dict[str | None, dict[int | None, Series]]]

    def __init__(self, metrics: HTTPMetrics, active: Gauge, tags: dict[str, str]) -> None:
        self.active = active
        self.begin = active.inc
        self.end = active.dec
        self.is_stale = False
        self.metrics = metrics
        self.known = {}
        self._tags = tags

    def series(self, error: str, route: str | None, status: int | None, exchange: Exchange | None = None) -> Series:
        """Return where to record requests that ended so.

        Args:
            error: the convention's `error.type`; empty: the status tells.
            route: the template; None if none matched. What is no text counts as none.
            status: of the response; None if none was begun. What is no status counts as none.
            exchange: the request, whose own tags are added.
        """
        metrics = self.metrics
        if not isinstance(route, str | None):
            metrics.failed("route", TypeError(f"a route is a text or None, not a {type(route).__name__}"))
            route = None
        if self.is_stale or (route is not None and metrics.excludes(route)):
            return _NOWHERE
        if metrics.tags is not None:
            return self._own_series(self.tags(error, route, status), exchange)
        made = metrics.bind(self.tags(error, route, status))
        if isinstance(status, int | None) and metrics.may_keep_another():
            self.known.setdefault(error, {}).setdefault(route, {})[status] = made
        return made

    def _own_series(self, tags: dict[str, str], exchange: Exchange | None) -> Series:
        """Return the series with the service's own tags added. Those of the convention win."""
        own = None if exchange is None else exchange.own_tags()
        try:
            return self.metrics.bind({**own, **tags} if own else tags)
        except (TagError, TypeError) as wrong:
            self.metrics.failed("tags", wrong)
            return self.metrics.bind(tags)

    def leave_to_parent(self) -> None:
        """In a forked child: record nothing of the requests that are under way."""
        self.is_stale = True
        self.known.clear()
        self.end = _do_nothing

    def tags(self, error: str, route: str | None, status: int | None) -> dict[str, str]:
        """Return the tags of requests that ended so."""
        tags = self._tags.copy()
        if route is not None:
            tags["http.route"] = route
        if isinstance(status, int) and 100 <= status <= 999:
            tags["http.response.status_code"] = str(int(status))
            if status >= 500:
                error = error or str(int(status))
        if error:
            tags["error.type"] = error
        return tags


def _do_nothing(number: float = 0.0) -> None:
    pass


_NOWHERE: Series = (_do_nothing, _do_nothing, _do_nothing)


class HTTPMetrics:
    """The metrics of an HTTP server: those of OpenTelemetry's conventions.

    Args:
        registry: where to record; by default the current registry.
        exclude: globs of routes or paths that are not recorded.
        tags: called for each request that ended, with request and response as the integration defines them; returns further
            tags. If it fails, the request is recorded without them.

    Attributes:
        registry: where they are.
        tags: as given.
        notes_more: True if there are own tags, or exemplars: a WSGI response notes for them what is gone at its end.
        excludes: returns True for a route or path that is not recorded.
        lines: those that were found before, by version, scheme and method: see `line`.

    Raises:
        TypeError: an argument is of the wrong type.
        MetricConflictError: one of the names belongs to another kind.
    """

    def __init__(self, registry: Registry | None = None, *, exclude: Iterable[str] = (), tags: OwnTags | None = None) -> None:
        registry = context.registry() if registry is None else registry
        check_type("registry", registry, Registry)
        if tags is not None and not callable(tags):
            raise TypeError(f"tags must be a function of request and response that returns tags, not a {type(tags).__name__}")
        self.registry = registry
        self.tags = tags
        self.notes_more = tags is not None or registry._exemplars is not None
        self.excludes = Globs(exclude)
        bounds = None if registry._exponential else DURATION_BOUNDS
        self._duration = registry.timer(DURATION, description="Duration of HTTP server requests.", buckets=bounds)
        self._received = registry.histogram(RECEIVED, description="Size of HTTP server request bodies.", unit="bytes")
        self._sent = registry.histogram(SENT, description="Size of HTTP server response bodies.", unit="bytes")
        self._active = registry.gauge(
            ACTIVE, description="Number of active HTTP server requests.", unit="{request}", aggregate="sum"
        )
        self._methods = _known_methods()
        self._kept = 0
        self.lines: dict[str, dict[str, dict[str, Line]]] = {}
        _all.add(self)

    def line(self, method: str, scheme: str, version: str) -> Line:
        """Return the line of a request that has this method, scheme and version of HTTP (`"1.1"`), as its client says."""
        try:
            return self.lines[version][scheme][method]
        except (KeyError, TypeError):
            return self._find_line(method, scheme, version)

    def claim(self, scope: MutableMapping[str, Any]) -> bool:
        """Claim a request. Return False if it is recorded to the same registry already: the application is within another one
        that is instrumented.

        Args:
            scope: of the request, or its environ.
        """
        first = scope.get(CLAIM)
        if isinstance(first, HTTPMetrics) and first.registry is self.registry:
            return False
        scope[CLAIM] = self
        return True

    def _find_line(self, method: str, scheme: str, version: str) -> Line:
        method = method if isinstance(method, str) and method in self._methods else OTHER
        scheme = scheme if scheme in SCHEMES else OTHER
        version = version if version in VERSIONS else OTHER
        lines = self.lines.setdefault(version, {}).setdefault(scheme, {})
        found = lines.get(method)
        return found or lines.setdefault(method, self._make_line(method, scheme, version))

    def _make_line(self, method: str, scheme: str, version: str) -> Line:
        tags = {"http.request.method": method, "url.scheme": scheme}
        active = self._active.with_tags(tags)
        if version != OTHER:
            tags["network.protocol.version"] = version
        return Line(self, active, tags)

    def bind(self, tags: Mapping[str, object]) -> Series:
        """Return the calls that record to the series with these tags."""
        sent = self._sent.with_tags(tags).observe
        is_bodiless = tags["http.request.method"] == "HEAD"  # servers drop what an application sends
        return (
            self._duration.with_tags(tags).record,
            self._received.with_tags(tags).observe,
            (lambda size: sent(0.0)) if is_bodiless else sent,
        )

    def own_tags(self, request: object, response: object) -> Mapping[str, object] | None:
        """Return the service's own tags for a request; None if there are none."""
        assert self.tags is not None  # noqa: S101 - the caller has looked
        try:
            own = self.tags(request, response)
            return None if own is None else dict(own)
        except Exception as error:
            self.failed("tags", error)
            return None

    def guarded(self, route: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
        """Return a function that names routes, and never raises: where `route` does, there is none."""

        def name(request: Any) -> str | None:
            try:
                return route(request)
            except Exception as error:
                self.failed("route", error)
                return None

        return name

    def failed(self, what: str, error: Exception) -> None:
        """Count and log what a function of the service's raised, that was called for a request. It never breaks the request."""
        detail = f"{what}= of the HTTP integration failed, and is left out: {failure_text(error)}"
        self.registry._rejections.note(DURATION, f"{what}_failed", lambda: detail)

    def may_keep_another(self) -> bool:
        """Return True, and count it, if one more series may be kept."""
        self._kept += 1
        return self._kept <= _MOST_KEPT

    def _leave_to_parent(self) -> None:
        """In a forked child: no request is active. Those that were will end in the parent, or are its own to count."""
        lines = [line for schemes in self.lines.values() for methods in schemes.values() for line in methods.values()]
        self.lines.clear()  # middlewares hold it
        self._kept = 0
        for line in lines:
            line.leave_to_parent()
            if not self.registry._families.is_shared and line.active.value != 0:  # shared, each process has a value of its own
                line.active.set(0)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {self.registry!r}>"


def _known_methods() -> frozenset[str]:
    named = [method.strip() for method in os.environ.get(_METHODS_VARIABLE, "").split(",")]
    return frozenset(filter(None, named)) or frozenset(METHODS)


_all: WeakSet[HTTPMetrics] = WeakSet()


def _in_child() -> None:
    for metrics in list(_all):
        metrics._leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
