"""Memory that processes share: opening it, and what it says of families. `docs/processes.md` tells how it works."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import stat
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from math import fsum
from pathlib import Path
from typing import Any
from weakref import WeakSet

from tallymark.engine.columns import Columns
from tallymark.engine.options import FamilyOptions
from tallymark.engine.text import text_tags
from tallymark.errors import SharedFileError

__all__ = ["SHARED_LIMIT", "SharedEntry", "Sharing", "open_to_read", "open_to_share"]

#: Bytes that the memory of a registry may grow to: some 400,000 series.
SHARED_LIMIT = 64 * 2**20

AGGREGATES = ("last", "sum", "max", "min")
_COMBINE: dict[str, Callable[[Iterable[float]], float]] = {"sum": fsum, "max": max, "min": min}

_logger = logging.getLogger("tallymark")


@dataclass(frozen=True, slots=True)
class SharedEntry:
    """What shared memory says of a family, for all processes."""

    name: str
    kind: str
    unit: str
    bounds: tuple[float, ...]
    aggregate: str
    description: str

    @classmethod
    def read(cls, text: bytes) -> SharedEntry | None:
        """Return what a text says, or None for one that `write` cannot have written."""
        try:
            name, _, rest = text.decode().partition("\n")
            kind, unit, bounds, aggregate, description = json.loads(rest)
            entry = cls(name, kind, unit, tuple(map(float, bounds)), aggregate, description)
        except (ValueError, TypeError, RecursionError):
            return None
        texts = all(isinstance(one, str) for one in (kind, unit, description))
        buckets = kind in ("histogram", "timer")
        known = buckets or kind in ("counter", "gauge")
        ascending = all(a < b for a, b in zip(entry.bounds, entry.bounds[1:], strict=False))
        return entry if texts and known and buckets == bool(bounds) and ascending and aggregate in AGGREGATES else None

    def write(self) -> bytes:
        """Return the text that `read` takes."""
        rest = [self.kind, self.unit, self.bounds, self.aggregate, self.description]
        return f"{self.name}\n{json.dumps(rest)}".encode()

    @property
    def words(self) -> int:
        """Cells of a series: one, or a count for each bucket, the sum, and the least and greatest value."""
        return len(self.bounds) + 4 if self.bounds else 1


class Sharing:
    """The shared memory of one registry, in this process.

    Attributes:
        shared: what maps it.
        path: the file, or None for memory that is inherited.
    """

    def __init__(self, shared: Any, path: Path | None) -> None:
        self.shared = shared
        self.path = path
        self.places: dict[str, int] = {}
        self.families: Any = lambda: None  # a weak reference to the registry's Families, which has us
        self._told = False
        _open.add(self)

    def enter(self, options: FamilyOptions, description: str) -> tuple[FamilyOptions, str, int]:
        """Find or make a family; return its options and description as all know them, and its place: 0 without room."""
        wanted = SharedEntry(options.name, options.kind, options.unit, options.bounds, options.aggregate or "last", description)
        place = self.shared.add_family(wanted.write(), wanted.words, AGGREGATES.index(wanted.aggregate))
        if not place:
            return options, description, 0
        found = next((entry for at, entry, _ in self.entries() if at == place), wanted)
        return self.options(found, options), found.description or description, place

    @staticmethod
    def options(entry: SharedEntry, like: FamilyOptions) -> FamilyOptions:
        """Return options in the shape that shared memory tells."""
        return replace(like, name=entry.name, kind=entry.kind, unit=entry.unit, bounds=entry.bounds, aggregate=entry.aggregate)

    def entries(self) -> Iterator[tuple[int, SharedEntry, bool]]:
        """Yield place, entry, and whether it is registered, of each family that can be read."""
        for place, text, registered in self.shared.families():
            entry = SharedEntry.read(text)
            if entry is not None:
                yield place, entry, bool(registered)

    def read_shares(self, engine: Any, name: str, aggregate: str) -> Columns | None:
        """Return a gauge whose processes each have a share, combined; None where there is no share."""
        self.shared.bury()
        shares: dict[bytes, list[tuple[float, float]]] = {}
        for text, _, created, (word,) in self.shared.series(self.places[name]):
            shares.setdefault(text, []).append((created, double_of(word)))
        found = {text: tags for text in shares if (tags := text_tags(text)) is not None}
        if not found:
            return None
        return Columns(
            tuple(engine.TagSet(tags) for tags in found.values()),
            tuple(min(created for created, _ in shares[text]) for text in found),
            tuple(float(_COMBINE[aggregate]([value for _, value in shares[text]])) for text in found),
        )

    def check(self) -> None:
        """Say, once, that the file was replaced or removed: this process then shares only with those that have the old one."""
        if self.path is None or self._told:
            return
        try:
            now = os.stat(self.path)
            gone = (now.st_dev, now.st_ino) != self.shared.identity()
        except OSError:
            gone = True
        if gone:
            self._told = True
            _logger.error(
                "%s was replaced or removed while in use: processes that start from now on do not share with this one."
                " Restart all processes, and remove the file only when none runs.", self.path,
            )  # fmt: skip


def double_of(word: int) -> float:
    """Return the double that a cell holds."""
    value: float = struct.unpack("d", struct.pack("Q", word))[0]
    return value


def open_to_share(engine: Any, shared: bool | str | os.PathLike[str], limit: int) -> Sharing:
    """Open shared memory, made if need be: to be inherited over a fork (`True`), or a file.

    Raises:
        SharedFileError: the file cannot be used; it says why, and what to do.
        TypeError: `shared` is neither True nor a path.
        ValueError: this engine or platform cannot share memory, or the limit makes no sense.
    """
    if engine.name != "native" or not hasattr(os, "memfd_create"):
        raise ValueError(
            f"Registry(shared={shared!r}): the {engine.name} engine on {sys.platform} cannot share memory between processes;"
            " the native engine on Linux can (TALLYMARK_ENGINE=native tells how to get it)"
        )
    if shared is True:
        fd = os.memfd_create("tallymark")
        try:
            engine.Shared.format(fd, limit)
            return Sharing(engine.Shared(fd), None)
        finally:
            os.close(fd)
    if isinstance(shared, bool) or not isinstance(shared, str | os.PathLike):
        raise TypeError(f"shared must be True or a path, not {shared!r}")
    path = Path(shared).absolute()
    with _explained(path):
        fd = _open_or_make(engine, path, limit)
        try:
            return Sharing(_mapped(engine, fd, path, writable=True), path)
        finally:
            os.close(fd)


def open_to_read(engine: Any, path: str | os.PathLike[str]) -> Any:
    """Open a file that processes share, to look at it alone: nothing that is done with it can change it."""
    if engine.name != "native":
        raise ValueError("only the native engine can read memory that processes share")
    found = Path(path)
    with _explained(found):
        fd = os.open(found, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _mapped(engine, fd, found, writable=False)
        finally:
            os.close(fd)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except SharedFileError:
        raise
    except OSError as error:
        remedy = "choose a directory that this process may write to, on a local file system with space"
        raise SharedFileError(f"{path}: cannot be shared: {error.strerror or error}; {remedy}") from error


def _open_or_make(engine: Any, path: Path, limit: int) -> int:
    for _ in range(100):
        try:
            return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):  # another process was first: take its
                return _make(engine, path, limit)
    raise SharedFileError(f"{path}: it comes and goes; is something removing it?")


def _make(engine: Any, path: Path, limit: int) -> int:
    """Make the file whole before anyone can see it, so that no process finds half of one, however many start at once."""
    fd = os.open(path.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        engine.Shared.format(fd, limit)
        os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)  # with a descriptor, it follows
    except BaseException:
        os.close(fd)
        raise
    return fd


def _mapped(engine: Any, fd: int, path: Path, writable: bool) -> Any:
    status = os.fstat(fd)
    remedy = "nothing was changed. Remove it if no process uses it, or choose another path"
    if not stat.S_ISREG(status.st_mode):
        raise SharedFileError(f"{path}: it is no regular file; {remedy}")
    if writable and status.st_uid != os.geteuid():
        raise SharedFileError(f"{path}: it belongs to another user (uid {status.st_uid}); {remedy}")
    try:
        return engine.Shared(fd, writable)
    except ValueError as error:
        raise SharedFileError(f"{path}: {error}; {remedy}") from None


_open: WeakSet[Sharing] = WeakSet()


def _before_fork() -> None:
    for sharing in list(_open):
        sharing.shared.before_fork()


def _after_fork() -> None:
    for sharing in list(_open):
        sharing.shared.after_fork()


def _in_child() -> None:
    for sharing in list(_open):
        sharing.shared.in_child()
        families = sharing.families()
        for family in families.all() if families is not None else ():
            family._settle()  # the parent's shares of gauges are not ours


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
