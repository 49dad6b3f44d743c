"""Runs of the integrations of Django and aiohttp, in which they record all that they can record."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import tallymark as tm


@contextmanager
def silence() -> Iterator[None]:
    """Keep frameworks from logging that a request failed."""
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def django(registry: tm.Registry) -> None:
    """Have Django answer, and fail."""
    import django_site
    from django.core.handlers.wsgi import WSGIHandler
    from http_driver import ask_wsgi

    assert django_site.urlpatterns
    handler = WSGIHandler()
    with silence():
        for path in ("/articles/1999/", "/fails/"):
            ask_wsgi(handler, path)


def aiohttp(registry: tm.Registry) -> None:
    """Have aiohttp answer, and fail."""
    from aiohttp import web
    from aiohttp.test_utils import TestClient, TestServer

    async def hello(request: Any) -> Any:
        if "fail" in request.query:
            raise RuntimeError
        return web.Response(text="hello")

    async def main() -> None:
        app = web.Application()
        app.add_routes([web.get("/{name}", hello)])
        tm.integrations.aiohttp.instrument(app)
        async with TestClient(TestServer(app)) as client:
            for path in ("/a", "/a?fail"):
                with suppress(RuntimeError):
                    await client.get(path)

    with silence():
        asyncio.run(main())
