"""`Renderer`: makes and frees the pages that take time, in a thread of its own, so that event loops answer others meanwhile."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from tallymark.log import logger
from tallymark.serve.pages import error_page, log_failure, page

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallymark.metric.registry import Registry
    from tallymark.serve.pages import Page, PageRequest

__all__ = ["Renderer"]


class Renderer:
    """Makes one page after another, for any thread.

    Its own thread is started with the first page, and is then always the same: what a callback opens may belong to its thread.

    Args:
        registry: whose pages.

    Attributes:
        registry: the same.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._requests: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def make(self, request: PageRequest, made: Callable[[Page], None]) -> None:
        """Make a page soon, and call `made` with it, in the renderer's thread; in the order of the requests.

        If there cannot be a thread, that is logged, and the page is that of a status 500.
        """
        if not self.call(lambda: made(self._page(request))):
            made(error_page(500))

    def call(self, work: Callable[[], object]) -> bool:
        """Do some work soon, in the renderer's thread; it raises nothing. Return False if there cannot be a thread."""
        try:
            self._start()
        except RuntimeError as error:
            logger().error("the metrics endpoint could not start a thread to render in: %s", error)
            return False
        self._requests.put(work)
        return True

    def free(self, held: list[Page]) -> None:
        """Empty a list of pages soon. To give megabytes back to the system takes milliseconds."""
        if self._thread is None:
            held.clear()
        else:
            self._requests.put(held.clear)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="tallymark-http-pages", daemon=True)
                thread.start()
                self._thread = thread

    def stop(self) -> None:
        """End the thread, after what it was asked for. No page is made any more."""
        self._requests.put(None)

    def close(self, patience: float | None = None) -> None:
        """End the thread, and wait for that, as many seconds as are given."""
        if self._thread is not None:
            self.stop()
            self._thread.join(patience)

    def is_this_thread(self) -> bool:
        """Return True in the thread in which pages are made: in a callback, say."""
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        while (work := self._requests.get()) is not None:
            work()
            del work  # what it holds is not held while there is nothing to do

    def _page(self, request: PageRequest) -> Page:
        try:
            return page(request, self.registry)
        except BaseException as error:  # a callback's sys.exit() ends neither this thread nor the process
            log_failure(self.registry, error)
            return error_page(500)
