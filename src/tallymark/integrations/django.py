"""Django: the HTTP metrics of a project.

    MIDDLEWARE = ["tallymark.integrations.django.MetricsMiddleware", ...]
    TALLYMARK = {"metrics_path": "/metrics"}

It is one of the middlewares of Django itself: asynchronous below `get_asgi_application()`, synchronous below
`get_wsgi_application()`.
"""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import got_request_exception
from django.http import HttpResponse
from django.utils.module_loading import import_string

from tallymark.integrations.django_exchange import DjangoExchange
from tallymark.integrations.exchange import error_type
from tallymark.integrations.http_metrics import HTTPMetrics
from tallymark.integrations.metrics_path import check_path, is_below

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tallymark.metric.registry import Registry
    from tallymark.serve.auth import Auth
    from tallymark.serve.wsgi import WSGIApp

__all__ = ["MetricsMiddleware"]

_SETTINGS = ("auth", "exclude", "metrics_path", "registry", "tags")
_IMPORTED = ("auth", "registry", "tags")
"""Those that may be a dotted path."""


class MetricsMiddleware:
    """Records the metrics of OpenTelemetry's HTTP conventions. Put it first, so that it sees what the others answer.

    A request ends when its response is closed: after its last byte, or when its client has gone.

    The setting `TALLYMARK` is a dictionary, whose keys may all be left out:

    - `metrics_path`: serve the pages of `tm.wsgi_app` at this path, such as `"/metrics"`. They are not recorded.
    - `exclude`: globs of routes or paths that are not recorded, such as `("/healthz", "/internal/*")`.
    - `registry`: where to record, or a dotted path to it; by default the current registry.
    - `tags`: a function, or a dotted path to it. It is called with each request that was answered and its response (None: there
      was none), and returns further tags. If it fails, the request is recorded without them.
    - `auth`: what `metrics_path` asks of clients, as for `tm.wsgi_app`, or a dotted path to it.

    Raises:
        ImproperlyConfigured: `TALLYMARK` is no dictionary, or has a key that there is not.
        ImportError: there is nothing at a dotted path.
        TypeError: a setting is of the wrong type.
        ValueError: `metrics_path` is not a path.
        MetricConflictError: a metric of the convention's name exists, and differs.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        chosen = _chosen()
        self.get_response = get_response
        self.metrics = HTTPMetrics(chosen.get("registry"), exclude=chosen.get("exclude", ()), tags=chosen.get("tags"))
        path = chosen.get("metrics_path")
        self._pages = None if path is None else _Pages(path, self.metrics.registry, chosen.get("auth"))
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        if self._is_async:
            return self._answer_later(request)
        if self._pages is not None and self._pages.has(request):
            return self._pages.answer(request)
        exchange = self._begin(request)
        if exchange is None:
            return self.get_response(request)
        with exchange:
            response = self.get_response(request)
        exchange.answered(response)
        return response

    async def _answer_later(self, request: Any) -> Any:
        if self._pages is not None and self._pages.has(request):
            return await self._pages.answer_later(request)
        exchange = self._begin(request)
        if exchange is None:
            return await self.get_response(request)
        with exchange:
            response = await self.get_response(request)
        exchange.answered(response)
        return response

    def _begin(self, request: Any) -> DjangoExchange | None:
        """Return what is recorded of a request; None: nothing is."""
        above = getattr(request, "environ", None) or getattr(request, "scope", None) or {}
        if self.metrics.excludes(request.path_info) or not self.metrics.claim(above):
            return None
        return DjangoExchange(self.metrics, request)

    def __repr__(self) -> str:
        return f"<MetricsMiddleware of {self.get_response!r}>"


def _note_error(sender: object, request: Any = None, **_: object) -> None:
    """Keep which exception a response of status 500 is for: to the middlewares, Django gives the response alone."""
    exchange = DjangoExchange.under_way(request)
    error = sys.exc_info()[1]
    if exchange is not None and error is not None:
        exchange.error = error_type(error)


got_request_exception.connect(_note_error)


class _Pages:
    """The pages of a registry at a path of the project's."""

    def __init__(self, path: str, registry: Registry, auth: Auth | None) -> None:
        from tallymark.serve.wsgi import wsgi_app

        self._path = check_path(path)
        self._app: WSGIApp = wsgi_app(registry, auth)

    def has(self, request: Any) -> bool:
        return is_below(self._path, request.path_info)

    def answer(self, request: Any) -> HttpResponse:
        begun: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            begun.extend((status, headers))

        told = request.META
        moved = {"SCRIPT_NAME": told.get("SCRIPT_NAME", "") + self._path, "PATH_INFO": request.path_info[len(self._path) :]}
        body = self._app({**told, **moved}, start_response)
        status, headers = begun
        return HttpResponse(b"".join(body), status=HTTPStatus(int(status[:3])), headers=dict(headers))

    def answer_later(self, request: Any) -> Awaitable[HttpResponse]:
        return sync_to_async(self.answer, thread_sensitive=False)(request)


def _chosen() -> dict[str, Any]:
    chosen = getattr(settings, "TALLYMARK", {})
    if not isinstance(chosen, dict):
        raise ImproperlyConfigured(f"TALLYMARK must be a dictionary, not {type(chosen).__name__}")
    for key in chosen:
        if key not in _SETTINGS:
            raise ImproperlyConfigured(f"TALLYMARK has no key {key!r}; its keys are {', '.join(_SETTINGS)}")
    return {
        key: import_string(value) if key in _IMPORTED and isinstance(value, str) else value for key, value in chosen.items()
    }
