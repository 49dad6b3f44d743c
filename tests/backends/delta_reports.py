"""Reports of what was added, as a reporter makes them: each is sent once, and what did not arrive is lost."""

from __future__ import annotations

import time

import tallymark as tm
from tallymark.client.deadline import Deadline
from tallymark.report.backend import Backend

__all__ = ["DeltaReports"]


class DeltaReports:
    """Reports of one registry to one backend."""

    def __init__(self, registry: tm.Registry, backend: Backend) -> None:
        self._registry = registry
        self._backend = backend
        self._before = tm.Snapshot((), 0.0)

    def report(self, seconds: float = 10.0) -> int:
        """Send what was added since the last report, and return how many bytes that took. Raises what `send` does."""
        before, now = self._before, self._registry.snapshot()
        self._before = now
        added = tm.delta(before, self._backend.select(now), absolute_gauges=True)
        parts = list(self._backend.encode(added, before.time))
        return self._backend.send(parts, Deadline(seconds, time.monotonic))
