"""Where processes that share a registry keep what a backend was told: beside the shared file, or in inherited memory."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Protocol

    class Store(Protocol):
        """Keeps one record. It is there as a whole, whenever the process is killed."""

        def read(self) -> bytes | None:
            """Return the record; None if there is none. `OSError` or `ValueError` if it cannot be read."""

        def write(self, record: bytes) -> None:
            """Replace the record. `OSError` if it cannot be."""


__all__ = ["FileStore", "MemoryStore", "Store"]

_MOST = 2**30
_NUMBER = 8


class FileStore:
    """A file beside the shared one, that only this user may write.

    Args:
        shared: the path of the shared file.
        kind: of the backend; and what tells it from others, which becomes part of the name.
    """

    def __init__(self, shared: Path, kind: str, role: str) -> None:
        name = "".join([one if one.isalnum() or one in "-_" else "_" for one in kind])
        digest = blake2b(role.encode("utf-8", "backslashreplace"), digest_size=6).hexdigest()
        self.path = shared.with_name(f"{shared.name}.{name}-{digest}.reported")

    def read(self) -> bytes | None:
        """Return the record; None if there is none."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        with os.fdopen(fd, "rb") as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_size > _MOST:
                raise ValueError("it is not a file of this user, or too large")
            return file.read(_MOST)

    def write(self, record: bytes) -> None:
        """Replace the record, at once: who is killed meanwhile leaves the old one."""
        new = f"{self.path}.new"  # one process writes at a time: whose turn it is to report
        with suppress(FileNotFoundError):
            os.unlink(new)  # of one that was killed
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(fd, "wb", buffering=0) as file:
                view = memoryview(record)
                while view:
                    view = view[file.write(view) :]
            os.rename(new, self.path)
        except BaseException:
            with suppress(OSError):
                os.unlink(new)
            raise


class MemoryStore:
    """Memory without a name, for a registry without a file: forked children inherit it. Two halves are written in turns."""

    def __init__(self) -> None:
        self._halves = [os.memfd_create("tallymark-reported") for _ in range(2)]

    def read(self) -> bytes | None:
        """Return the record that was written last; None if there is none."""
        records = [record for fd in self._halves if (record := self._read(fd)) is not None]
        return max(records, key=_number)[_NUMBER:] if records else None

    def _read(self, fd: int) -> bytes | None:
        size = os.fstat(fd).st_size
        record = os.pread(fd, size, 0)
        return record if len(record) > _NUMBER and _number(record) else None

    def write(self, record: bytes) -> None:
        """Replace the older record. Its number is written last: without one, it is none."""
        numbers = [_number(os.pread(fd, _NUMBER, 0)) for fd in self._halves]
        fd = self._halves[numbers.index(min(numbers))]
        os.ftruncate(fd, 0)
        at = _NUMBER
        view = memoryview(record)
        while view:
            written = os.pwrite(fd, view, at)
            at, view = at + written, view[written:]
        os.pwrite(fd, (max(numbers) + 1).to_bytes(_NUMBER, "big"), 0)

    def __del__(self) -> None:
        for fd in self._halves:
            with suppress(OSError):
                os.close(fd)


def _number(record: bytes) -> int:
    return int.from_bytes(record[:_NUMBER], "big")
