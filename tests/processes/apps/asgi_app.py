"""An ASGI service whose workers share one registry: whichever of them answers, `/metrics` shows all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import tallymark as tm

registry = tm.Registry(shared=os.environ["SHARED"])
requests = registry.counter("requests")
duration = registry.timer("duration")
registry.gauge("workers", aggregate="sum").set(1)


async def app(scope: dict[str, Any], receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    assert scope["type"] == "http"  # uvicorn takes this for "there is nothing to do at startup"
    path = scope["path"]
    if path == "/metrics":
        body = tm.render_prometheus(registry.snapshot())
    else:
        with duration.time(path=path):
            await asyncio.sleep(0.003)
        body = str(os.getpid()).encode()
    requests.inc(path=path, status="200")
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
