"""`SharedPages`: who waits for a page, and who is being sent one. It bounds what many clients together can cost.

Each page is for all who asked before it was begun. So none is older than its request, and a crowd of clients that want the same
costs no more than two pages. While many pages are in the middle of being sent, no further one is made, and those who ask wait:
not for long, since after a while a new page takes the place of the oldest.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallymark.serve.limits import Limits
    from tallymark.serve.pages import Page, PageRequest
    from tallymark.serve.renderer import Renderer

__all__ = ["SharedPages"]

T = TypeVar("T")


class Timer(Protocol):
    """What will be called at some time."""

    def cancel(self) -> object:
        """Do not call it."""


class EventLoop(Protocol):
    """What is needed of an event loop. Those of asyncio have it."""

    def time(self) -> float:
        """Return the time, in seconds."""

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        """Call back at some time, in the loop's thread."""

    def call_soon_threadsafe(self, callback: Callable[[T], object], argument: T, /) -> object:
        """Call back soon, in the loop's thread, from any thread. RuntimeError if the loop has ended."""


class Client(Protocol):
    """Who asks for a page."""

    def respond(self, page: Page) -> None:
        """Begin to send the page. `SharedPages.leave` is called when no part of it is held any more."""

    def abort(self) -> None:
        """Let go of the page at once."""


class _Batch:
    """The clients of one page; first they wait for it, then they are being sent it."""

    def __init__(self, request: PageRequest) -> None:
        self.request = request
        self.clients: dict[Client, None] = {}
        self.held: list[Page] = []  # while it is being sent
        self.held_until = 0.0


class SharedPages:
    """The pages of one registry that are waited for, made and being sent. Used in the loop's thread alone.

    Attributes:
        renderer: makes the pages.
    """

    def __init__(self, renderer: Renderer, loop: EventLoop, limits: Limits) -> None:
        self.renderer = renderer
        self._loop = loop
        self._limits = limits
        self._waiting: dict[str, _Batch] = {}  # by variant; first the one that was asked for first
        self._making: _Batch | None = None
        self._sending: dict[_Batch, None] = {}  # first the oldest
        self._batches: dict[Client, _Batch] = {}
        self._stopped = False
        self._retry: Timer | None = None
        self._made = asyncio.Event()  # nothing is being made
        self._made.set()

    def ask(self, variant: str, request: PageRequest, client: Client) -> None:
        """Have the client sent the page of this variant, made after now."""
        batch = self._waiting.setdefault(variant, _Batch(request))
        batch.clients[client] = None
        self._batches[client] = batch
        self._advance()

    def leave(self, client: Client) -> None:
        """Forget a client, if it is known: it waits no longer, or holds no part of its page any more."""
        batch = self._batches.pop(client, None)
        if batch is None:
            return
        del batch.clients[client]
        if not batch.clients:
            self._sending.pop(batch, None)
            self.renderer.free(batch.held)
            self._waiting = {variant: other for variant, other in self._waiting.items() if other is not batch}
            self._advance()

    def is_idle(self) -> bool:
        """Return True if nobody waits for a page or is being sent one, and none is being made."""
        return not (self._batches or self._making)

    def stop(self) -> list[Client]:
        """Begin no further page; return the clients whose page is being made."""
        self._stopped = True
        self._forget_retry()
        return list(self._making.clients) if self._making else []

    async def close(self) -> None:
        """Await the page that is being made, and end the thread. `stop` was called before."""
        await self._made.wait()
        self.renderer.close()

    def _forget_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _advance(self) -> None:
        """Begin the next page, if one is waited for and may be made."""
        if self._stopped or self._making or not self._waiting or not self._make_room():
            return
        variant = next(iter(self._waiting))
        self._making = self._waiting.pop(variant)
        self._made.clear()
        self.renderer.make(self._making.request, self._deliver)

    def _deliver(self, page: Page) -> None:
        try:
            self._loop.call_soon_threadsafe(self._send, page)
        except RuntimeError:  # the loop has ended, and so have all who waited
            self._making = None
            self._batches.clear()

    def _make_room(self) -> bool:
        """Return True if another page may be held; take the place of the oldest if its time is over, else try again then."""
        if len(self._sending) < self._limits.pages:
            return True
        oldest = next(iter(self._sending))
        self._forget_retry()
        if self._loop.time() < oldest.held_until:
            self._retry = self._loop.call_at(oldest.held_until, self._advance)
            return False
        del self._sending[oldest]
        for client in oldest.clients:
            del self._batches[client]  # first, so that what it does when it leaves changes nothing here
            client.abort()
        self.renderer.free(oldest.held)
        return True

    def _send(self, page: Page) -> None:
        batch, self._making = self._making, None
        assert batch is not None  # noqa: S101 - the renderer makes only what it was asked for
        self._made.set()
        batch.held_until = self._loop.time() + self._limits.hold
        if batch.clients:
            self._sending[batch] = None
            batch.held.append(page)
        for client in list(batch.clients):
            client.respond(page)
        self._advance()
