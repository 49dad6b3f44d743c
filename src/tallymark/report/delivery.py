"""`Delivery`: reports of one registry on their way to one backend."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tallymark.client.deadline import Deadline
from tallymark.metric.delta import delta
from tallymark.metric.rejections import failure_text
from tallymark.report.backoff import Backoff, random
from tallymark.report.condition import Condition
from tallymark.report.errors import SendError, TooLargeError
from tallymark.report.health import Health
from tallymark.report.leaving import Leaving
from tallymark.report.outbox import Outbox, Report, Request, requests_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tallymark.metric.registry import Registry
    from tallymark.metric.snapshot import Snapshot
    from tallymark.report.backend import Backend
    from tallymark.report.base import Base

__all__ = ["ATTEMPT", "DROPPED", "Delivery"]

ATTEMPT = 5.0
"""Seconds that one request may take."""
DROPPED = "what was sent is dropped: "
"""What begins the words for why something was given up."""


class Delivery:
    """Makes reports of snapshots, keeps what waits, and sends it. For one thread at a time.

    What a backend raises never leaves it, whatever it is: that is counted, and logged once until a report arrives again.

    Args:
        backend: where reports go.
        registry: whose reports they are.
        most_waiting: bytes of memory of what waits; one report may be larger.
        base: where the first report to a backend of deltas begins.
        clock: returns seconds; it never steps.
        random: returns a number in [0, 1).

    Attributes:
        next_try: when to send what waits, on the clock.
        losses: requests that were given up.
        lost: the words for why one was, the last; empty if none was.
    """

    def __init__(
        self,
        backend: Backend,
        registry: Registry,
        most_waiting: int,
        base: Base,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        random: Callable[[], float] = random,
    ) -> None:
        self.backend = backend
        self.registry = registry
        self.base = base
        self.health = Health(registry, backend.kind, wall)
        self.outbox = Outbox(most_waiting)
        self.next_try = 0.0
        self.losses = 0
        self.lost = ""
        self._condition = Condition(backend)
        self._backoff = Backoff(random=random)
        self._most_bytes = backend.most_bytes
        self._too_full = 0
        self._is_abandoned = False
        self._leaving = Leaving(registry, most_waiting) if self._deltas else None
        self._clock = clock

    @property
    def trouble(self) -> str:
        """The words for why the last attempt failed; empty if it did not."""
        return self._condition.trouble

    @property
    def is_failing(self) -> bool:
        """True if the last attempt failed."""
        return bool(self._condition.trouble)

    @property
    def _deltas(self) -> bool:
        return self.backend.temporality == "delta"

    # Making reports

    def take(self, snapshot: Snapshot) -> bool:
        """Make a report of a snapshot, to be sent; return False if there is no room for it.

        A backend of deltas is then told with the next report what it would have been told with this one.
        """
        self._make_room()
        try:
            return self._put(snapshot)
        except BaseException as error:
            if _ends_thread(error):
                raise
            self.cannot_report(error)
            return True
        finally:
            self.health.waits(self.outbox.memory)

    def cannot_report(self, error: BaseException) -> None:
        """A report cannot be made, as somebody's code failed."""
        self.health.count("failure")
        self._condition.failed(f"a report cannot be made: {failure_text(error)}", error)

    def _put(self, snapshot: Snapshot) -> bool:
        if self._deltas and self.outbox and (self.base.one_at_a_time or self.outbox.memory == self._too_full):
            return False
        self.backend.on_dropped = self._note_dropped
        requests = self._requests(Report(snapshot), self._parts(snapshot))
        if requests is None:
            self._too_full = self.outbox.memory  # to encode it again is in vain until something was sent
            return False
        if self._leaving is not None:
            self._leaving.told()
            self.base.taken(snapshot)
            if not requests:
                self.base.settled(snapshot)
        self.outbox.put(requests)
        return True

    def _parts(self, snapshot: Snapshot) -> Iterator[bytes]:
        told = self.backend.select(snapshot)
        if self._leaving is None:
            yield from self.backend.encode(told, 0.0)
            return
        before = self.base.before(snapshot)
        since = 0.0 if before is None else min(before.time, snapshot.time)  # the system's clock may have been set back
        gone = self._leaving.before(snapshot)
        if gone.families:
            yield from self.backend.encode(_new(before, self.backend.select(gone)), since)
        yield from self.backend.encode(_new(before, told), since)

    def _requests(self, report: Report, parts: Iterator[bytes]) -> list[Request] | None:
        """Return the requests of a report; None if there is no room for them."""
        requests: list[Request] = []
        needed = 0
        for request in requests_of(report, parts, self._most_bytes):
            needed += request.memory
            while needed > self.outbox.room:
                if self._deltas:
                    return None
                self._drop_oldest()
            requests.append(request)
        return requests

    def _make_room(self) -> None:
        """Remove what the next report replaces."""
        if not self._deltas and self.backend.keeps == "latest":
            while self.outbox:
                self.outbox.drop_oldest()
                self.health.count("replaced")

    def _drop_oldest(self) -> None:
        self.outbox.drop_oldest()
        self.health.count("dropped")
        self._condition.overflows()

    def _note_dropped(self, metric: str, reason: str) -> None:
        address = f"{self.backend.kind} {self.backend.address}"
        self.registry._rejections.note(metric, reason, lambda: f"{address} cannot be told all of it")

    # Sending

    def send(self, limit: Callable[[], Deadline], stops: Callable[[], bool] = bool) -> bool:
        """Send what waits, until one request fails; return True if nothing waits any more.

        Args:
            limit: returns the deadline of a request that is about to be sent.
            stops: asked after each request; True: leave the rest for later.
        """
        try:
            while self.outbox and self._send_first(limit) and not stops():
                pass
        finally:
            if not self._is_abandoned:
                self.health.waits(self.outbox.memory)
        return not self.outbox

    def _send_first(self, limit: Callable[[], Deadline]) -> bool:
        """Send one request; return False if it failed and is to be sent again."""
        request = self.outbox.first
        deadline = limit()
        try:
            sent = self.backend.send(request.parts, deadline)
        except BaseException as error:
            if _ends_thread(error):
                raise
            return not self._is_abandoned and self._not_sent(request, error)
        if self._is_abandoned:
            return False
        self.health.sent(sent if type(sent) is int and sent >= 0 else request.size)
        self._backoff.succeeded()
        self.next_try = 0.0
        self._condition.works()
        self._settle(self.outbox.pop())
        return True

    def _not_sent(self, request: Request, error: BaseException) -> bool:
        match error:
            case TooLargeError():
                self._split(request, error)
                return True
            case SendError():
                return self._failed(error, error.again)
            case OSError():
                return self._failed(error, True)
        return self._failed(error, False)

    def _split(self, request: Request, error: TooLargeError) -> None:
        try:
            is_divided = self.outbox.split_first(self.backend.split)
        except Exception:  # somebody's code
            is_divided = False
        if is_divided:
            self._most_bytes = max(request.size // 2, 1)  # the next reports fit at once
        else:
            self._give_up(error)

    def _failed(self, error: BaseException, again: bool) -> bool:
        if not again:
            self._give_up(error)
            return True
        if not self.backend.at_least_once:
            self._give_up(error, whole=True)
            return False
        self.health.count("failure")
        self._condition.failed(str(error) or failure_text(error))
        self.next_try = self._clock() + self._backoff.failed(getattr(error, "after", 0.0))
        return False

    def _give_up(self, error: BaseException, *, whole: bool = False) -> None:
        """Drop what was to be sent next, or the whole report that it belongs to."""
        unexpected = not isinstance(error, SendError | OSError)
        words = failure_text(error) if unexpected else str(error) or failure_text(error)
        self._condition.failed(f"{DROPPED}{words}", error if unexpected else None)
        self.losses += 1
        self.lost = self._condition.trouble
        request = self.outbox.pop()
        request.report.lost = True
        while whole and not request.ends:
            request = self.outbox.pop()
        self._settle(request)

    def _settle(self, request: Request) -> None:
        if not request.ends:
            return
        self.health.count("dropped" if request.report.lost else "success")
        if self._deltas and request.report.until is not None:
            self.base.settled(request.report.until)

    def close(self) -> None:
        """Close the backend. What waits is lost, and counted."""
        for _ in self.outbox.reports():
            self.health.count("dropped")
        self.outbox.clear()
        self.health.waits(0)
        self._release()

    def abandon(self) -> None:
        """In a forked child: let go of everything, without a word. A greenlet of gevent's may be in the midst of `send`."""
        self._is_abandoned = True
        self._release()

    def _release(self) -> None:
        if self._leaving is not None:
            self._leaving.end()
        try:
            self.backend.close()
        except BaseException as error:
            if _ends_thread(error):
                raise
            self._condition.failed(f"it cannot be closed: {failure_text(error)}", error)


def _new(before: Snapshot | None, after: Snapshot) -> Snapshot:
    return after if before is None else delta(before, after, absolute_gauges=True)


def _ends_thread(error: BaseException) -> bool:
    """Return True for what ends the thread from outside: gevent kills greenlets with it, and Ctrl-C is the caller's."""
    return isinstance(error, KeyboardInterrupt) or type(error).__name__ == "GreenletExit"
