"""`Backend`: a place that reports are sent to. What it is sent, and how, is in `tallymark.backends`, a file for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar, Literal

from tallymark.engine import TagSet
from tallymark.metric.snapshot import Snapshot
from tallymark.metric.validation import check_name, check_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tallymark.client.deadline import Deadline

__all__ = ["Backend"]


class Backend(ABC):
    """Encodes snapshots and sends them.

    A report is a list of parts, each of which the backend understands alone: a few lines, a message. A request has as many of
    them as fit. All methods are called by one thread at a time.

    Args:
        prefix: begins each metric's name.
        include: globs of names; only these metrics are sent. Empty: all.
        exclude: globs of names; these are not sent. They win over `include`.
        tags: for all series; a series' own win.

    Attributes:
        kind: what it is, as the tag `backend` of its health metrics has it.
        temporality: what it is told: totals, or what was added since the report before.
        at_least_once: True if it answers, so that what was not answered is sent again; False if nobody knows what arrives.
        keeps: which reports wait while it cannot be reached: all, for as long as there is room, or only the latest.
        most_bytes: of the parts of one request.
        shared_name: what all processes that share the registry call it, such as its path; whoever reports sets it. Empty: the
            registry is this process' own.
        on_dropped: what to tell of data that the format cannot carry: the metric and a reason; None: nobody.

    Raises:
        TypeError: an argument has another type.
        ValueError: no metric's name can begin with the prefix. `TagError` for a key that no tag can have.
    """

    kind: ClassVar[str]
    at_least_once: ClassVar[bool] = True
    temporality: Literal["cumulative", "delta"] = "cumulative"
    keeps: Literal["all", "latest"] = "all"
    most_bytes: int = 2**20
    shared_name: str = ""

    def __init__(
        self,
        *,
        prefix: str = "",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.prefix = _checked_prefix(prefix)
        self.include = _globs("include", include)
        self.exclude = _globs("exclude", exclude)
        self.tags = dict(TagSet(tags))
        self.on_dropped: Callable[[str, str], None] | None = None

    @property
    @abstractmethod
    def address(self) -> str:
        """Where reports go, for people and logs: without secrets."""

    @abstractmethod
    def encode(self, snapshot: Snapshot, since: float) -> Iterable[bytes]:
        """Yield the parts of a report.

        Args:
            snapshot: what to tell; for a backend of deltas, what was added.
            since: for a backend of deltas, when the snapshot before was taken, in seconds since the epoch; 0 if there was none.
        """

    @abstractmethod
    def send(self, parts: Sequence[bytes], deadline: Deadline) -> int:
        """Send parts as one request, and return how many bytes that took. Return when it is answered, if it is ever.

        Raises:
            TooLargeError: there are too many, or one is too large, which is sent again in what `split` makes of it.
            SendError: they did not arrive; nobody knows whether they did.
        """

    def split(self, part: bytes) -> Sequence[bytes]:
        """Return smaller parts that together tell what one does which is too large alone; none if there are none."""
        return ()

    def close(self) -> None:  # noqa: B027  # some keep nothing
        """Close what is open; the next `send` opens it again. In a forked child, the parent's stays open."""

    def dropped(self, metric: str, reason: str) -> None:
        """Tell `on_dropped` that some data of a metric was left out or changed. Exporters call this once for each reason."""
        if self.on_dropped is not None:
            self.on_dropped(metric, reason)

    def select(self, snapshot: Snapshot) -> Snapshot:
        """Return the metrics that this backend is to get."""
        if not self.include and not self.exclude:
            return snapshot
        return Snapshot(tuple([family for family in snapshot.families if self._is_wanted(family.name)]), snapshot.time)

    def _is_wanted(self, name: str) -> bool:
        if any(fnmatchcase(name, glob) for glob in self.exclude):
            return False
        return not self.include or any(fnmatchcase(name, glob) for glob in self.include)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}>"


def _checked_prefix(prefix: str) -> str:
    check_type("prefix", prefix, str)
    if prefix:
        try:
            check_name(prefix)
        except ValueError:
            raise ValueError(
                f"no metric's name can begin with the prefix {prefix[:100]!r}: it starts with an ASCII letter, '_' or ':',"
                " and goes on with letters, digits and any of '_.:/-'"
            ) from None
    return prefix


def _globs(name: str, globs: Iterable[str]) -> tuple[str, ...]:
    if isinstance(globs, str):
        raise TypeError(f"{name} must be a list of globs, such as [{globs!r}], not one text")
    if not hasattr(globs, "__iter__"):
        raise TypeError(f"{name} must be a list of globs, not {type(globs).__name__}")
    found = tuple(globs)
    for glob in found:
        check_type(f"each of {name}", glob, str)
    return found
