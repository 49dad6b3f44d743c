"""`report_to`: reports to a backend, from a thread of their own, until the process ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallymark.metric import context
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type
from tallymark.report.backend import Backend
from tallymark.report.delivery import Delivery
from tallymark.report.member import Member
from tallymark.report.running import ask, join

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from tallymark.report.base import Base

__all__ = ["Reporter", "check_backend", "check_seconds", "report_to"]

_LEAST_EVERY = 0.01
_REPORT = 15.0
"""Seconds that `report` waits: another reporter's attempt may have to end before."""
_LONGEST = 1e9
"""Seconds, thirty years: what is longer means for ever, and the system's locks wait no longer than ten times that."""


def report_to(
    backend: Backend, every: float = 10.0, registry: Registry | None = None, *, max_queue_bytes: int = 16 * 2**20
) -> Reporter:
    """Report a registry to a backend, again and again, from a thread that all reporters of the process have in common.

        from tallymark.backends import StatsD

        tm.report_to(StatsD("127.0.0.1:8125"))

    A last report is made at the end of the process, which waits for it a few seconds at most. A forked child reports what it
    records itself. Of the processes that share a registry one reports; another takes over within a second of its end.

    Nothing that happens to a report is raised. Its health is in the registry: `tallymark_reports`, and others that begin so;
    that reports do not arrive, and that they do again, is logged.

    Args:
        backend: where to report to, such as `StatsD("127.0.0.1:8125")`.
        every: seconds between two reports.
        registry: whose metrics; by default the current registry at the time of this call. Closing it closes the reporter too.
        max_queue_bytes: memory for reports that wait until they can be sent. One report may wait, whatever its size.

    Raises:
        RuntimeError: the system cannot start another thread.
        TypeError: an argument is of the wrong type.
        ValueError: `every` or `max_queue_bytes` is not positive.
    """
    check_backend(backend)
    every = check_seconds("every", every)
    if every < _LEAST_EVERY:
        raise ValueError(f"every must be {_LEAST_EVERY} seconds or more, not {every!r}")
    registry = context.registry() if registry is None else registry
    check_type("registry", registry, Registry)
    check_type("max_queue_bytes", max_queue_bytes, int)
    if isinstance(max_queue_bytes, bool) or max_queue_bytes < 1:
        raise ValueError(f"max_queue_bytes must be a number of bytes, 1 or more, not {max_queue_bytes!r}")
    return Reporter(backend, every, registry, max_queue_bytes)


class Reporter:
    """Reports that are being sent; made by `report_to`. As a context manager, it closes itself at the end.

    Attributes:
        backend: where they go.
        every: seconds between two of them.
    """

    def __init__(self, backend: Backend, every: float, registry: Registry, max_queue_bytes: int) -> None:
        def deliver(base: Base) -> Delivery:
            return Delivery(backend, registry, max_queue_bytes, base)

        self.backend = backend
        self.every = every
        self._registry = registry
        self._member = Member(backend, registry, every, deliver)
        join(self._member)
        registry.attach(self)

    @property
    def is_reporting(self) -> bool:
        """False while another process, which shares the registry, reports to this backend; and when it is closed."""
        return self._member.is_reporting

    def report(self) -> bool:
        """Report now, and return when that was tried: True if all has arrived, what waited before included.

        What did not arrive is logged, and sent again later, as with any report. It returns False at once if this reporter is
        closed, and soon if another process reports.
        """
        return ask(self._member, "report", _REPORT)

    def flush(self, timeout: float = 5.0) -> bool:
        """Report now, and try again until all that was recorded until now has arrived; return True if it has.

        Args:
            timeout: seconds.
        """
        return ask(self._member, "flush", check_seconds("timeout", timeout))

    def close(self, timeout: float = 5.0) -> bool:
        """Make a last report, and end; return True if all has arrived. May be called again, from anywhere.

        Args:
            timeout: seconds to wait for that. Where it takes longer, it goes on in the background.
        """
        timeout = check_seconds("timeout", timeout)
        self._registry.detach(self)
        return ask(self._member, "close", timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        state = ", closed" if self._member.closed else "" if self.is_reporting else ", which another process reports to"
        return f"<Reporter to {self.backend!r} every {self.every:g} s{state}>"


def check_backend(backend: object) -> None:
    """Raise `TypeError` for what is no backend; the message tells what to write."""
    if isinstance(backend, Backend):
        return
    if isinstance(backend, type) and issubclass(backend, Backend):
        raise TypeError(f"backend must be made first: {backend.__name__}(...), not the class {backend.__name__}")
    remedy = "such as tallymark.backends.StatsD('127.0.0.1:8125')"
    raise TypeError(f"backend must be a backend, {remedy}, not {type(backend).__name__}")


def check_seconds(name: str, seconds: float) -> float:
    """Return an argument in seconds, thirty years at most.

    Raises:
        TypeError: it is not a number.
        ValueError: it is not positive.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {type(seconds).__name__}")
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{name} must be a positive number of seconds, not {seconds!r}")
    return float(min(seconds, _LONGEST))
