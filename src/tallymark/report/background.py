"""`Background`: a service in a thread of its own, from its start to the end of the process.

It is closed at exit, before the interpreter shuts down. It does not run in a forked child, which does not have its thread.
"""

from __future__ import annotations

import atexit
import os
import threading
from weakref import WeakSet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Service(Protocol):
        """What runs in the background. All methods but `run` are called from other threads."""

        def run(self) -> None:
            """Do the work, in the background's thread, until `stop` is called; then release everything."""

        def stop(self) -> None:
            """Make `run` return soon. May be called at any time, also after it returned."""

        def release(self) -> None:
            """Release everything, if `run` was never called."""

        def abandon(self) -> None:
            """In a forked child: give up what is the parent's."""


__all__ = ["Background"]


class Background:
    """Runs a service in a daemon thread.

    Args:
        service: what runs.
        name: of the thread.
        patience: seconds that `close` waits for the thread.
    """

    def __init__(self, service: Service, *, name: str, patience: float) -> None:
        self._service = service
        self._patience = patience
        self._forked = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread. Called once.

        Raises:
            RuntimeError: the system cannot start a thread; the service was released.
        """
        try:
            self._thread.start()
        except RuntimeError:
            self._service.release()
            raise
        _running.add(self)

    def _run(self) -> None:
        self._service.run()  # by way of this object, so that it lives as long as its thread, whoever forgets it

    def close(self, *, wait: bool = True) -> bool:
        """Stop the service and wait for its thread; return False if that still runs. May be called again, from any thread.

        In a forked child it returns at once, and the parent's service goes on.

        Args:
            wait: False if the thread itself waits for the caller, who would wait in vain.
        """
        if self._forked:
            return True
        self._service.stop()
        if not wait or self._thread.ident is None:
            return True
        if threading.current_thread() is self._thread:  # what the service calls may close it
            return True
        self._thread.join(self._patience)
        return not self._thread.is_alive()


_running: WeakSet[Background] = WeakSet()


def _leave_all_to_parent() -> None:
    running = list(_running)
    for background in running:
        background._forked = True  # of all, before one fails to let go of something
    for background in running:
        background._service.abandon()


@atexit.register
def _close_all() -> None:
    # The threads are daemons and would not keep the process alive, but one that logs or renders while the interpreter shuts
    # down may crash it.
    for background in list(_running):
        background.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all_to_parent)
