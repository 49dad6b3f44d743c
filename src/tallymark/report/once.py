"""`report_once`: one report, at the end of a batch job."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tallymark.client.deadline import Deadline
from tallymark.metric import context
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type
from tallymark.report.bases import base_of, introduce
from tallymark.report.delivery import ATTEMPT, Delivery
from tallymark.report.errors import ReportError
from tallymark.report.reporter import check_backend, check_seconds
from tallymark.report.turn import turn_of

if TYPE_CHECKING:
    from tallymark.report.backend import Backend
    from tallymark.report.turn import Turn

__all__ = ["report_once"]

_ANY_SIZE = 2**62
_PAUSE = 0.05


def report_once(backend: Backend, registry: Registry | None = None, timeout: float = 30.0) -> None:
    """Report a registry to a backend now, and return when it has arrived. What fails is tried again.

        tm.report_once(Pushgateway("http://127.0.0.1:9091", job="nightly"))

    A backend of deltas is told everything that it was not told yet. Where nobody answers, as with UDP, it has arrived when it
    was sent; and what failed there is not told again, by another call either.

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
    trouble = _report(backend, registry, deadline)
    if trouble:
        raise ReportError(f"{backend.kind} {backend.address}: the report did not arrive within {timeout:g} s: {trouble}")


def _report(backend: Backend, registry: Registry, deadline: Deadline) -> str:
    """Make a report and send it; return why that failed, or an empty text."""
    introduce(registry, backend)
    turn = turn_of(registry, backend)
    try:
        if not _wait_for(turn, deadline):
            return "another process that shares the registry reports to it"
        snapshot = registry.snapshot()
        base = base_of(registry, backend)
        before = base.snapshot
        delivery = Delivery(backend, registry, _ANY_SIZE, base)
        try:
            delivery.take(snapshot)
            trouble = _send_all(delivery, deadline)
        finally:
            delivery.close()
        if trouble and backend.at_least_once:  # else some of it may have arrived, and must not be told again
            base.snapshot = before
        return trouble
    finally:
        turn.release()


def _wait_for(turn: Turn, deadline: Deadline) -> bool:
    """Wait for the turn to report; return True if it is ours."""
    try:
        while not turn.take():
            time.sleep(min(_PAUSE, deadline.left()))
    except TimeoutError:
        return False
    return True


def _send_all(delivery: Delivery, deadline: Deadline) -> str:
    """Send until nothing waits; return why that failed, or an empty text."""
    try:
        while not delivery.send(lambda: Deadline(min(ATTEMPT, deadline.left()), time.monotonic)):
            pause = delivery.next_try - time.monotonic()
            if pause >= deadline.left():
                break
            time.sleep(max(pause, 0.0))
        return delivery.trouble or delivery.lost
    except TimeoutError:
        return delivery.trouble or "it takes too long"
