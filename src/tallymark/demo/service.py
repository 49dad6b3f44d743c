"""A service that measures itself: the part of the demo to copy into your own service."""

from __future__ import annotations

import tallymark as tm
from tallymark.demo.backend import Backend, BackendError

__all__ = ["Service"]


class Service:
    """Carries out operations, and records how they went.

    A tag has few values, all known beforehand: the operation, and how it ended. A user's name or a raw URL would make a series
    for each of its values, and must not be a tag.
    """

    def __init__(self, registry: tm.Registry, backend: Backend) -> None:
        self._backend = backend
        # From half a millisecond to 73 ms, each bound 1.3 times the last: a quantile is off by no more than that.
        buckets = tm.exponential_buckets(0.0005, 1.3, 20)
        self._operations = tm.OperationalMetrics(registry, in_flight=True, buckets=buckets)
        self._response_size = registry.histogram("response_size", unit="bytes", description="Size of the responses.")

    def handle(self, operation: str) -> tuple[str, bytes]:
        """Carry out an operation. Return how it ended (`"success"`, `"error"` or `"timeout"`) and the response."""
        status, response = "success", b""
        try:
            with self._operations.operation(operation):
                response = self._backend.call(operation)
        except TimeoutError:
            status = "timeout"
        except BackendError:
            status = "error"
        self._response_size.observe(len(response), operation=operation)
        return status, response
