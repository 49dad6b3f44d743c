"""A backend that keeps what it is sent, and fails when it is told to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import tallymark as tm
from tallymark.client.deadline import Deadline
from tallymark.report.backend import Backend

Plan = Callable[[bytes], object]


def rows(snapshot: tm.Snapshot) -> Iterator[dict[str, Any]]:
    """Yield what there is to tell: a row for each series, with the count of observations where it has a distribution."""
    for series in snapshot:
        value = series.count if series.kind in ("histogram", "timer", "summary") else series.value
        yield {"name": series.name, "tags": dict(series.tags), "value": value}


class RecordingBackend(Backend):
    """Keeps the bodies of requests.

    Attributes:
        bodies: what arrived.
        attempts: how often something was sent, arrived or not.
        before: called with a body before it is kept; it may raise, wait, or return what `send` is to return.
        after: called after it was kept.
    """

    kind = "recording"
    at_least_once = True

    def __init__(
        self,
        temporality: Literal["cumulative", "delta"] = "cumulative",
        *,
        name: str = "here",
        own: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.temporality = temporality
        self.name = name
        self.own = own
        self.bodies: list[bytes] = []
        self.attempts = 0
        self.closed = 0
        self.before: Plan = len
        self.after: Plan = len
        self.since: list[float] = []

    @property
    def address(self) -> str:
        return self.name

    def encode(self, snapshot: tm.Snapshot, since: float) -> Iterator[bytes]:
        self.since.append(since)
        for row in rows(snapshot):
            if self.own or not row["name"].startswith("tallymark_"):
                yield json.dumps(row).encode() + b"\n"

    def send(self, parts: Sequence[bytes], deadline: Deadline) -> int:
        body = b"".join(parts)
        self.attempts += 1
        sent: Any = self.before(body)
        self.bodies.append(body)
        self.after(body)
        return sent

    def close(self) -> None:
        self.closed += 1

    def rows(self) -> list[dict[str, Any]]:
        """Return all that arrived."""
        return [json.loads(line) for body in self.bodies for line in body.splitlines()]

    def total(self, name: str, **tags: str) -> float:
        """Return the sum of all that arrived of a series."""
        return sum([row["value"] for row in self.rows() if row["name"] == name and row["tags"] == tags])

    def last(self, name: str, **tags: str) -> float:
        """Return what arrived last of a series."""
        return [row["value"] for row in self.rows() if row["name"] == name and row["tags"] == tags][-1]
