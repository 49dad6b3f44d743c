"""Servers for tests, in the process: they send requests to applications, and read what was recorded of them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing, nullcontext, suppress
from typing import Any
from wsgiref.util import setup_testing_defaults

import tallymark as tm
from tallymark.integrations.http_metrics import ACTIVE, DURATION, RECEIVED, SENT

Message = dict[str, Any]
Ended = tuple[str, str | None, str | None, str | None]
"""How requests ended: method, route, status, error."""


def scope_of(path: str = "/", method: str = "GET", **more: Any) -> Message:
    """Return the scope of a request, as uvicorn makes it."""
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode("utf-8", "replace"), "query_string": b"",
        "headers": [(b"host", b"localhost")], "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        "state": {}, **more,
    }  # fmt: skip


class Exchange:
    """What a server and an application say to each other.

    Args:
        messages: the client's, after which it leaves. By default one request, after which it waits for the response.

    Attributes:
        sent: the messages of the application.
        error: what it raised.
    """

    def __init__(self, messages: Iterable[Message] | None = None) -> None:
        self.sent: list[Message] = []
        self.error: BaseException | None = None
        self._waits = messages is None
        self._messages = iter([{"type": "http.request", "body": b"", "more_body": False}] if messages is None else messages)

    @property
    def status(self) -> int | None:
        return next((one["status"] for one in self.sent if one["type"] == "http.response.start"), None)

    @property
    def body(self) -> bytes:
        return b"".join([one.get("body", b"") for one in self.sent])

    async def receive(self) -> Message:
        message = next(self._messages, None)
        if message is None and self._waits:
            await asyncio.Event().wait()
        return message or {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)


async def ask(app: Any, path: str = "/", method: str = "GET", exchange: Exchange | None = None, **more: Any) -> Exchange:
    """Send a request to an ASGI application; return all that was said."""
    exchange = exchange or Exchange()
    try:
        await app(scope_of(path, method, **more), exchange.receive, exchange.send)
    except Exception as error:
        exchange.error = error
    return exchange


def environ_of(path: str = "/", method: str = "GET", **more: Any) -> dict[str, Any]:
    """Return the environ of a request."""
    environ: dict[str, Any] = {"PATH_INFO": path, "REQUEST_METHOD": method, "SERVER_PROTOCOL": "HTTP/1.1", **more}
    environ.setdefault("wsgi.input", io.BytesIO())
    setup_testing_defaults(environ)
    return environ


def ask_wsgi(app: Any, path: str = "/", method: str = "GET", **more: Any) -> tuple[str | None, bytes]:
    """Send a request to a WSGI application, as a server does; return status and body. What it raises is the server's to log."""
    begun: list[str] = []
    written: list[bytes] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        begun.append(status)
        return written.append

    with suppress(Exception):
        body = app(environ_of(path, method, **more), start_response)
        with closing(body) if hasattr(body, "close") else nullcontext():
            written.extend(body)
    return (begun[-1] if begun else None), b"".join(written)


def series_of(registry: tm.Registry, metric: str) -> list[tm.SeriesView]:
    """Return the series of a metric."""
    snapshot = registry.snapshot()
    return list(snapshot[metric]) if metric in snapshot else []


def ended(registry: tm.Registry) -> dict[Ended, int]:
    """Return how many requests ended in which way."""
    found: dict[Ended, int] = {}
    for series in series_of(registry, DURATION):
        if series.count:
            tags = series.tags
            keys = ("http.route", "http.response.status_code", "error.type")
            way = (tags.get("http.request.method", ""), *[tags.get(key) for key in keys])
            found[way] = found.get(way, 0) + series.count
    return found


def sizes(registry: tm.Registry, metric: str) -> tuple[int, float]:
    """Return how many sizes there are, and their sum."""
    found = series_of(registry, metric)
    return sum(one.count for one in found), sum(one.sum for one in found)


def received(registry: tm.Registry) -> tuple[int, float]:
    return sizes(registry, RECEIVED)


def sent(registry: tm.Registry) -> tuple[int, float]:
    return sizes(registry, SENT)


def seconds(registry: tm.Registry) -> float:
    """Return the sum of all durations."""
    return sizes(registry, DURATION)[1]


def active(registry: tm.Registry) -> float:
    """Return how many requests are active; each line must hold no less than none."""
    values = [one.value for one in series_of(registry, ACTIVE)]
    assert all(value >= 0 for value in values), values
    return sum(values)


def hello(*parts: bytes, status: int = 200) -> Callable[..., Awaitable[None]]:
    """Return an ASGI application that answers with these parts."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    return app
