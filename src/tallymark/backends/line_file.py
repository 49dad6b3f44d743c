"""`LineFile`: a file that whole lines are appended to, which others rotate, fill and remove meanwhile."""

from __future__ import annotations

import errno
import os
import select
import stat
from typing import TYPE_CHECKING

from tallymark.metric.shared.printable import printable
from tallymark.report.errors import SendError

if TYPE_CHECKING:
    from tallymark.client.deadline import Deadline

__all__ = ["LineFile", "absolute"]

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def absolute(path: str | os.PathLike[str]) -> str:
    """Return where a file is, wherever the process goes.

    Raises:
        ValueError: no file can be there.
    """
    text = os.fsdecode(path)
    if not text or "\0" in text:
        raise ValueError(f"no file can be called {text!r}")
    return os.path.abspath(text)


class LineFile:
    """A file, or a named pipe. It is opened when it is first written to, and again when its path leads to another file.

    Args:
        path: where it is; it is made if there is none.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file: int | None = None
        self._is_torn = False

    def append(self, lines: bytes, deadline: Deadline) -> int:
        """Append lines, all or none of them, and return how many bytes that took.

        A pipe cannot take back what was written to it: there, a line that was cut is ended before the next one.

        Raises:
            SendError: they could not be written.
        """
        try:
            file = self._opened()
            return self._write(file, b"\n" + lines if self._is_torn else lines, deadline)
        except TimeoutError:
            raise SendError(f"{printable(self.path)} has not taken all in time; does anybody read it?") from None
        except OSError as error:
            self.close()
            words = "nobody reads the pipe" if error.errno == errno.ENXIO else error.strerror or error
            raise SendError(f"{printable(self.path)} cannot be written: {words}") from error

    def _opened(self) -> int:
        if self._file is not None and not self._is_there(self._file):
            self.close()
        if self._file is None:
            self._file = os.open(self.path, _FLAGS, 0o666)
            status = os.fstat(self._file)
            if stat.S_ISREG(status.st_mode):
                self._is_torn = _ends_within_a_line(self.path, status.st_size)
        return self._file

    def _is_there(self, file: int) -> bool:
        """Return False if the file was renamed or removed."""
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(file))
        except OSError:
            return False

    def _write(self, file: int, data: bytes, deadline: Deadline) -> int:
        start, written, rest = os.fstat(file).st_size, 0, memoryview(data)
        try:
            while written < len(data):
                deadline.left()
                try:
                    written += os.write(file, rest[written:])
                except BlockingIOError:
                    _wait_for_room(file, deadline.slice())
        except BaseException:
            if written:
                self._take_back(file, start, written)
            raise
        self._is_torn = False
        return written

    def _take_back(self, file: int, start: int, written: int) -> None:
        """Remove what was written in part, unless others have written after it."""
        self._is_torn = True
        status = os.fstat(file)
        if stat.S_ISREG(status.st_mode) and status.st_size == start + written:
            os.ftruncate(file, start)
            self._is_torn = False

    def close(self) -> None:
        """Close the file. The next `append` opens it again."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def _wait_for_room(file: int, seconds: float) -> None:
    waiting = select.poll()  # `select` knows no file above 1,023
    waiting.register(file, select.POLLOUT)
    waiting.poll(seconds * 1000)


def _ends_within_a_line(path: str, size: int) -> bool:
    """Return True if the last line of a file has no end: who wrote it was killed."""
    if not size:
        return False
    try:
        with open(path, "rb") as file:
            file.seek(size - 1)
            return file.read(1) not in (b"\n", b"")
    except OSError:  # it may not be read
        return False
