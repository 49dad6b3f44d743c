"""The table that the demo shows: one row for each operation, read from two snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import isnan, nan

import tallymark as tm
from tallymark.demo.backend import WORKLOADS

__all__ = ["HEADINGS", "Row", "plain_text", "read_rows"]

HEADINGS = ("operation", "requests/s", "errors", "timeouts", "p50 ms", "p95 ms", "p99 ms")


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one operation.

    Attributes:
        operation: its name.
        rate: requests a second, between the two snapshots.
        errors: so far.
        timeouts: so far.
        quantiles: of the duration so far, in seconds: median, 95th and 99th percentile; NaN before the first operation.
    """

    operation: str
    rate: float
    errors: int
    timeouts: int
    quantiles: tuple[float, float, float]

    def cells(self) -> tuple[str, ...]:
        """Return what is shown under `HEADINGS`."""
        milliseconds = ["-" if isnan(seconds) else f"{seconds * 1000:.1f}" for seconds in self.quantiles]
        return self.operation, f"{self.rate:.1f}", str(self.errors), str(self.timeouts), *milliseconds


def read_rows(now: tm.Snapshot, before: tm.Snapshot) -> list[Row]:
    """Return a row for each operation. The rate is counted from `before`."""
    elapsed = now.time - before.time
    rows = []
    for operation in WORKLOADS:
        counts = _counts(now, operation)
        done = sum(counts.values()) - sum(_counts(before, operation).values())
        rate = done / elapsed if elapsed > 0 else 0.0
        duration = _duration(now, operation)
        p50, p95, p99 = [duration.quantile(q) if duration else nan for q in (0.5, 0.95, 0.99)]
        rows.append(Row(operation, rate, counts.get("error", 0), counts.get("timeout", 0), (p50, p95, p99)))
    return rows


def plain_text(rows: Sequence[Row]) -> str:
    """Return the table as lines of text, columns aligned."""
    lines = [HEADINGS, *[row.cells() for row in rows]]
    return "\n".join([f"{first:<9}" + "".join([f"{cell:>12}" for cell in rest]) for first, *rest in lines])


def _counts(snapshot: tm.Snapshot, operation: str) -> dict[str, int]:
    """Return how many operations ended in each status."""
    series = [one for one in snapshot["operations"] if one.tags.get("operation") == operation]
    return {one.tags["status"]: int(one.value) for one in series}


def _duration(snapshot: tm.Snapshot, operation: str) -> tm.HistogramSnapshot | None:
    """Return the durations of an operation, whatever its status; None before the first."""
    series = [one.histogram for one in snapshot["operation_duration"] if one.tags.get("operation") == operation]
    return reduce(tm.HistogramSnapshot.merged, series) if series else None
