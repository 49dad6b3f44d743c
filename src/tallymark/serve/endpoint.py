"""`Endpoint`: the metrics endpoint's event loop, and which connections may be open.

All of it runs in the endpoint's own thread, except `stop` and `abandon`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tallymark.log import logger
from tallymark.serve.connection import Connection
from tallymark.serve.limits import most_descriptors
from tallymark.serve.live.feed import Feed
from tallymark.serve.renderer import Renderer
from tallymark.serve.shared_pages import SharedPages
from tallymark.serve.tls_transport import TLSTransport

if TYPE_CHECKING:
    from tallymark.metric.registry import Registry
    from tallymark.serve.auth import Auth
    from tallymark.serve.hosts import Hosts
    from tallymark.serve.limits import Limits
    from tallymark.serve.tls import TLS

__all__ = ["Endpoint"]

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE = 1.0
"""Seconds without accepting, after it failed and no connection could be closed for it."""
_TURNS = 16
"""Turns of the loop in which as many connections could be accepted as may be open."""
_ALWAYS = 4
"""Connections that may be open however few descriptors are free."""


class Endpoint:
    """Serves a registry's metrics on a listening socket, which it owns from then on.

    Attributes:
        registry: whose metrics are served.
        hosts: the names by which clients may ask.
        limits: what clients may cost.
        auth: what clients must give, if anything.
        loop: the event loop. Always asyncio's own, whatever policy the application sets.
        pages: the pages that take time.
        feed: who looks at the live page.
        received: where a connection finds what it received, until the next one receives something.
    """

    def __init__(
        self,
        listener: socket.socket,
        registry: Registry,
        hosts: Hosts,
        limits: Limits,
        tls: TLS | None = None,
        auth: Auth | None = None,
    ) -> None:
        self.registry = registry
        self.hosts = hosts
        self.limits = limits
        self.auth = auth
        self._tls = tls
        self.received = memoryview(bytearray(limits.head_bytes))
        self._listener = listener
        self._listener.setblocking(False)
        self._connections: dict[Connection, None] = {}  # first the one without progress for longest
        self._logged: set[str] = set()
        self._stopping = asyncio.Event()
        self._runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
        self.loop = self._runner.get_loop()
        self.loop.set_exception_handler(self._log)
        self.loop.set_debug(False)  # in Python's development mode, each large page would be logged as a slow callback
        renderer = Renderer(registry)
        self.pages = SharedPages(renderer, self.loop, limits)
        self.feed = Feed(renderer, self.loop, limits, most=lambda: min(limits.viewers, self._share() // 2))

    def run(self) -> None:
        """Serve until `stop` is called; then close everything."""
        try:
            self._runner.run(self._serve())
        finally:
            self.release()

    def stop(self) -> None:
        """Make `run` return soon. May be called from any thread, at any time."""
        with suppress(RuntimeError):  # the loop is closed already
            self.loop.call_soon_threadsafe(self._stopping.set)

    def release(self) -> None:
        """Close what the endpoint owns. It must not be running."""
        self._listener.close()
        self._runner.close()

    def abandon(self) -> None:
        """In a forked child: give up the sockets, which are the parent's to serve.

        The loop is left as it is: closing it would undo the registrations of the parent's, as they share an epoll descriptor. A
        connection's descriptor is redirected to the null device, so that the socket object still owns it.
        """
        self._listener.close()
        null = os.open(os.devnull, os.O_RDWR)
        for connection in self._connections:
            if (descriptor := connection.fileno()) >= 0:
                os.dup2(null, descriptor, inheritable=False)
        os.close(null)

    async def _serve(self) -> None:
        self._listen()
        await self._stopping.wait()
        self.loop.remove_reader(self._listener)
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))  # connections that are being accepted
        self.feed.stop()
        promised = self.pages.stop()
        for connection in [connection for connection in self._connections if connection not in promised]:
            connection.abort()
        await self.pages.close()
        while self._connections:
            self._evict()
        await asyncio.sleep(0)  # the turn in which the transports close their sockets

    def _listen(self) -> None:
        if not self._stopping.is_set():
            self.loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        """Accept some connections: not many in one turn of the loop, in which those that must make room are closed."""
        share = self._share()
        batch = max(1, share // _TURNS)
        for _ in range(batch):
            try:
                accepted = self._listener.accept()[0]
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._refrain(error)
                return
            self._make_room(accepted.fileno(), max(_ALWAYS, share - batch))
            connection = Connection(self, accepted)
            self._connections[connection] = None
            self.loop.create_task(self._connect(connection, accepted))

    def _share(self) -> int:
        """Return how many descriptors may be taken, of those that are still open and those that are about to be closed."""
        return int(min(self.limits.connections * (1 + 1 / _TURNS), most_descriptors() * self.limits.share))

    async def _connect(self, connection: Connection, accepted: socket.socket) -> None:
        try:
            await self.loop.connect_accepted_socket(lambda: self._protocol(connection), accepted)
        except OSError:  # some systems say so when the client is gone
            self.forget(connection)
            accepted.close()

    def _protocol(self, connection: Connection) -> asyncio.BufferedProtocol:
        """Return what speaks with the socket of a connection."""
        return connection if self._tls is None else TLSTransport(connection, self, self._tls.context())

    def _refrain(self, error: OSError) -> None:
        """Get a descriptor free, or leave those who want to connect waiting for a moment."""
        self._log(self.loop, {"message": "no connection can be accepted", "exception": error})
        if error.errno in _EXHAUSTED and self._connections:
            self._evict()
        else:
            self.loop.remove_reader(self._listener)
            self.loop.call_later(_PAUSE, self._listen)

    def _make_room(self, descriptor: int, most: int) -> None:
        """Close connections so that there may be another one, which has this descriptor."""
        most = min(most, self.limits.connections)
        # A new descriptor is the least that is free: as many as its number are in use.
        if descriptor >= most_descriptors() * (1 - self.limits.share) and len(self._connections) >= _ALWAYS:
            most = min(most, len(self._connections))
        while len(self._connections) >= most:
            self._evict()

    def note_progress(self, connection: Connection) -> None:
        """Note that a request arrived, or that a client took a part of a response: it is now the last to be evicted."""
        if connection in self._connections:
            self._connections[connection] = self._connections.pop(connection)

    def forget(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._connections.pop(connection, None)

    def _evict(self) -> None:
        """Close the connection whose client has done nothing for longest. Who waits for us goes last, while those are few.

        One that has scraped goes after all who look at the live page: they take something each second, a scraper does not.
        """
        waiting = [connection for connection in self._connections if connection.is_waiting]
        if 2 * len(waiting) > len(self._connections):
            waiting[0].abort()
            return
        others = [connection for connection in self._connections if not connection.is_waiting]
        first = others[0]
        if first.has_scraped:
            first = next((connection for connection in others if connection.is_viewer), first)
        first.abort()

    def _log(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what asyncio caught; each message once, since it repeats some a hundred times a second."""
        message, error = context["message"], context.get("exception")
        if message not in self._logged:
            self._logged.add(message)
            # An OSError is the system's state (such as no descriptor left to accept with), not a fault of ours to trace.
            trace = None if isinstance(error, OSError) else error
            logger().error("the metrics endpoint: %s: %r. It is not logged again", message, error, exc_info=trace)
