"""`report_once`: one report, at the end of a batch job."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tallymark.client.deadline import Deadline
from tallymark.metric import context
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type
from tallymark.report.base import Base
from tallymark.report.delivery import ATTEMPT, Delivery
from tallymark.report.errors import ReportError
from tallymark.report.reporter import check_backend, check_seconds

if TYPE_CHECKING:
    from tallymark.report.backend import Backend

__all__ = ["report_once"]

_ANY_SIZE = 2**62


def report_once(backend: Backend, registry: Registry | None = None, timeout: float = 30.0) -> None:
    """Report a registry to a backend now, and return when it has arrived. What fails is tried again.

        tm.report_once(Pushgateway("http://127.0.0.1:9091", job="nightly"))

    A backend of deltas is told everything since the registry was made. Where nobody answers, as with UDP, it has arrived when
    it was sent.

    Args:
        backend: where to report to.
        registry: whose metrics; by default the current registry.
        timeout: seconds, for all attempts together.

    Raises:
        ReportError: it did not arrive. The message has the backend's own words.
        TypeError: an argument is of the wrong type.
        ValueError: `timeout` is not positive.
    """
    check_backend(backend)
    timeout = check_seconds("timeout", timeout)
    registry = context.registry() if registry is None else registry
    check_type("registry", registry, Registry)
    deadline = Deadline(timeout, time.monotonic)
    snapshot = registry.snapshot()
    delivery = Delivery(backend, registry, _ANY_SIZE, Base())
    try:
        delivery.take(snapshot)
        trouble = _send_all(delivery, deadline)
    finally:
        delivery.close()
    if trouble:
        raise ReportError(f"{backend.kind} {backend.address}: the report did not arrive within {timeout:g} s: {trouble}")


def _send_all(delivery: Delivery, deadline: Deadline) -> str:
    """Send until nothing waits; return why that failed, or an empty text."""
    try:
        while not delivery.send(lambda: Deadline(min(ATTEMPT, deadline.left()), time.monotonic)):
            pause = delivery.next_try - time.monotonic()
            if pause >= deadline.left():
                break
            time.sleep(max(pause, 0.0))
        return delivery.trouble
    except TimeoutError:
        return delivery.trouble or "it takes too long"
