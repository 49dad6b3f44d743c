"""`AppPages`: the pages of an app, which any number of event loops may serve, in a process and in those that it forks."""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING
from weakref import WeakSet, finalize

from tallymark.serve.limits import Limits
from tallymark.serve.renderer import Renderer
from tallymark.serve.shared_pages import SharedPages

if TYPE_CHECKING:
    from tallymark.metric.registry import Registry
    from tallymark.serve.event_loops import HostLoop

__all__ = ["AppPages"]

_renderers: WeakSet[Renderer] = WeakSet()


class AppPages:
    """The shared pages of each event loop. All are made by one renderer, whose thread ends when the app is forgotten.

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
        _renderers.add(self._renderer)
        finalize(self, self._renderer.stop).atexit = False

    def of(self, loop: HostLoop) -> SharedPages:
        """Return the pages of a loop, which runs in this thread."""
        if self._process != os.getpid():  # a forked child has neither the thread nor the clients
            self._begin()
        return self._loops.setdefault(loop.key, SharedPages(self._renderer, loop, self.limits))

    def forget_idle(self) -> None:
        """Forget the loops that nobody uses; some of them have ended."""
        for key, pages in list(self._loops.items()):
            if pages.is_idle():
                self._loops.pop(key, None)


@atexit.register
def _close_all() -> None:
    # A daemon thread that renders while the interpreter shuts down may crash it.
    for renderer in list(_renderers):
        renderer.close(Limits().close)
