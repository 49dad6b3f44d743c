"""A small ASGI application, and a server that runs one request."""

from __future__ import annotations

import asyncio
from typing import Any

from http_driver import scope_of

START = {"type": "http.response.start", "status": 200, "headers": []}
PART = {"type": "http.response.body", "body": b"part", "more_body": True}
END = {"type": "http.response.body", "body": b"end"}


async def answers(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers in two parts."""
    await send(START)
    await send(PART)
    await send(END)


async def ignore(message: Any) -> None:
    """A server's `send` that sends nothing."""


async def nothing() -> Any:
    """A server's `receive` of a request without a body."""
    return {"type": "http.request", "body": b""}


async def suspends(message: Any) -> None:
    """A server's `send` that lets others run."""
    await asyncio.sleep(0)


def run(middleware: Any, send: Any = ignore) -> None:
    """Run one request."""
    asyncio.run(middleware(scope_of(), nothing, send))
