"""`ReplacedFile`: a file whose readers see one whole content or the next."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from tallymark.metric.shared.printable import printable
from tallymark.report.errors import SendError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tallymark.client.deadline import Deadline

__all__ = ["ReplacedFile"]

_ENDING = ".tmp"


class ReplacedFile:
    """A file that is written beside itself, and then moved to its place.

    While one is written it is locked. So the next writer tells what one that was killed has left, and removes it.

    Args:
        path: where it is. If it is a symbolic link, the file that it leads to is replaced, and the link stays.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._is_swept = False

    def replace(self, parts: Sequence[bytes], deadline: Deadline) -> int:
        """Replace the content, and return how many bytes it has. If that fails, the old one stays.

        Raises:
            SendError: it could not be written.
        """
        try:
            deadline.left()
            target = os.path.realpath(self.path)
            if not self._is_swept:
                _sweep(target)
                self._is_swept = True
            return _written(target, parts)
        except TimeoutError:
            raise SendError(f"{printable(self.path)} was not written in time") from None
        except OSError as error:
            self._is_swept = False
            raise SendError(f"{printable(self.path)} cannot be written: {error.strerror or error}") from error


def _written(target: str, parts: Sequence[bytes]) -> int:
    folder, name = os.path.split(target)
    beside = os.path.join(folder, f".{name}.{os.urandom(8).hex()}{_ENDING}")
    mode = 0o600 if os.path.exists(target) else 0o644  # until it has that of the old one, which others may be forbidden to read
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(file, "wb", buffering=0) as stream:
            with suppress(OSError):  # not every file system has locks
                fcntl.flock(file, fcntl.LOCK_EX)
            for part in parts:
                _write_all(file, part)
            _take_after(file, target)
            os.fsync(file)  # else the name may reach the disk before the content, and after a crash the file is empty
            os.replace(beside, target)
            return stream.tell()
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _take_after(file: int, target: str) -> None:
    """Give a file the owner and the mode of the one that it replaces, as far as that is allowed."""
    try:
        old = os.stat(target)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(old.st_mode):
        raise FileExistsError(errno.EEXIST, "it is there, and is not a file")
    for user, group in ((-1, old.st_gid), (old.st_uid, -1)):
        with suppress(PermissionError):
            os.fchown(file, user, group)
    os.fchmod(file, stat.S_IMODE(old.st_mode))


def _sweep(target: str) -> None:
    """Remove what writers that were killed have left."""
    folder, name = os.path.split(target)
    for entry in os.listdir(folder):
        if entry.startswith(f".{name}.") and entry.endswith(_ENDING):
            with suppress(OSError):  # somebody writes it now, or it is another's
                _remove_unlocked(os.path.join(folder, entry))


def _remove_unlocked(path: str) -> None:
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    finally:
        os.close(file)
