"""`AppViewer`: who looks at the live page through an ASGI server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tallymark.serve.pages import EVENTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from tallymark.serve.event_loops import HostLoop
    from tallymark.serve.live.feed import Feed
    from tallymark.serve.pages import Page

__all__ = ["AppViewer", "head_of"]


class AppViewer:
    """Waits for events, and sends each in pieces. How long a client may take for one is its server's to decide."""

    def __init__(
        self, feed: Feed, send: Callable[[MutableMapping[str, Any]], Awaitable[None]], loop: HostLoop, piece: int
    ) -> None:
        self._feed = feed
        self._send = send
        self._loop = loop
        self._piece = piece
        self._event: bytes | None = None  # that is being sent
        self._changed = loop.event()
        self._ended = False

    def show(self, event: bytes) -> None:
        """Have an event sent."""
        self._event = event
        self._changed.set()

    def abort(self) -> None:
        """Let go of the event, and end."""
        self._event = None
        self._ended = True
        self._changed.set()

    async def send_events(self, head: MutableMapping[str, Any]) -> None:
        """Send the beginning, and then events, until it is to end or the client is gone."""
        try:
            await self._send(head)
            await self._send_body(EVENTS.body)
            while not self._ended:
                self._feed.is_ready(self)
                await self._changed.wait()
                self._changed = self._loop.event()
                await self._send_event()
            await self._send_body(b"", more=False)
        except OSError:  # the client is gone
            pass

    async def _send_event(self) -> None:
        start = 0
        while self._event is not None and start < len(self._event):
            piece = self._event[start : start + self._piece]
            start += len(piece)
            await self._send_body(piece)
            await self._loop.give_way()
        self._event = None

    async def _send_body(self, body: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


def head_of(page: Page) -> MutableMapping[str, Any]:
    """Return the message with the head of a response."""
    length = () if page.is_open else (("Content-Length", str(len(page.body))),)
    encoded = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in (*page.headers, *length)]
    return {"type": "http.response.start", "status": page.status, "headers": encoded}
