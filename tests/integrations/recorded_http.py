"""Runs of the integrations of HTTP servers, in which they record all that they can record."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from wsgiref.util import setup_testing_defaults

from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import tallymark as tm
from tallymark import integrations
from tallymark.integrations.asgi import MetricsMiddleware
from tallymark.integrations.wsgi import MetricsMiddleware as WSGIMetricsMiddleware


def asgi(registry: tm.Registry) -> None:
    """Have an ASGI application answer, and fail."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/fails":
            raise RuntimeError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    asyncio.run(ask_asgi(MetricsMiddleware(app, registry=registry, route=lambda scope: "/hello"), ["/hello", "/fails"]))


async def ask_asgi(app: Any, paths: Iterable[str]) -> None:
    """Send requests to an ASGI application, without a server."""

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    for path in paths:
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": b"", "headers": [(b"host", b"localhost")], "root_path": "",
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        }  # fmt: skip
        with suppress(RuntimeError):
            await app(scope, receive, send)


def starlette(registry: tm.Registry) -> None:
    """Have a Starlette application answer, and fail."""

    async def hello(request: Any) -> PlainTextResponse:
        return PlainTextResponse("hello")

    app = Starlette(routes=[Route("/hello", hello), Route("/fails", fail)])
    integrations.starlette.instrument(app, registry=registry)
    asyncio.run(ask_asgi(app, ["/hello", "/fails"]))


def fastapi(registry: tm.Registry) -> None:
    """Have a FastAPI application answer, and fail."""
    app = FastAPI()
    app.get("/hello")(lambda: "hello")
    app.get("/fails")(lambda: fail(None))
    integrations.fastapi.instrument(app, registry=registry)
    asyncio.run(ask_asgi(app, ["/hello", "/fails"]))


def flask(registry: tm.Registry) -> None:
    """Have a Flask application answer, and fail."""
    app = Flask("recorded")
    app.logger.disabled = True
    app.add_url_rule("/hello", view_func=lambda: "hello", endpoint="hello")
    app.add_url_rule("/fails", view_func=lambda: fail(None), endpoint="fails")
    integrations.flask.instrument(app, registry=registry)
    ask_wsgi(app, ["/hello", "/fails"])


def fail(request: Any) -> Any:
    raise RuntimeError


def wsgi(registry: tm.Registry) -> None:
    """Have a WSGI application answer, and fail."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/fails":
            raise RuntimeError
        start_response("200 OK", [])
        return [b"hello"]

    ask_wsgi(WSGIMetricsMiddleware(app, registry=registry, route=lambda environ: "/hello"), ["/hello", "/fails"])


def ask_wsgi(app: Any, paths: Iterable[str]) -> None:
    """Send requests to a WSGI application, without a server."""
    for path in paths:
        environ: dict[str, Any] = {"PATH_INFO": path, "SERVER_PROTOCOL": "HTTP/1.1"}
        setup_testing_defaults(environ)
        with suppress(RuntimeError):
            body = app(environ, lambda status, headers, exc_info=None: None)
            list(body)
            body.close()
