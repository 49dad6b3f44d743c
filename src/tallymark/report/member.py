"""`Member`: one reporter in the rounds of its process: when it is due, and what it is asked for."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from tallymark.report.bases import base_of, begin_at_fork, inherited_store, introduce
from tallymark.report.schedule import Schedule
from tallymark.report.turn import LOOK_EVERY, role_of, turn_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallymark.metric.registry import Registry
    from tallymark.report.backend import Backend
    from tallymark.report.base import Base
    from tallymark.report.delivery import Delivery
    from tallymark.report.order import Order
    from tallymark.report.turn import Turn

__all__ = ["Member"]


class Member:
    """What one reporter does. For the reporters' thread alone, but for what is told otherwise.

    Args:
        backend: where it reports.
        registry: what it reports.
        every: seconds between two reports.
        deliver: makes the delivery, given where deltas begin, when it is this process' turn to report.

    Attributes:
        orders: what it is asked for.
        closed: True if it is closed, or about to be. Other threads read it, and the next.
        arrived: True if, when it was closed, all had arrived.
        has_failed: True if it failed for a reason of our own, which was logged.
        delivery: None while another process reports.
        wants_report: True if a report is to be made of the next snapshot.
        owes_report: True if there was no room for one; it is made when there is.
        tries: True if what waits is to be sent now, whatever it waits for.
    """

    def __init__(self, backend: Backend, registry: Registry, every: float, deliver: Callable[[Base], Delivery]) -> None:
        self.registry = registry
        self.closed = False
        self.arrived = False
        self.has_failed = False
        self._is_forked = False
        self._backend = backend
        self._every = every
        self._deliver = deliver
        registry._reader()  # what is imported for it must be before a fork
        introduce(registry, backend)
        self._store = inherited_store(registry, backend)
        self._clear()

    def _clear(self) -> None:
        self.orders: list[Order] = []
        self.wants_report = False
        self.owes_report = False
        self.tries = False
        self.delivery: Delivery | None = None
        self.turn: Turn | None = None  # made when it is needed: after a fork, the registry must be ready first

    def enter(self, now: float, phase: float) -> None:
        """Begin to be due."""
        self._schedule = Schedule(self._every, phase)
        self._next_look = now + LOOK_EVERY / 2
        self._next_report = max(self._schedule.after(now), self._next_look)
        if not (self._is_forked and self.registry._families.is_shared):  # which is not ready for that yet
            self._look()  # from now on, no series ends unnoticed

    def abandon(self) -> None:
        """In a forked child: let go of what is the parent's: what waits to be sent, and what is open."""
        self.registry._reader().follow_fork()
        if self.delivery is not None:
            self.delivery.abandon()
        self._clear()

    def begin_anew(self) -> None:
        """In a forked child, when all were abandoned: begin with what is recorded from now on."""
        self._is_forked = True
        begin_at_fork(self.registry, self._backend)

    @property
    def is_reporting(self) -> bool:
        """False while another process reports."""
        return not self.closed and self.turn is not None and self.turn.is_ours

    def reports(self, registry: Registry, backend: Backend) -> bool:
        """Return True if it is for that registry, and for that backend or one that is told the same."""
        return self.registry is registry and role_of(self._backend) == role_of(backend)

    @property
    def kind(self) -> str:
        """What its backend is."""
        return self._backend.kind

    @property
    def why(self) -> str:
        """The words for why not all has arrived, the last; empty if there are none."""
        return "" if self.delivery is None else self.delivery.trouble or self.delivery.lost

    @property
    def is_failing(self) -> bool:
        """True if its last attempt to send failed."""
        return self.delivery is not None and self.delivery.is_failing

    @property
    def waits(self) -> bool:
        """True if something is still to be sent, or to be made of a snapshot."""
        outbox = self.delivery is not None and bool(self.delivery.outbox)
        return outbox or self.owes_report or self.wants_report

    @property
    def losses(self) -> int:
        """How many requests were given up."""
        return 0 if self.delivery is None else self.delivery.losses

    @property
    def has_arrived(self) -> bool:
        """True if nothing waits, and the last that was sent has arrived."""
        return self.delivery is not None and not (self.waits or self.is_failing or self.has_failed)

    def due(self) -> float:
        """Return the moment of the next thing to do."""
        if self.wants_report or self.tries:
            return -inf
        if self.delivery is None:
            return self._next_look
        return min(self._next_report, self.delivery.next_try) if self.delivery.outbox else self._next_report

    def look(self, now: float) -> Delivery | None:
        """Return the delivery if this process is to report; None while another one does."""
        self._next_look = now + LOOK_EVERY
        self._look()
        if self.delivery is None:
            self.wants_report = self.tries = False
        elif now >= self._next_report:
            self.wants_report = True
            self._next_report = self._schedule.after(now)
        return self.delivery

    def _look(self) -> None:
        if self.delivery is None and self._take_turn():
            self.delivery = self._deliver(base_of(self.registry, self._backend, self._store))

    def _take_turn(self) -> bool:
        try:
            if self.turn is None:
                self.turn = turn_of(self.registry, self._backend)
            return self.turn.take()
        except OSError:  # no descriptors left, say; it is tried again at the next look
            return False

    def put_off(self, now: float) -> None:
        """Do nothing for a moment: what was done failed."""
        self.wants_report = self.tries = self.owes_report = False
        if self.delivery is not None:
            self.delivery.next_try = now + LOOK_EVERY

    def may_send(self, now: float) -> bool:
        """Return True if what waits is to be sent now."""
        return self.delivery is not None and bool(self.delivery.outbox) and (self.tries or now >= self.delivery.next_try)

    def end(self) -> None:
        """Let go of everything."""
        if self.delivery is not None:
            self.delivery.close()
            self.delivery = None
        if self.turn is not None:
            self.turn.release()
