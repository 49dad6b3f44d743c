"""`Health`: how a reporter is doing, as metrics of the registry that it reports."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tallymark.metric.null import NullRegistry
from tallymark.metric.rejections import REJECTED_LIMITS
from tallymark.metric.validation import MetricRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallymark.metric.registry import Registry

__all__ = ["Health", "Outcome"]

Outcome: TypeAlias = Literal["success", "failure", "dropped", "replaced"]
"""
success: a report has arrived as a whole.
failure: an attempt to send failed, and is made again.
dropped: a report was given up, or a part of it.
replaced: a report was replaced by a newer one before it arrived, which tells all that it would have told.
"""


class Health:
    """The health metrics of one kind of backend. A registry without metrics of its own has none of these.

    Args:
        registry: that is reported.
        kind: of the backend.
        wall: returns seconds since the epoch.
    """

    def __init__(self, registry: Registry, kind: str, wall: Callable[[], float] = time.time) -> None:
        owner = registry if registry._self_metrics else NullRegistry()
        tags = {"backend": kind}
        self._wall = wall
        self._reports = _instrument(owner, "counter", "tallymark_reports", "Reports, by how they ended.", "", None)
        self._kind = kind
        self._reports.with_tags(backend=kind, outcome="success")  # so that it is there before the first
        self._bytes = _instrument(owner, "counter", "tallymark_report_bytes", "What was sent.", "bytes", tags)
        self._last = _instrument(
            owner, "gauge", "tallymark_report_last_success", "When a report arrived, since the epoch.", "seconds", tags
        )
        self._queue = _instrument(owner, "gauge", "tallymark_report_queue", "Memory of what waits to be sent.", "bytes", tags)
        self._duration: Any = owner._with_buckets(
            "timer", "tallymark_report_duration", "How long it takes to encode and send.", "seconds", tags, None, None,
            REJECTED_LIMITS, None, False,
        )  # fmt: skip

    def count(self, outcome: Outcome) -> None:
        """Count a report, or an attempt to send one."""
        self._reports.inc(backend=self._kind, outcome=outcome)
        if outcome == "success":
            self._last.set(self._wall())

    def sent(self, size: int) -> None:
        """Count bytes."""
        self._bytes.inc(size)

    def took(self, seconds: float) -> None:
        """Record how long one turn of the reporter took."""
        self._duration.record(seconds)

    def waits(self, size: int) -> None:
        """Tell how many bytes of memory are waiting."""
        self._queue.set(size)


def _instrument(owner: Registry, kind: str, name: str, description: str, unit: str, tags: dict[str, str] | None) -> Any:
    aggregate = "last" if kind == "gauge" else None
    wanted = MetricRequest(kind, name, description, unit, limits=REJECTED_LIMITS, aggregate=aggregate)
    return owner._instrument(wanted, tags)
