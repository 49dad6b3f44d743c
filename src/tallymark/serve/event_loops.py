"""The event loop that an ASGI server runs an app in: asyncio's, or one that speaks its protocol such as uvloop's, or trio's."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from tallymark.serve.shared_pages import EventLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tallymark.serve.shared_pages import Timer

__all__ = ["HostLoop", "is_stopping", "running_loop"]

T = TypeVar("T")


class Event(Protocol):
    """What a task can wait for."""

    def set(self) -> None:
        """Let those go on who wait."""

    def wait(self) -> Awaitable[object]:
        """Wait until it is set."""


class HostLoop(EventLoop, Protocol):
    """The event loop of somebody else.

    Attributes:
        key: the same object for the same loop.
    """

    key: object

    def event(self) -> Event:
        """Return a new event."""

    def give_way(self) -> Awaitable[object]:
        """Let other tasks run."""

    def first(self, *works: Callable[[], Awaitable[object]]) -> Awaitable[object]:
        """Run some works at the same time until one of them ends, cancel the others, and raise what one of them raised."""


def is_stopping() -> bool:
    """Return True if this process was asked to end by a signal, and its server waits for clients to leave.

    uvicorn does that, and tells nobody: what it has is the handler of the signal.
    """
    handlers = (signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT))
    return any(getattr(getattr(handler, "__self__", None), "should_exit", False) is True for handler in handlers)


def running_loop() -> HostLoop:
    """Return the event loop that runs in this thread.

    Raises:
        RuntimeError: it is of another kind, or there is none.
    """
    trio: Any = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():  # trio may be a guest in a loop of asyncio's
        return _Trio(trio)
    return _Asyncio()


class _Asyncio:
    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.key: object = loop
        self.time, self.call_at, self.call_soon_threadsafe = loop.time, loop.call_at, loop.call_soon_threadsafe

    def event(self) -> Event:
        return asyncio.Event()

    def give_way(self) -> Awaitable[object]:
        return asyncio.sleep(0)

    async def first(self, *works: Callable[[], Awaitable[object]]) -> None:
        tasks = [asyncio.ensure_future(work()) for work in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error


class _Trio:
    def __init__(self, trio: Any) -> None:
        self._trio = trio
        self._token = trio.lowlevel.current_trio_token()
        self.key: object = self._token

    def time(self) -> float:
        return cast(float, self._trio.current_time())

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        scope = self._trio.CancelScope()

        async def wait() -> None:
            with scope:
                await self._trio.sleep_until(when)
                callback()

        self._trio.lowlevel.spawn_system_task(wait)
        return cast("Timer", scope)

    def call_soon_threadsafe(self, callback: Callable[[T], object], argument: T, /) -> object:
        return self._token.run_sync_soon(callback, argument)

    def event(self) -> Event:
        return cast(Event, self._trio.Event())

    def give_way(self) -> Awaitable[object]:
        return cast("Awaitable[object]", self._trio.lowlevel.checkpoint())

    async def first(self, *works: Callable[[], Awaitable[object]]) -> None:
        errors = []

        async def run(work: Callable[[], Awaitable[object]]) -> None:
            try:
                await work()
            except Exception as error:
                errors.append(error)
            nursery.cancel_scope.cancel()

        async with self._trio.open_nursery() as nursery:
            for work in works:
                nursery.start_soon(run, work)
        if errors:
            raise errors[0]
