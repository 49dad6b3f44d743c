"""`HTTPMetrics`: what an HTTP server records of its requests, whatever its framework.

Source: OpenTelemetry's semantic conventions for HTTP metrics (servers), which name the metrics, their tags and bounds.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakSet

from tallymark.integrations.globs import Globs
from tallymark.metric import context
from tallymark.metric.registry import Registry
from tallymark.metric.rejections import failure_text
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeAlias

    from tallymark.engine import Gauge

    OwnTags: TypeAlias = Callable[[Any, Any], Mapping[str, object] | None]

__all__ = ["ACTIVE", "DURATION", "RECEIVED", "SENT", "HTTPMetrics", "Line", "Series"]

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

_METHODS_VARIABLE = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"
"""Of the environment: names the methods that are known, instead of `METHODS`, with commas between them."""

_MOST_KEPT = 10_000
"""Series that are found without making their tags again. It is a bound on memory: what is recorded has limits of its own."""


class Series(NamedTuple):
    """The series of requests that ended alike, and the calls that record to them."""

    tags: dict[str, str]
    duration: Callable[[float], None]
    received: Callable[[float], None]
    sent: Callable[[float], None]


class Line:
    """Requests with one method, scheme and version of HTTP.

    Attributes:
        begin: counts a request as active.
        end: counts it no longer.
        is_stale: True in a process that was forked since: what began before is the parent's.
    """

    __slots__ = ("_metrics", "_series", "_tags", "active", "begin", "end", "is_stale")

    def __init__(self, metrics: HTTPMetrics, active: Gauge, tags: dict[str, str]) -> None:
        self.active = active
        self.begin: Callable[[], None] = active.inc
        self.end: Callable[[], None] = active.dec
        self.is_stale = False
        self._metrics = metrics
        self._tags = tags
        self._series: dict[str | None, dict[int | None, dict[str, Series | None]]] = {}

    def series(self, route: str | None, status: int | None, error: str) -> Series | None:
        """Return where to record requests that ended so; None if the route is excluded.

        Args:
            route: the template; None if none matched.
            status: of the response; None if none was begun.
            error: the convention's `error.type`; empty if there was no error.
        """
        try:
            return self._series[route][status][error]
        except KeyError:
            return self._add(route, status, error)

    def _add(self, route: str | None, status: int | None, error: str) -> Series | None:
        metrics = self._metrics
        made = None if route is not None and metrics.excludes(route) else metrics.bind(self._end_tags(route, status, error))
        if metrics.may_keep_another():
            self._series.setdefault(route, {}).setdefault(status, {})[error] = made
        return made

    def _end_tags(self, route: str | None, status: int | None, error: str) -> dict[str, str]:
        tags = self._tags.copy()
        if route is not None:
            tags["http.route"] = route
        if status is not None:
            tags["http.response.status_code"] = str(status)
        if error:
            tags["error.type"] = error
        return tags


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
        excludes: returns True for a route or path that is not recorded.

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
        self._lines: dict[str, dict[str, dict[str, Line]]] = {}
        _all.add(self)

    def line(self, method: str, scheme: str, version: str) -> Line:
        """Return the line of a request that has this method, scheme and version of HTTP (`"1.1"`), as its client says."""
        try:
            return self._lines[version][scheme][method]
        except (KeyError, TypeError):
            return self._find_line(method, scheme, version)

    def _find_line(self, method: str, scheme: str, version: str) -> Line:
        method = method if method in self._methods else OTHER
        scheme = scheme if scheme in SCHEMES else OTHER
        version = version if version in VERSIONS else OTHER
        lines = self._lines.setdefault(version, {}).setdefault(scheme, {})
        found = lines.get(method)
        return found or lines.setdefault(method, self._make_line(method, scheme, version))

    def _make_line(self, method: str, scheme: str, version: str) -> Line:
        tags = {"http.request.method": method, "url.scheme": scheme}
        active = self._active.with_tags(tags)
        if version != OTHER:
            tags["network.protocol.version"] = version
        return Line(self, active, tags)

    def bind(self, tags: dict[str, str]) -> Series:
        """Return the series with these tags."""
        return Series(
            tags,
            self._duration.with_tags(tags).record,
            self._received.with_tags(tags).observe,
            self._sent.with_tags(tags).observe,
        )

    def tagged(self, series: Series, request: object, response: object) -> Series:
        """Return the series of a request with the service's own tags added. Those of the convention win."""
        assert self.tags is not None  # noqa: S101 - the caller has looked
        try:
            own = self.tags(request, response)
            return self.bind({**own, **series.tags}) if own else series  # type: ignore[dict-item]  # texts are made of all
        except Exception as error:
            self.failed("tags", error)
            return series

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
        lines = [line for schemes in self._lines.values() for methods in schemes.values() for line in methods.values()]
        self._lines = {}
        self._kept = 0
        for line in lines:
            line.is_stale = True
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
