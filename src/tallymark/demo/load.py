"""Clients that keep the service busy."""

from __future__ import annotations

from contextlib import closing
from http.client import HTTPConnection, HTTPException
from random import Random
from threading import Event, Lock, Thread
from time import monotonic
from typing import Self

from tallymark.demo.backend import WORKLOADS
from tallymark.demo.server import HOST

__all__ = ["Load"]

_CLIENTS = 8


class Load:
    """Requests from a few clients, within a `with` block; at its end, all of them have been answered.

    Args:
        port: of the service, on this machine.
        rate: maximum requests per second, of all clients together. A delay is not followed by a burst.
    """

    def __init__(self, port: int, rate: float) -> None:
        self._port = port
        self._interval = 1 / rate
        self._due = monotonic()
        self._lock = Lock()
        self._ended = Event()
        self._clients = [Thread(target=self._request, args=(n,), name=f"demo-client-{n}") for n in range(_CLIENTS)]

    def __enter__(self) -> Self:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended.set()
        for client in self._clients:
            client.join()

    def _request(self, client: int) -> None:
        random = Random(client)  # noqa: S311 - nothing here is a secret
        operations, shares = list(WORKLOADS), [workload.share for workload in WORKLOADS.values()]
        with closing(HTTPConnection(HOST, self._port, timeout=10)) as connection:
            while self._turn():
                (operation,) = random.choices(operations, shares)
                try:
                    connection.request("GET", f"/{operation}")
                    connection.getresponse().read()
                except (OSError, HTTPException):  # the machine is too busy: the next request connects again
                    connection.close()

    def _turn(self) -> bool:
        """Wait until a request is due; return True if it is to be made."""
        with self._lock:
            now = monotonic()
            due = self._due = max(self._due + self._interval, now)
        return not self._ended.wait(due - now)
