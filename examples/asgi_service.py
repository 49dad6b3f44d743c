"""A service without a framework that is measured: `uvicorn examples.asgi_service:app`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tallymark.integrations.asgi import MetricsMiddleware


async def hello(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"Hello!\n"})


app = MetricsMiddleware(hello, metrics_path="/metrics", route=lambda scope: "/{path}")
