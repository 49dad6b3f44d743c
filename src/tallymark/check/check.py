"""`Check`: a report that a backend would get, made of a snapshot; and whether it arrives."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tallymark.check.changes import Change, changes
from tallymark.check.errors import CheckError
from tallymark.check.formats import lines_of
from tallymark.check.line import Line
from tallymark.client.deadline import Deadline
from tallymark.configuration.backend_url import backend_of
from tallymark.configuration.errors import ConfigurationError
from tallymark.metric.collector import family
from tallymark.metric.delta import delta
from tallymark.metric.shared.printable import printable
from tallymark.metric.snapshot import Snapshot
from tallymark.report.errors import SendError, TooLargeError
from tallymark.report.outbox import Report, Request, requests_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallymark.report.backend import Backend

__all__ = ["Check", "Sent", "made_from"]


class Sent:
    """What was sent: so many bytes, in so many requests."""

    def __init__(self) -> None:
        self.bytes = 0
        self.requests = 0


def made_from(url: str) -> Callable[[], Backend]:
    """Return what makes the backend that a URL means, anew each time.

    Raises:
        CheckError: nobody knows such a URL, or an extra is not installed.
    """

    def make() -> Backend:
        try:
            return backend_of(url).backend
        except (ConfigurationError, ImportError) as error:
            raise CheckError(str(error)) from None

    make()
    return make


class Check:
    """A report of one snapshot to one backend.

    Args:
        snapshot: what a source has.
        make: makes the backend.

    Attributes:
        backend: the one that is sent to.
        told: the part of the snapshot that it is to get.
        lines: the report: for a backend of deltas the first, which has everything.
        changes: what it changes.
    """

    def __init__(self, snapshot: Snapshot, make: Callable[[], Backend]) -> None:
        self.backend = make()
        self.told = self.backend.select(snapshot)
        self._parts = [part for part in make().encode(self.told, 0.0) if part]
        self.lines: list[Line] = lines_of(self.backend, self._parts)
        self.changes: list[Change] = changes(self.told, make())

    def send(self, timeout: float) -> Sent:
        """Send a report, and return when it is answered.

        A backend of deltas is told that nothing was added, as it would count the totals once more; a gauge
        `tallymark_check` is sent where nothing else is left.

        Raises:
            CheckError: it did not arrive; the message has the backend's words.
        """
        deadline = Deadline(timeout, time.monotonic)
        waiting = list(requests_of(Report(), self._present(), self.backend.most_bytes))
        sent = Sent()
        try:
            while waiting:
                sent.bytes += self._send_first(waiting, deadline)
                sent.requests += 1
        except (SendError, OSError) as error:
            raise CheckError(f"the report did not arrive: {error}") from None
        finally:
            self.backend.close()
        return sent

    def _present(self) -> list[bytes]:
        """Return the parts that can be sent now."""
        if self.backend.temporality != "delta":
            return self._parts
        now = [part for part in self.backend.encode(delta(self.told, self.told, absolute_gauges=True), self.told.time) if part]
        if now:
            return now
        proof = family("gauge", "tallymark_check", [({}, 1)], description="Sent by tallymark check; always 1.")
        return [part for part in self.backend.encode(Snapshot((proof,), self.told.time), self.told.time) if part]

    def _send_first(self, waiting: list[Any], deadline: Deadline) -> int:
        """Send the first of what waits, in halves if it is too large."""
        request: Request = waiting.pop(0)
        while True:
            try:
                return self.backend.send(request.parts, deadline)
            except TooLargeError:
                halves = request.halves(self.backend.split)
                if halves is None:
                    raise
                request, rest = halves
                waiting.insert(0, rest)

    @property
    def promise(self) -> str:
        """How the backend is told, for people."""
        what = "increments" if self.backend.temporality == "delta" else "totals"
        times = "once or more often" if self.backend.at_least_once else "once or never"
        return f"is told {what}; each report arrives {times}"

    @property
    def place(self) -> str:
        """Which backend, and where, for people."""
        return printable(f"{self.backend.kind} {self.backend.address}")
