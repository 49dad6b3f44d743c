"""`Connection`: one client's connection. It is a state machine without a task:

    awaiting a head -> awaiting the page -> sending the response -> awaiting a head ...
                                         -> sending the last response -> awaiting the client's end
                    -> sending an event -> awaiting the next -> sending an event ...

With TLS, the handshake is a part of awaiting the first head. Each state has one deadline, set on entry. Nothing that the client
does meanwhile moves it, so sending slowly gains no time. While a request is being answered nothing is read, so that pipelined
requests wait in the kernel's buffers, not in ours. A page is handed to the kernel in pieces: what a connection holds for itself
is one of them.

Who looks at the live page stays until it leaves: each piece of an event has a deadline, the wait for the next one has none.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from tallymark.serve.auth import refusal
from tallymark.serve.hosts import is_loopback
from tallymark.serve.pages import EVENTS, LIVE, TOO_MANY_VIEWERS, error_page, is_for_events, page, variant
from tallymark.serve.wire import HeadReader, RequestError, encode_head, parse_head

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallymark.serve.endpoint import Endpoint
    from tallymark.serve.pages import Page
    from tallymark.serve.wire import Request

__all__ = ["Connection"]

_NOT_OUR_NAME = error_page(403, remedy="no such name is known here. Use an IP address, or name the host in serve(hosts=...)")
_TOO_LATE = error_page(503)
_NOTHING = memoryview(b"")


class Connection(asyncio.BufferedProtocol):
    """Reads a request, sends the whole response, and only then reads on.

    Attributes:
        is_waiting: whether the client waits for its page to be made.
        is_viewer: whether it is sent events.
        has_scraped: whether it was sent metrics.
    """

    _transport: asyncio.Transport
    _deadline: asyncio.TimerHandle

    def __init__(self, endpoint: Endpoint, accepted: socket.socket) -> None:
        self._endpoint = endpoint
        self._loop = endpoint.loop
        self._socket = accepted
        self._heads = HeadReader(endpoint.limits.head_bytes)
        self._unsent = _NOTHING  # of the page that is being sent
        self.is_waiting = self.is_viewer = self.has_scraped = False
        self._made = self._aborted = False
        self._idle = False  # between two requests
        self._last = False  # no request is read any more
        self._bodiless = False  # the response is to HEAD
        self._blocked = False  # the kernel has not taken all that it was given

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._made = True
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(0)  # so that `resume_writing` means: the kernel has taken everything
        self._deadline = self._loop.call_later(self._endpoint.limits.head, self.abort)
        if self._aborted:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._deadline.cancel()
        self._let_go()

    def fileno(self) -> int:
        """Return the socket's descriptor, or -1 once it is closed."""
        return self._socket.fileno()

    def abort(self) -> None:
        """Close the connection at once, whatever it is doing."""
        self._aborted = True
        self._let_go()
        if self._made:
            self._transport.abort()

    def _let_go(self) -> None:
        self._unsent = _NOTHING
        self._endpoint.pages.leave(self)
        self._endpoint.feed.leave(self)
        self._endpoint.forget(self)

    def _allow(self, seconds: float, otherwise: Callable[[], None] | None = None) -> None:
        self._deadline.cancel()
        self._deadline = self._loop.call_later(seconds, otherwise or self.abort)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._endpoint.received

    def buffer_updated(self, nbytes: int) -> None:
        if self._last:
            return
        if self._idle:
            self._idle = False
            self._allow(self._endpoint.limits.head)
        self._heads.feed(self._endpoint.received[:nbytes])
        self._read()

    def _read(self) -> None:
        """Answer the first request that has arrived, if its head is complete."""
        try:
            head = self._heads.take()
            if head is None:
                return
            request = parse_head(head)
        except RequestError as error:
            self.reject(error_page(error.status))
        else:
            self._answer(request)

    def reject(self, page: Page) -> None:
        """Send a page to a client whose further bytes cannot be understood."""
        self._last = True
        self.respond(page)

    def _answer(self, request: Request) -> None:
        self._endpoint.note_progress(self)
        self._last = not request.keep_alive
        self._bodiless = request.asked.method == "HEAD"
        if not self._endpoint.hosts.admits(request.asked.headers.get("host", ""), within_machine=self._is_within_machine()):
            self.respond(_NOT_OUR_NAME)
        elif refused := refusal(self._endpoint.auth, request.asked):
            self.respond(refused)
        elif is_for_events(request.asked):
            self._watch()
        elif kind := variant(request.asked):
            self.is_waiting = True
            self.has_scraped = kind != LIVE
            self._pause()
            self._allow(self._endpoint.limits.page, self._give_up)
            self._endpoint.pages.ask(kind, request.asked, self)
        else:
            self.respond(page(request.asked, self._endpoint.registry))

    def _is_within_machine(self) -> bool:
        try:
            return is_loopback(self._socket.getsockname()[0])
        except OSError:  # the client is gone
            return True

    def _give_up(self) -> None:
        self._endpoint.pages.leave(self)
        self.respond(_TOO_LATE)

    def _watch(self) -> None:
        """Begin to send events. What the client sends from now on is discarded."""
        self._last = True
        self._heads.clear()
        if self._bodiless:
            self.respond(EVENTS)
        elif self._endpoint.feed.join(self):
            self.is_viewer = True
            self.show(encode_head(EVENTS, keep_alive=False) + EVENTS.body)
        else:
            self.respond(TOO_MANY_VIEWERS)

    def show(self, event: bytes) -> None:
        """Begin to send an event."""
        self._deadline.cancel()
        size = self._endpoint.limits.piece
        self._unsent = memoryview(event)[size:]
        self._write(memoryview(event)[:size])

    def respond(self, page: Page) -> None:
        """Begin to send a page."""
        self.is_waiting = False
        self._pause()
        self._allow(self._endpoint.limits.response)
        head = encode_head(page, keep_alive=not self._last)
        body = _NOTHING if self._bodiless else memoryview(page.body)
        first = max(0, self._endpoint.limits.piece - len(head))
        self._unsent = body[first:]
        self._write(head + body[:first])

    def _pause(self) -> None:
        if self._transport.is_reading():
            self._transport.pause_reading()

    def _write(self, piece: bytes | memoryview) -> None:
        self._transport.write(piece)
        if not self._blocked:
            # Not at once: between two pieces or pipelined requests, other connections get their turn.
            self._loop.call_soon(self._sent)

    def pause_writing(self) -> None:
        self._blocked = True
        if self.is_viewer:  # who has time for each piece that the kernel does not take at once
            self._allow(self._endpoint.limits.response)

    def resume_writing(self) -> None:
        self._blocked = False
        self._loop.call_soon(self._sent)

    def _sent(self) -> None:
        """Go on after the kernel has taken all that it was given."""
        if self._transport.is_closing():
            return
        self._endpoint.note_progress(self)
        if self._unsent:
            size = self._endpoint.limits.piece
            piece, self._unsent = self._unsent[:size], self._unsent[size:]
            if self.is_viewer:
                self._deadline.cancel()
            self._write(piece)
        elif self.is_viewer:
            self._unsent = _NOTHING
            self._deadline.cancel()
            self._endpoint.feed.is_ready(self)
        else:
            self._complete()

    def _complete(self) -> None:
        self._unsent = _NOTHING  # what is left of the page is empty, and yet holds all of it
        self._endpoint.pages.leave(self)
        self._transport.resume_reading()
        self._bodiless = False
        if self._last:
            self._finish()
            return
        self._idle = not self._heads
        self._allow(self._endpoint.limits.idle if self._idle else self._endpoint.limits.head)
        self._read()

    def _finish(self) -> None:
        # Closing a socket that has unread bytes resets the connection, and the client may lose the response. So only our
        # direction ends here; what still arrives is discarded, until the client closes or the response's deadline is over.
        self._heads.clear()
        with suppress(OSError):  # the client may be gone
            self._transport.write_eof()
