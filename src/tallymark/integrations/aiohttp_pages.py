"""`Pages`: the pages of `tm.asgi_app` in an aiohttp application."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tallymark.integrations.metrics_path import check_path, is_below
from tallymark.serve.asgi import asgi_app

if TYPE_CHECKING:
    from tallymark.metric.registry import Registry
    from tallymark.serve.asgi import Message
    from tallymark.serve.auth import Auth

__all__ = ["Pages"]

_LOOK = 1.0
"""Seconds between two looks at whether a client is still there, for who waits for its end."""


class Pages:
    """The pages of a registry at a path of the application's.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: it is not a path below the application.
    """

    def __init__(self, path: str, registry: Registry, auth: Auth | None) -> None:
        self._path = check_path(path)
        self._app = asgi_app(registry, auth)

    def has(self, request: web.Request) -> bool:
        """Return True if a request is for one of the pages."""
        return is_below(self._path, request.path)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Send the page that a request is for."""
        client = _Client(request)
        await self._app(self._scope(request), client.receive, client.send)
        if client.response is None:
            return web.Response(status=503)
        if not client.is_complete and request.transport is not None:
            request.transport.abort()  # so that the client sees that the rest is missing
        return client.response

    def _scope(self, request: web.Request) -> Message:
        return {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": request.method,
            "scheme": request.scheme, "path": request.path, "root_path": self._path,
            "query_string": request.query_string.encode("utf-8", "surrogateescape"),
            "headers": [(name.lower(), value) for name, value in request.raw_headers],
        }  # fmt: skip


class _Client:
    """A client of aiohttp's, as an ASGI application sees it.

    Attributes:
        response: what was begun; None: nothing.
        is_complete: True if the last byte was handed over.
    """

    def __init__(self, request: web.Request) -> None:
        self.response: web.StreamResponse | None = None
        self.is_complete = False
        self._request = request
        self._was_received = False

    async def receive(self) -> Message:
        if not self._was_received:
            self._was_received = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while (transport := self._request.transport) is not None and not transport.is_closing():
            await asyncio.sleep(_LOOK)
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
            self.response = web.StreamResponse(status=message["status"], headers=headers)
            await self.response.prepare(self._request)
        elif self.response is not None:
            if message.get("body"):
                await self.response.write(message["body"])
            if not message.get("more_body"):
                await self.response.write_eof()
                self.is_complete = True
