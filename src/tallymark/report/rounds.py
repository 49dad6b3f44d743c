"""`Rounds`: the work of all reporters of a process, in one thread.

Whatever other threads ask for is put into a queue that may be used from signal handlers and finalisers too. So what belongs to
reporters and backends is used by one thread, without a lock.
"""

from __future__ import annotations

import time
from _thread import get_ident
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from tallymark.client.deadline import Deadline
from tallymark.log import logger
from tallymark.report.delivery import ATTEMPT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallymark.metric.registry import Registry
    from tallymark.metric.snapshot import Snapshot
    from tallymark.report.delivery import Delivery
    from tallymark.report.member import Member
    from tallymark.report.order import Order

__all__ = ["EXIT", "Rounds"]

EXIT = 4.0
"""Seconds for the last reports of all reporters, when the process ends."""
_LEAST = 1.0
"""Seconds that an attempt has at least, while others are due."""
_WAKES = 60.0
"""Seconds: no wait is longer."""


class Rounds:
    """Does what is due, and waits for what is due next; see `report.background.Service`.

    Args:
        clock: returns seconds; it never steps.
        phase: seconds; see `Schedule`.
        ended: called when the last reporter was closed; returns True if there is really none.
        forked: called in a forked child.

    Attributes:
        members: all reporters. Other threads add to it.
        thread: the identifier of the thread that runs them; 0 if none does.
    """

    def __init__(self, clock: Callable[[], float], phase: float, ended: Callable[[], bool], forked: Callable[[], None]) -> None:
        self.members: list[Member] = []
        self.thread = 0
        self._clock = clock
        self._phase = phase
        self._ended = ended
        self._forked = forked
        self._is_abandoned = False
        self._inbox: SimpleQueue[Order | None] = SimpleQueue()
        self._attempt: Deadline | None = None
        self._has_ended = False
        self._last: Deadline | None = None
        self._share: Deadline | None = None

    # From other threads

    def add(self, member: Member) -> None:
        """Begin to run a reporter."""
        member.enter(self._clock(), self._phase)
        self.members.append(member)
        self.ask()

    def ask(self, order: Order | None = None) -> None:
        """Have an order done soon; without one, look at what is due. May be called from anywhere."""
        self._inbox.put(order)
        if self._has_ended:
            self._finish_all()

    @property
    def was_killed(self) -> bool:
        """True if the thread has ended, though nobody stopped it: as gevent can end a greenlet."""
        return self._has_ended and self._last is None

    def is_this_thread(self) -> bool:
        """Return True if the caller is called by what the rounds do: it cannot wait for them."""
        return self.thread == get_ident()

    def hurry(self, seconds: float) -> None:
        """End the attempt to send that is under way within so many seconds."""
        attempt = self._attempt
        if attempt is not None:
            attempt.cut(seconds)

    def stop(self) -> None:
        """Make the last reports of all, and end, soon."""
        self._last = self._last or Deadline(EXIT, self._clock)
        self.hurry(_LEAST)
        self._inbox.put(None)

    def release(self) -> None:
        """Let go of everything. The rounds must not be running."""
        for member in list(self.members):
            self._end(member)

    def abandon(self) -> None:
        """In a forked child: leave all to other rounds. A greenlet of gevent's goes on there, and sleeps for ever."""
        self._is_abandoned = True
        self.hurry(0.0)
        self._forked()

    # In the thread

    def run(self) -> None:
        """Do what is due until `stop` is called, or the last reporter is closed."""
        self.thread = get_ident()
        try:
            while self._last is None and not self._is_abandoned:
                self._receive(self._wait())
                self.do_due()
                if not self.members and not self._is_abandoned and self._ended():
                    return
            while self._is_abandoned:
                time.sleep(_WAKES)  # `threading` no longer knows the thread, and would fail at its end
            self._make_last_reports()
        finally:
            self._has_ended = True  # before anybody is let go on, who may make another reporter
            if not self._is_abandoned:
                self.release()
            self._finish_all()
            self.thread = 0

    def _finish_all(self) -> None:
        """Let go on who waits in vain, as all reporters are closed."""
        with suppress(Empty):
            while True:
                order = self._inbox.get_nowait()
                if order is not None:
                    self._reject(order)

    def _reject(self, order: Order) -> None:
        """Finish an order of a reporter that is closed."""
        order.finish(order.what == "close" and order.member.arrived)

    def _wait(self) -> float:
        now = self._clock()
        return min([max(self._next(), now), now + _WAKES]) - now

    def _next(self) -> float:
        return min([member.due() for member in list(self.members)], default=float("inf"))

    def _receive(self, wait: float) -> None:
        """Take all orders; wait for the first, for so many seconds."""
        try:
            order = self._inbox.get(timeout=wait) if wait > 0 else self._inbox.get_nowait()
            while True:
                if order is not None:
                    self._accept(order)
                order = self._inbox.get_nowait()
        except Empty:
            pass

    def _accept(self, order: Order) -> None:
        member = order.member
        if member not in self.members:  # it is closed
            self._reject(order)
            return
        order.losses = member.losses
        member.orders.append(order)
        member.closed = member.closed or order.what == "close"
        member.wants_report = member.tries = True

    def do_due(self) -> None:
        """Do what is due now. Who failed last comes last, so that one that hangs delays others as little as possible."""
        snapshots: dict[int, Snapshot | None] = {}
        now = self._clock()
        due = [member for member in list(self.members) if member.due() <= now]
        for member in sorted(due, key=lambda one: one.is_failing):
            if self._last is None and not self._is_abandoned:
                self._do_safely(member, snapshots)

    def _do_safely(self, member: Member, snapshots: dict[int, Snapshot | None]) -> None:
        try:
            self._do(member, snapshots)
            member.has_failed = False
        except Exception:  # of our own making: what others raise was handled
            if self._is_abandoned:
                return
            member.put_off(self._clock())
            if not member.has_failed:
                logger().exception(
                    "%s: a report failed. It is tried again, and not logged again until that succeeds", member.kind
                )
            member.has_failed = True
        if not self._is_abandoned:
            self._answer(member)

    def _do(self, member: Member, snapshots: dict[int, Snapshot | None]) -> None:
        began = self._clock()
        delivery = member.look(began)
        if delivery is None:
            return
        if member.wants_report:
            member.wants_report = False
            member.owes_report = not self._take(delivery, snapshots)
        if member.may_send(began):
            delivery.send(lambda: self._limit(member), lambda: self._is_urgent(member))
            if self._is_abandoned:
                return
            delivery.health.took(self._clock() - began)
        member.tries = False
        if member.owes_report and not delivery.outbox:
            member.owes_report, member.wants_report = False, True

    def _take(self, delivery: Delivery, snapshots: dict[int, Snapshot | None]) -> bool:
        """Make a report of a snapshot that all who are due share; return False if there is no room for it."""
        registry = delivery.registry
        if id(registry) not in snapshots:
            snapshots[id(registry)] = _snapshot_of(registry, delivery)
        snapshot = snapshots[id(registry)]
        return snapshot is None or not snapshot.families or delivery.take(snapshot)

    def _limit(self, member: Member) -> Deadline:
        """Return the deadline of one attempt: before the next of the others is due, if it failed before."""
        seconds = ATTEMPT
        if member.is_failing:
            others = [one.due() for one in self.members if one is not member and not one.is_failing]
            seconds = min(seconds, max(min(others, default=seconds) - self._clock(), _LEAST))
        if self._share is not None:
            seconds = min(seconds, max(_left(self._share), 0.0))
        self._attempt = Deadline(seconds, self._clock)
        return self._attempt

    def _is_urgent(self, member: Member) -> bool:
        """Return True if somebody else is to be served first."""
        if self._share is not None:
            return not _left(self._share)
        now = self._clock()
        others = any(one.due() <= now for one in self.members if one is not member)
        return others or self._is_abandoned or not self._inbox.empty()

    def _answer(self, member: Member) -> None:
        """Finish the orders of a reporter that are done, or for which nobody waits any more."""
        arrived, losses = member.has_arrived, member.losses
        waiting = [order for order in member.orders if self._is_open(order)]
        if member.closed and not any(order.what == "close" for order in waiting):
            waiting = []
        done = [order for order in member.orders if order not in waiting]
        member.orders = waiting
        if member.closed and not waiting:
            member.arrived = arrived and all(order.losses == losses for order in done)
            self._end(member)
        for order in done:
            order.finish(arrived and order.losses == losses)

    def _is_open(self, order: Order) -> bool:
        """Return True if an order is not done yet, and somebody waits for it."""
        member = order.member
        if member.delivery is None or not member.waits or self._clock() >= order.until:
            return False
        return order.what == "flush" or not member.is_failing

    def _end(self, member: Member) -> None:
        if member in self.members:
            self.members.remove(member)
        member.closed = True
        member.end()
        left, member.orders = member.orders, []
        for order in left:
            order.finish(False)

    # The end of the process

    def _make_last_reports(self) -> None:
        snapshots: dict[int, Snapshot | None] = {}
        members = sorted(self.members, key=lambda one: one.is_failing)
        for left, member in zip(range(len(members), 0, -1), members, strict=True):
            if self._last is None or not _left(self._last):
                return
            share = _left(self._last) / left
            self._share = Deadline(min(share, _LEAST) if member.is_failing else share, self._clock)
            member.wants_report = member.tries = True
            self._do_safely(member, snapshots)
            member.arrived = member.arrived or member.has_arrived


def _left(deadline: Deadline) -> float:
    try:
        return deadline.left()
    except TimeoutError:
        return 0.0


def _snapshot_of(registry: Registry, delivery: Delivery) -> Snapshot | None:
    try:
        return registry.snapshot()
    except Exception as error:
        delivery.cannot_report(error)
        return None
