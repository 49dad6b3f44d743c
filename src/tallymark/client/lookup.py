"""`lookup`: the addresses of a host, by a deadline. The system's own lookup may take half a minute, and cannot be ended."""

from __future__ import annotations

import encodings.idna  # noqa: F401  # at the first lookup otherwise; in a forked child, an import that a thread began never ends
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tallymark.client.deadline import Deadline

__all__ = ["lookup"]


class _Lookup:
    """One question to the system, in a thread of its own; whoever asks the same meanwhile waits for the same answer."""

    def __init__(self, host: str, port: int, kind: int) -> None:
        self._question = host, port, kind
        self._answer: list[Any] = []
        self._error: OSError | None = None
        self._done = threading.Event()

    def start(self) -> None:
        thread = threading.Thread(target=self.run, name="tallymark-lookup", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread is to be had, as at the end of the process
            self.run()

    def run(self) -> None:
        try:
            self._answer = socket.getaddrinfo(*self._question[:2], type=self._question[2])
        except OSError as error:
            self._error = error
        except Exception as error:  # such as UnicodeError for a name that is too long
            self._error = OSError(str(error))
        finally:
            _pending.pop(self._question, None)
            self._done.set()

    def wait(self, deadline: Deadline) -> list[Any]:
        while not self._done.wait(deadline.slice()):
            pass
        if self._error is not None:
            raise self._error
        return self._answer


_pending: dict[tuple[str, int, int], _Lookup] = {}


def lookup(host: str, port: int, deadline: Deadline, kind: int = socket.SOCK_STREAM) -> list[Any]:
    """Return what `socket.getaddrinfo` does for a type of socket, the best address first. The list is the caller's alone.

    Raises:
        OSError: there is no such host; `TimeoutError` if that is not known by the deadline.
    """
    for family, rest in ((socket.AF_INET, ()), (socket.AF_INET6, (0, 0))):
        if _is_address(family, host):  # nobody is asked: gevent would ask a thread, which a forked child may not have
            return [(family, kind, 0, "", (host, port, *rest))]
    pending = _pending.get((host, port, kind))
    if pending is None:
        pending = _pending[host, port, kind] = _Lookup(host, port, kind)
        pending.start()
    return list(pending.wait(deadline))


def _is_address(family: int, host: str) -> bool:
    try:
        socket.inet_pton(family, host)
    except (OSError, ValueError):
        return False
    return True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pending.clear)
