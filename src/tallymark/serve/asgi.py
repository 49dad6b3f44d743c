"""`asgi_app`: the metrics in an ASGI server of the service's own.

Source: the ASGI specification, version 3.0, and its protocols for HTTP, WebSocket and lifespan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tallymark.metric import context
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type
from tallymark.serve.app_pages import AppPages
from tallymark.serve.auth import check_auth, refusal
from tallymark.serve.event_loops import running_loop
from tallymark.serve.live.app_viewer import AppViewer, head_of
from tallymark.serve.mount import path_below
from tallymark.serve.pages import EVENTS, TOO_MANY_VIEWERS, PageRequest, error_page, is_for_events, page, variant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from tallymark.serve.auth import Auth
    from tallymark.serve.event_loops import HostLoop
    from tallymark.serve.pages import Page

    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]

__all__ = ["ASGIApp", "asgi_app"]

_TOO_LATE = error_page(503)


def asgi_app(registry: Registry | None = None, auth: Auth | None = None) -> ASGIApp:
    """Return an ASGI application that has the pages of `serve`: the live page at `/`, `/metrics` and `/healthz`.

    Below a prefix (`root_path`), browsers find the live page at the prefix itself, all others the metrics. Metrics are read
    and rendered in a thread of the app's own, so that the event loop goes on. asyncio and trio are supported.

    Args:
        registry: whose metrics; by default the current registry at the time of this call.
        auth: `tm.BasicAuth(user, password)` or `tm.BearerAuth(token)`: what clients must give, but for `/healthz`.

    Raises:
        TypeError: an argument is of the wrong type.
    """
    registry = context.registry() if registry is None else registry
    check_type("registry", registry, Registry)
    check_auth(auth)
    return ASGIApp(registry, auth)


class ASGIApp:
    """An ASGI application; made by `asgi_app`."""

    def __init__(self, registry: Registry, auth: Auth | None) -> None:
        self._registry = registry
        self._auth = auth
        self._pages = AppPages(registry)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._answer(scope, receive, send)
        elif kind == "lifespan":
            await _live(receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        else:  # as the specification asks
            raise ValueError(f"tm.asgi_app() serves http, not {kind!r}")

    def __repr__(self) -> str:
        return f"<ASGIApp of {self._registry!r}>"

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        request, loop = _request_of(scope), running_loop()
        client = _Client(send, loop, self._pages.limits.piece, is_bodiless=request.method == "HEAD")
        try:
            if refused := refusal(self._auth, request):
                client.respond(refused)
            elif is_for_events(request):
                await self._watch(client, receive, send, loop)
                return
            elif kind := variant(request):
                await self._scrape(kind, request, client, loop)
                return
            else:
                client.respond(page(request, self._registry))
            await client.send_page()
        except OSError:  # the client is gone
            pass

    async def _scrape(self, kind: str, request: PageRequest, client: _Client, loop: HostLoop) -> None:
        pages = self._pages.of(loop)
        pages.ask(kind, request, client)
        deadline = loop.call_at(loop.time() + self._pages.limits.page, client.give_up)
        try:
            await client.made.wait()
            deadline.cancel()
            await client.send_page()
        finally:  # also if the task is cancelled
            deadline.cancel()
            client.abort()
            pages.leave(client)
            self._pages.forget_idle()

    async def _watch(self, client: _Client, receive: Receive, send: Send, loop: HostLoop) -> None:
        feed = self._pages.feed_of(loop)
        viewer = AppViewer(feed, send, loop, self._pages.limits.piece)
        if client.is_bodiless or not feed.join(viewer):
            client.respond(EVENTS if client.is_bodiless else TOO_MANY_VIEWERS)
            await client.send_page()
            return
        try:
            await loop.first(lambda: viewer.send_events(head_of(EVENTS)), lambda: _disconnected(receive))
        finally:  # also if the task is cancelled
            feed.leave(viewer)
            self._pages.forget_idle()


class _Client:
    """Who asked: waits for a page, and is then sent it in pieces, between which others have their turn.

    Attributes:
        made: set when there is a page to send.
        is_bodiless: whether only the head is sent.
    """

    def __init__(self, send: Send, loop: HostLoop, piece: int, *, is_bodiless: bool) -> None:
        self.made = loop.event()
        self._send = send
        self._loop = loop
        self._piece = piece
        self.is_bodiless = is_bodiless
        self._page: Page | None = None
        self._begun = False

    def respond(self, page: Page) -> None:
        """Have a page sent."""
        self._page = page
        self.made.set()

    def abort(self) -> None:
        """Let go of the page: there must be room for another one, and the client has had its time."""
        self._page = None if self._begun else _TOO_LATE

    def give_up(self) -> None:
        """Wait no longer."""
        if self._page is None and not self._begun:
            self.respond(_TOO_LATE)

    async def send_page(self) -> None:
        """Send the page. If it is let go of in the midst, the server sees that the rest is missing, and ends the connection."""
        assert self._page is not None  # noqa: S101 - it was made
        self._begun = True
        await self._send(head_of(self._page))
        start, more = 0, True
        while more and self._page is not None:
            piece = b"" if self.is_bodiless else self._page.body[start : start + self._piece]
            start += len(piece)
            more = bool(piece) and start < len(self._page.body)
            await self._send({"type": "http.response.body", "body": piece, "more_body": more})
            await self._loop.give_way()


def _request_of(scope: Message) -> PageRequest:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    prefix, path = path_below(scope.get("root_path", ""), scope["path"])
    return PageRequest(scope["method"], path, scope.get("query_string", b"").decode("latin-1"), headers, prefix)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":  # the body of a request is not read
        pass


async def _live(receive: Receive, send: Send) -> None:
    """Take part in the start and the end of a server. The app has nothing to do for them."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})
