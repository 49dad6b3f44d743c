"""The objects of a request, no more than the protocols demand: counted at CPython's allocators, with and without.

ASGI: the coroutine that an application is. The request under way, which is `send` too, its method `receive`, and what the last
`send` returns are kept for the next request.

WSGI: none. The response, which is the server's iterator and `start_response` too, and its method `write` are kept as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tallymark as tm
from tallymark.bench.allocations import allocations_per_op
from tallymark.integrations.asgi import MetricsMiddleware
from tallymark.integrations.wsgi import MetricsMiddleware as WSGIMetricsMiddleware

START = {"type": "http.response.start", "status": 200, "headers": []}
BODY = {"type": "http.response.body", "body": b"hello"}
SCOPE: dict[str, Any] = {"type": "http", "method": "GET", "scheme": "http", "http_version": "1.1", "path": "/", "headers": []}
ENVIRON: dict[str, Any] = {"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "PATH_INFO": "/"}
WHOLE = [b"hello"]
MARK = "tallymark.http"


END = iter(())


class Done:
    """What can be awaited, and is not made anew."""

    def __await__(self) -> Any:
        return END


DONE: Any = Done()


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(BODY)


def answer(message: Any) -> Any:
    return DONE


def wsgi_app(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", WHOLE)
    return WHOLE


def ignore(status: str, headers: Any) -> Any:
    return None


def of_asgi(application: Any) -> float:
    """Return the allocations of one request."""

    def loop(iterations: Iterable[None]) -> None:
        for _ in iterations:
            SCOPE[MARK] = None  # as in a new one
            try:  # noqa: SIM105 - it would be counted
                application(SCOPE, None, answer).send(None)
            except StopIteration:
                pass

    return allocations_per_op(loop)[0]


def of_wsgi(application: Any) -> float:
    def loop(iterations: Iterable[None]) -> None:
        for _ in iterations:
            ENVIRON[MARK] = None
            response = application(ENVIRON, ignore)
            for _ in response:
                pass
            if response is not WHOLE:
                response.close()

    return allocations_per_op(loop)[0]


def test_the_objects_of_a_request_under_asgi(native: tm.Registry) -> None:
    middleware = MetricsMiddleware(app, registry=native, route=lambda scope: "/")
    assert of_asgi(middleware) - of_asgi(app) == 1


def test_the_objects_of_a_request_under_wsgi(native: tm.Registry) -> None:
    middleware = WSGIMetricsMiddleware(wsgi_app, registry=native, route=lambda environ: "/")
    assert of_wsgi(middleware) - of_wsgi(wsgi_app) == 0
