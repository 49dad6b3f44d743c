"""`Endpoint`: the metrics endpoint's event loop and its connections.

All of it runs in the endpoint's own thread, except `stop` and `abandon`. A connection is a state machine without a task:

    awaiting a head -> sending the response -> awaiting a head ... -> sending the last response -> awaiting the client's end

Each state has one deadline, set on entry. Nothing that the client does meanwhile moves it, so sending slowly gains no time.
While a response is being sent nothing is read, so that pipelined requests wait in the kernel's buffers, not in ours.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from tallymark.log import logger
from tallymark.metric.registry import Registry
from tallymark.serve.pages import error_page, page
from tallymark.serve.wire import RequestError, encode, parse_head, take_head

__all__ = ["Endpoint", "Limits", "listen"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may cost. Durations are in seconds.

    Attributes:
        head: how long the head of a request may take to arrive.
        head_bytes: how many bytes it may have.
        response: how long a client may take to receive a response and, after the last one, to close.
        idle: how long a connection may wait between requests. More than 60, Prometheus's usual interval.
        connections: how many may be open. Beyond, the one that has gone longest without completing a request is closed.
        close: how long closing waits for a response that is being rendered.
    """

    head: float = 10.0
    head_bytes: int = 16 * 1024
    response: float = 10.0
    idle: float = 75.0
    connections: int = 256
    close: float = 5.0


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        OSError: the address cannot be used. The message names it, and a remedy if the port is in use.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(cast("tuple[str, int]", address), family=family, backlog=128)
    except OSError as error:
        remedy = "; choose another port, or port=0 for one that is free" if error.errno == errno.EADDRINUSE else ""
        code = error.errno or 0  # below 0 from getaddrinfo
        reason = os.strerror(code) if code > 0 else error.strerror
        raise OSError(code, f"cannot serve metrics on host {host!r}, port {port}: {reason}{remedy}") from error


class Endpoint:
    """Serves a registry's metrics on a listening socket, which it owns from then on.

    Attributes:
        registry: whose metrics are served.
        limits: what clients may cost.
        loop: the event loop. Always asyncio's own, whatever policy the application sets.
    """

    def __init__(self, listener: socket.socket, registry: Registry, limits: Limits) -> None:
        self.registry = registry
        self.limits = limits
        self._listener = listener
        self._connections: dict[Connection, None] = {}  # first the one that has gone longest without completing a request
        self._logged: set[str] = set()
        self._stopping = asyncio.Event()
        self._runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
        self.loop = self._runner.get_loop()
        self.loop.set_exception_handler(self._log)
        self.loop.set_debug(False)  # in Python's development mode, each large page would be logged as a slow callback

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
        server = await self.loop.create_server(lambda: Connection(self), sock=self._listener, backlog=128)
        await self._stopping.wait()
        # asyncio leaks a connection that is being accepted when its server closes. So first accept no more, and await those.
        self.loop.remove_reader(self._listener)
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
        server.close()
        while self._connections:
            self._evict()
        await asyncio.sleep(0)  # the turn in which the transports close their sockets

    def admit(self, connection: Connection) -> None:
        """Admit a connection, or note that it completed a request: it is now the last to be evicted."""
        self._connections.pop(connection, None)
        if len(self._connections) >= self.limits.connections:
            self._evict()
        self._connections[connection] = None

    def forget(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._connections.pop(connection, None)

    def _evict(self) -> None:
        connection = next(iter(self._connections))
        self.forget(connection)
        connection.abort()

    def _log(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what asyncio caught; each message once, since it repeats some a hundred times a second."""
        message, error = context["message"], context.get("exception")
        if message not in self._logged:
            self._logged.add(message)
            # An OSError is the system's state (such as no descriptor left to accept with), not a fault of ours to trace.
            trace = None if isinstance(error, OSError) else error
            logger().error("the metrics endpoint: %s: %r. It is not logged again", message, error, exc_info=trace)


class Connection(asyncio.Protocol):
    """One client's connection: reads a request, sends the whole response, and only then reads on."""

    _transport: asyncio.Transport
    _deadline: asyncio.TimerHandle

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._loop = endpoint.loop
        self._buffer = bytearray()
        self._idle = False  # between two requests
        self._last = False  # no request is read any more
        self._blocked = False  # the kernel has not taken all of the response yet

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(0)  # so that `resume_writing` means: the kernel has taken everything
        self._deadline = self._loop.call_later(self._endpoint.limits.head, self.abort)
        self._endpoint.admit(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._deadline.cancel()
        self._endpoint.forget(self)

    def fileno(self) -> int:
        """Return the socket's descriptor, or -1 once it is closed."""
        return cast(int, self._transport.get_extra_info("socket").fileno())

    def abort(self) -> None:
        """Close the connection at once, whatever it is doing."""
        self._transport.abort()

    def _allow(self, seconds: float) -> None:
        self._deadline.cancel()
        self._deadline = self._loop.call_later(seconds, self.abort)

    def data_received(self, data: bytes) -> None:
        if self._last:
            return
        if self._idle:
            self._idle = False
            self._allow(self._endpoint.limits.head)
        self._buffer += data
        self._answer()

    def _answer(self) -> None:
        """Answer the request at the start of the buffer, if its head is complete."""
        try:
            head = take_head(self._buffer, self._endpoint.limits.head_bytes)
            if head is None:
                return
            request = parse_head(head)
        except RequestError as error:
            self._last = True
            self._send(encode(error_page(error.status), keep_alive=False, with_body=True))
        else:
            self._last = not request.keep_alive
            answer = page(request.asked, self._endpoint.registry)
            self._send(encode(answer, keep_alive=request.keep_alive, with_body=request.asked.method != "HEAD"))

    def _send(self, response: bytes) -> None:
        self._transport.pause_reading()
        self._allow(self._endpoint.limits.response)
        self._transport.write(response)
        if not self._blocked:
            # Not at once: between two pipelined requests, other connections get their turn.
            self._loop.call_soon(self._sent)

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        self._loop.call_soon(self._sent)

    def _sent(self) -> None:
        if self._transport.is_closing():
            return
        self._endpoint.admit(self)
        self._transport.resume_reading()
        if self._last:
            self._finish()
            return
        self._idle = not self._buffer
        self._allow(self._endpoint.limits.idle if self._idle else self._endpoint.limits.head)
        self._answer()

    def _finish(self) -> None:
        # Closing a socket that has unread bytes resets the connection, and the client may lose the response. So only our
        # direction ends here; what still arrives is discarded, until the client closes or the response's deadline is over.
        self._buffer.clear()
        with suppress(OSError):  # the client may be gone
            self._transport.write_eof()
