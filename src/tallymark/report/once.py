"""`report_once`: one report, at the end of a batch job."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tallymark.client.deadline import Deadline
from tallymark.metric import context
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type
from tallymark.report.bases import base_of, introduce
from tallymark.report.delivery import ATTEMPT, DROPPED, Delivery
from tallymark.report.errors import ReportError
from tallymark.report.reporter import check_backend, check_seconds
from tallymark.report.running import ask, running
from tallymark.report.turn import turn_of

if TYPE_CHECKING:
    from tallymark.report.backend import Backend
    from tallymark.report.member import Member
    from tallymark.report.turn import Turn

__all__ = ["report_once"]

_ANY_SIZE = 2**62
_PAUSE = 0.05


def report_once(backend: Backend, registry: Registry | None = None, timeout: float = 30.0) -> None:
    """Report a registry to a backend now, and return when it has arrived. What fails is tried again, if it may succeed.

        tm.report_once(Pushgateway("http://127.0.0.1:9091", job="nightly"))

    If this process reports the registry to that backend already, its reporter does it, as with `Reporter.flush`.

    A backend of deltas is told everything that it was not told yet. Where nobody answers, as with UDP, it has arrived when it
    was sent; what could not be sent there is lost, as nobody knows how much of it arrived.

    Args:
        backend: where to report to.
        registry: whose metrics; by default the current registry.
        timeout: seconds, for all attempts together. One may take half of what is left, five at least.

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
    reporter = running(registry, backend)
    try:
        trouble = _report(backend, registry, deadline) if reporter is None else _flush(reporter, timeout)
    except _TooLateError as late:
        trouble, when = str(late), f" within {timeout:g} s"
    else:
        when = ""
    if trouble:
        raise ReportError(f"{backend.kind} {backend.address}: the report did not arrive{when}: {trouble}")


class _TooLateError(Exception):
    """There is no time for another attempt. The message tells why the last one failed."""


def _flush(reporter: Member, timeout: float) -> str:
    """Have a reporter that runs report now, whose connection and numbers these are; return why it failed, as `_report` does."""
    losses = reporter.losses
    if ask(reporter, "flush", timeout):
        return ""
    if reporter.losses != losses:
        return reporter.why.removeprefix(DROPPED)
    raise _TooLateError(reporter.why or "it takes too long")


def _report(backend: Backend, registry: Registry, deadline: Deadline) -> str:
    """Make a report and send it; return why it is given up, or an empty text. `_TooLateError` where time has run out."""
    introduce(registry, backend)
    turn = turn_of(registry, backend)
    try:
        if not _wait_for(turn, deadline):
            raise _TooLateError("another process that shares the registry reports to it")
        snapshot = registry.snapshot()
        base = base_of(registry, backend)
        before = base.snapshot
        delivery = Delivery(backend, registry, _ANY_SIZE, base)
        has_arrived = False
        try:
            delivery.take(snapshot)
            trouble = _send_all(delivery, deadline)
            has_arrived = not trouble
        finally:
            delivery.close()
            if not has_arrived and backend.at_least_once:  # else a part may have arrived, and would count twice
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
    """Send until nothing waits; return why something was given up, or an empty text.

    An attempt may take half of the time that is left: a slow backend is waited for, and one that lost a request is asked again.
    """
    told = ""
    try:
        while not delivery.send(lambda: deadline.within(max(deadline.left() / 2, ATTEMPT))):
            deadline.left()  # if none is left, the attempt was cut, and the one before tells more
            told = delivery.trouble
            pause = delivery.next_try - time.monotonic()
            if pause >= deadline.left():
                raise TimeoutError
            time.sleep(max(pause, 0.0))
    except TimeoutError:
        raise _TooLateError(told or delivery.trouble or "it takes too long") from None
    return delivery.lost.removeprefix(DROPPED) or delivery.trouble
