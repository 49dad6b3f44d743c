"""One report to a backend, without a reporter: what to send, and sending it at once."""

from __future__ import annotations

import time

import tallymark as tm
from tallymark.client.deadline import Deadline
from tallymark.report.backend import Backend


def send(backend: Backend, snapshot: tm.Snapshot, seconds: float = 5.0) -> int:
    """Send a snapshot as one request, and return how many bytes that took."""
    parts = [part for part in backend.encode(backend.select(snapshot), 0.0) if part]
    return backend.send(parts, Deadline(seconds, time.monotonic))


def body(backend: Backend, snapshot: tm.Snapshot) -> bytes:
    """Return what would be sent."""
    return b"".join(backend.encode(backend.select(snapshot), 0.0))
