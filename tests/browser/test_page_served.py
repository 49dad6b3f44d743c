"""The live page with the feed that is served: by `tm.serve`, by an ASGI server and by a WSGI server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import uvicorn
from page_viewer import Viewer
from playwright.sync_api import Browser
from starlette.applications import Starlette
from starlette.routing import Mount
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import tallymark as tm


@pytest.fixture
def registry() -> tm.Registry:
    registry = tm.Registry(tags={"service": "shop"})
    registry.timer("checkout.operation.duration").record(0.2, operation="<b>pay</b>", status="success")
    return registry


@contextmanager
def by_server(registry: tm.Registry) -> Iterator[str]:
    with tm.serve(0, registry=registry) as server:
        yield server.page_url


@contextmanager
def by_uvicorn(registry: tm.Registry) -> Iterator[str]:
    app = Starlette(routes=[Mount("/metrics", tm.asgi_app(registry))])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/metrics"
    finally:
        server.should_exit = True
        thread.join()


class Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def by_wsgi(registry: tm.Registry) -> Iterator[str]:
    """One thread for all requests: a viewer that kept it would keep itself from being answered."""
    app: Any = DispatcherMiddleware(lambda environ, start: start("404 Not Found", []), {"/metrics": tm.wsgi_app(registry)})  # type: ignore[arg-type,return-value]
    with make_server("127.0.0.1", 0, app, handler_class=Silent) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/metrics"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("served", [by_server, by_uvicorn, by_wsgi], ids=["serve", "uvicorn", "wsgi"])
def test_the_page_shows_what_the_feed_tells(chromium: Browser, registry: tm.Registry, served: Any) -> None:
    with served(registry) as url:
        viewer = Viewer(chromium, SimpleNamespace(url=url))  # type: ignore[arg-type]
        viewer.page.goto(url)
        viewer.page.wait_for_function("() => document.getElementById('status').dataset.state === 'live'")
        viewer.page.wait_for_function("() => document.getElementById('operations').innerText.includes('<b>pay</b>')")
        first = viewer.page.evaluate("document.getElementById('status-time').dateTime")
        viewer.page.wait_for_function("first => document.getElementById('status-time').dateTime !== first", arg=first)
        viewer.context.close()
    assert viewer.complaints == []
