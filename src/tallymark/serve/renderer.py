"""`Renderer`: makes the pages that take time, in a thread of its own, so that the event loop answers others meanwhile."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from tallymark.log import logger
from tallymark.serve.pages import error_page, log_failure, page

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from tallymark.metric.registry import Registry
    from tallymark.serve.pages import Page, PageRequest

__all__ = ["Renderer"]


class Renderer:
    """Makes one page after another. All methods but `is_this_thread` are called in the loop's thread.

    The thread is started with the first page, and is then always the same: what a callback opens may belong to its thread.

    Args:
        registry: whose pages.
        loop: an event loop, which runs until `close` has returned.
        made: called in the loop with each page, in the order of the requests.
    """

    def __init__(self, registry: Registry, loop: asyncio.AbstractEventLoop, made: Callable[[Page], None]) -> None:
        self._registry = registry
        self._loop = loop
        self._made = made
        self._requests: SimpleQueue[PageRequest | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def make(self, request: PageRequest) -> None:
        """Make a page soon. If there cannot be a thread, that is logged, and the page is that of a status 500."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="tallymark-http-pages", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:
                self._thread = None
                logger().error("the metrics endpoint could not start a thread to render in: %s", error)
                self._loop.call_soon(self._made, error_page(500))
                return
        self._requests.put(request)

    def close(self) -> None:
        """End the thread, after what it makes."""
        if self._thread is not None:
            self._requests.put(None)
            self._thread.join()

    def is_this_thread(self) -> bool:
        """Return True in the thread in which pages are made: in a callback, say."""
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        while (request := self._requests.get()) is not None:
            self._loop.call_soon_threadsafe(self._made, self._page(request))

    def _page(self, request: PageRequest) -> Page:
        try:
            return page(request, self._registry)
        except BaseException as error:  # a callback's sys.exit() ends neither this thread nor the process
            log_failure(self._registry, error)
            return error_page(500)
