"""`Outbox`: requests that wait until a backend takes them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tallymark.metric.snapshot import Snapshot

__all__ = ["Outbox", "Report", "Request", "requests_of"]

_OVERHEAD = 64
"""Bytes of memory that a part takes beside its own."""


class Report:
    """A report under way.

    Attributes:
        until: the snapshot that it was made of; None where nobody needs that.
        lost: True if some of it was dropped.
    """

    __slots__ = ("lost", "until")

    def __init__(self, until: Snapshot | None = None) -> None:
        self.until = until
        self.lost = False


class Request:
    """Parts of one report that are sent together.

    Attributes:
        ends: True if it is the last of its report.
        memory: bytes that it holds.
    """

    __slots__ = ("ends", "memory", "parts", "report")

    def __init__(self, report: Report, parts: Sequence[bytes], ends: bool = False) -> None:
        self.report = report
        self.parts = parts
        self.ends = ends
        self.memory = sum([memory_of(part) for part in parts])

    @property
    def size(self) -> int:
        """Bytes of its parts."""
        return sum([len(part) for part in self.parts])

    def halves(self, split: Callable[[bytes], Sequence[bytes]]) -> tuple[Request, Request] | None:
        """Return two requests that together tell the same; None if there are none.

        Args:
            split: returns smaller parts for one, or none.
        """
        parts = self.parts if len(self.parts) > 1 else split(self.parts[0])
        if len(parts) < 2:
            return None
        middle = len(parts) // 2
        return Request(self.report, parts[:middle]), Request(self.report, parts[middle:], self.ends)


def memory_of(part: bytes) -> int:
    """Return the bytes of memory that a part takes while it waits."""
    return len(part) + _OVERHEAD


def requests_of(report: Report, parts: Iterable[bytes], most: int) -> Iterator[Request]:
    """Group the parts of a report into requests of at most so many bytes; a larger part has one of its own."""
    group: list[bytes] = []
    size = 0
    for part in parts:
        if group and size + len(part) > most:
            yield Request(report, group)
            group, size = [], 0
        group.append(part)
        size += len(part)
    if group:
        yield Request(report, group, ends=True)


class Outbox:
    """A queue of requests, in the order in which they are sent.

    Args:
        most: bytes of memory that all together may take; one report may be larger if it is alone.

    Attributes:
        memory: bytes that they take now.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.memory = 0
        self._requests: deque[Request] = deque()

    def __bool__(self) -> bool:
        return bool(self._requests)

    @property
    def room(self) -> float:
        """Bytes that may be added; infinite if nothing waits."""
        return self.most - self.memory if self._requests else float("inf")

    @property
    def first(self) -> Request:
        """What is sent next."""
        return self._requests[0]

    def put(self, requests: Iterable[Request]) -> None:
        """Add requests at the end."""
        for request in requests:
            self._requests.append(request)
            self.memory += request.memory

    def pop(self) -> Request:
        """Remove what was to be sent next, and return it."""
        request = self._requests.popleft()
        self.memory -= request.memory
        return request

    def split_first(self, split: Callable[[bytes], Sequence[bytes]]) -> bool:
        """Send what is next in two requests; return False if it cannot be divided. `split` is as for `Request.halves`."""
        halves = self.first.halves(split)
        if halves is None:
            return False
        self.pop()
        for request in reversed(halves):
            self._requests.appendleft(request)
            self.memory += request.memory
        return True

    def drop_oldest(self) -> Report:
        """Remove all of the oldest report, and return that."""
        report = self.pop().report
        while self._requests and self._requests[0].report is report:
            self.pop()
        report.lost = True
        return report

    def reports(self) -> list[Report]:
        """Return the reports of which something waits, the oldest first."""
        return list(dict.fromkeys([request.report for request in self._requests]))

    def clear(self) -> None:
        """Forget all."""
        self._requests.clear()
        self.memory = 0
