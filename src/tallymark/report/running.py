"""The rounds of this process: started with its first reporter, ended with its last, and begun anew in a forked child."""

from __future__ import annotations

import time
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING

from tallymark.engine.lock import held
from tallymark.report.background import Background
from tallymark.report.children import at_end_of_child, at_end_of_forked_child
from tallymark.report.order import Order
from tallymark.report.rounds import EXIT, Rounds
from tallymark.report.schedule import new_phase

if TYPE_CHECKING:
    from tallymark.metric.registry import Registry
    from tallymark.report.backend import Backend
    from tallymark.report.member import Member
    from tallymark.report.order import What

__all__ = ["ask", "close_all", "join", "running"]

_PATIENCE = EXIT + 1.0
"""Seconds that the end of the process waits for the thread."""

_lock = RLock()
"""Guards the two below: whether there is a thread, and who is in its rounds. Not held while anything is waited for."""
_rounds: Rounds | None = None
_background: Background | None = None


def join(member: Member) -> None:
    """Have a reporter run from now on.

    Raises:
        RuntimeError: the system cannot start another thread.
    """
    global _rounds, _background
    with _lock:
        if _rounds is None or _rounds.was_killed:
            rounds = Rounds(time.monotonic, new_phase(), _has_ended, _begin_anew)
            background = Background(rounds, name="tallymark-reports", patience=_PATIENCE)
            rounds.add(member)
            background.start()
            _rounds, _background = rounds, background
            at_end_of_child(close_all)
        else:
            _rounds.add(member)


def ask(member: Member, what: What, timeout: float) -> bool:
    """Have a reporter do something; return True if all has arrived by then. The reporters' own thread does not wait."""
    rounds, background = _rounds, _background
    if rounds is None or background is None or member not in rounds.members:
        return what == "close" and member.arrived
    order = Order(what, member, time.monotonic() + timeout)
    rounds.ask(order)
    if what == "close":
        rounds.hurry(timeout / 4)
    if rounds.is_this_thread() or held():  # which the thread may need, and who was interrupted has
        return False
    arrived = order.wait(time.monotonic)
    if what == "close" and _rounds is not rounds:
        background.close()
    return arrived


def running(registry: Registry, backend: Backend) -> Member | None:
    """Return the reporter of this process that reports a registry to a backend; None if there is none."""
    rounds = _rounds
    members = [] if rounds is None else list(rounds.members)
    return next((member for member in members if member.is_reporting and member.reports(registry, backend)), None)


def close_all() -> None:
    """Make the last reports of all reporters, within a few seconds, and end."""
    background = _background
    if background is not None:
        background.close()


def _has_ended() -> bool:
    """End the rounds, unless a reporter joined meanwhile."""
    global _rounds, _background
    with _lock:
        if _rounds is None or _rounds.members:
            return False
        _rounds = _background = None
        return True


def _begin_anew() -> None:
    """In a forked child: run the same reporters, in a thread of this process."""
    global _lock, _rounds, _background
    _lock = RLock()
    before, _rounds, _background = _rounds, None, None
    members = [] if before is None else [member for member in before.members if not member.closed]
    if members:
        at_end_of_forked_child(close_all)
    for member in members:
        member.abandon()
    for member in members:
        with suppress(Exception):  # of one that cannot be read, say; nothing may be logged yet
            member.begin_anew()
            join(member)
