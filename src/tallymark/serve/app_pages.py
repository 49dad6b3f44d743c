"""`AppPages`: what an app serves, in any number of event loops, in a process and in those that it forks."""

from __future__ import annotations

import atexit
import os
from asyncio import AbstractEventLoop
from typing import TYPE_CHECKING
from weakref import WeakSet, finalize

from tallymark.serve.event_loops import is_stopping
from tallymark.serve.limits import Limits
from tallymark.serve.live.feed import Feed
from tallymark.serve.renderer import Renderer
from tallymark.serve.shared_pages import SharedPages

if TYPE_CHECKING:
    from tallymark.metric.registry import Registry
    from tallymark.serve.event_loops import HostLoop

__all__ = ["AppPages"]

_renderers: WeakSet[Renderer] = WeakSet()


class AppPages:
    """The shared pages and the feed of each event loop. All use one renderer, whose thread ends when the app is forgotten.

    Attributes:
        limits: what clients may cost.
    """

    def __init__(self, registry: Registry, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._registry = registry
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._renderer = Renderer(self._registry)
        self._loops: dict[object, SharedPages] = {}
        self._feeds: dict[object, Feed] = {}
        _renderers.add(self._renderer)
        finalize(self, self._renderer.stop).atexit = False

    def of(self, loop: HostLoop) -> SharedPages:
        """Return the pages of a loop, which runs in this thread."""
        self._begin_in_child()
        return self._loops.setdefault(loop.key, SharedPages(self._renderer, loop, self.limits))

    def feed_of(self, loop: HostLoop) -> Feed:
        """Return the feed of a loop, which runs in this thread."""
        self._begin_in_child()
        return self._feeds.setdefault(loop.key, Feed(self._renderer, loop, self.limits, is_ending=is_stopping))

    def _begin_in_child(self) -> None:
        if self._process != os.getpid():  # a forked child has neither the thread nor the clients
            self._begin()

    def forget_idle(self) -> None:
        """Forget the loops that nobody uses. Some have ended, and not all of those let their tasks end before."""
        loops: dict[object, SharedPages | Feed]
        for loops in (self._loops, self._feeds):  # type: ignore[assignment]
            for key, used in list(loops.items()):
                has_ended = _is_closed(key)
                if has_ended or used.is_idle():
                    loops.pop(key, None)
                if has_ended and isinstance(used, Feed):
                    used.abandon()


def _is_closed(loop: object) -> bool:
    return isinstance(loop, AbstractEventLoop) and loop.is_closed()  # trio ends all tasks before a loop


@atexit.register
def _close_all() -> None:
    # A daemon thread that renders while the interpreter shuts down may crash it.
    for renderer in list(_renderers):
        renderer.close(Limits().close)
