"""The file that processes share: created complete, checked before use, and rejected with a reason and a remedy."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tallymark.errors import SharedFileError
from tallymark.metric.shared.header import is_ours, release_trouble
from tallymark.metric.shared.printable import printable
from tallymark.metric.shared.trouble import BEGIN_ANEW, explained, remedy_of
from tallymark.version import __version__

__all__ = ["open_to_read", "open_to_share"]

# The errors of a file system that has no O_TMPFILE, which makes files without a name.
_NO_UNNAMED_FILES = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}

_FOREIGN = "is not a file that registries share"

_ROUNDS = 100
_PATIENCE, _PAUSE = 2.0, 0.05  # seconds: how long to wait for who begins a file anew, and between two looks


def open_to_share(
    engine: Any, shared: bool | str | os.PathLike[str], limit: int, fresh: bool = False
) -> tuple[Any, Path | None]:
    """Map memory to share, made if need be: to be inherited over a fork (`True`), or a file. Return it, and the file's path.

    Args:
        fresh: begin a file anew if no living process uses it.

    Raises:
        SharedFileError: the file cannot be used; the message has the reason and a remedy.
        TypeError: `shared` is neither True nor a path.
        ValueError: this engine or platform cannot share memory, or the limit is out of range.
    """
    if engine.name != "native" or not hasattr(os, "memfd_create"):
        raise ValueError(
            f"Registry(shared={shared!r}): the {engine.name} engine on {sys.platform} cannot share memory between processes;"
            " the native engine on Linux can (set TALLYMARK_ENGINE=native to see how to get it)"
        )
    if shared is True:
        with explained("memory to be inherited"), _closing(os.memfd_create("tallymark")) as fd:
            engine.Shared.format(fd, limit, __version__)
            return engine.Shared(fd), None
    if isinstance(shared, bool) or not isinstance(shared, str | os.PathLike):
        raise TypeError(f"shared must be True or a path, not {shared!r}")
    path = Path(shared).absolute()
    with explained(path):
        return _Opening(engine, path, limit, fresh).enter(), path


def open_to_read(engine: Any, path: str | os.PathLike[str]) -> Any:
    """Map a file that processes share, read-only: nothing that is done with it can change it.

    Raises:
        SharedFileError: it is missing, foreign, damaged or of another release, or cannot be read; it says which.
    """
    shown = printable(str(path))
    with _explained_to_reader(shown):
        if stat.S_ISREG(os.stat(path).st_mode):  # to open a FIFO may wait, and to open a device may do something to it
            with _closing(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)) as fd:
                if is_ours(fd):
                    return _copied(engine, fd)
    raise SharedFileError(f"{shown} {_FOREIGN}")


def _copied(engine: Any, fd: int) -> Any:
    try:
        return engine.Shared(fd, False)
    except ValueError as error:
        raise ValueError(release_trouble(fd) or str(error)) from None


class _Opening:
    """Opens a file, or makes it, and takes a place in it. Another process may begin it anew, or remove it, at any time."""

    def __init__(self, engine: Any, path: Path, limit: int, fresh: bool) -> None:
        self._shared = engine.Shared
        self._path = path
        self._limit = limit
        self._fresh = fresh
        self._deadline: float | None = None

    def enter(self) -> Any:
        """Return the mapped file, which is the one at the path while this process has its place in it."""
        for _ in range(_ROUNDS):
            try:
                fd = self._open()
            except FileNotFoundError:
                entered = self._first()
            else:
                with _closing(fd):
                    entered = self._join(fd)
            if entered is not None and self._is_at_path(entered.identity):
                return entered
        raise SharedFileError(f"{self._path}: it appears and disappears; is something removing it?")

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except PermissionError:
            self._check_owner(os.lstat(self._path))
            raise

    def _join(self, fd: int) -> Any | None:
        """Enter a file that exists, or begin it anew; return None if another process did so meanwhile."""
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or not is_ours(fd):
            raise SharedFileError(f"{self._path} {_FOREIGN}; nothing was changed. Choose another path")
        self._check_owner(status)
        identity = (status.st_dev, status.st_ino)
        if self._fresh and self._shared.claim(fd):  # as long as `fd` is open, nobody else begins anew, or enters
            return self._make(over=True) if self._is_at_path(identity) else None
        try:
            return self._mapped(fd)
        except SharedFileError:
            if self._is_at_path(identity) and not self._may_wait():
                raise
            return None

    def _may_wait(self) -> bool:
        """Wait a moment, as another process may be about to begin the file anew; return False if none did for too long."""
        if self._fresh and self._deadline is None:
            self._deadline = time.monotonic() + _PATIENCE
        if self._deadline is None or time.monotonic() > self._deadline:
            return False
        time.sleep(_PAUSE)
        return True

    def _check_owner(self, status: os.stat_result) -> None:
        if status.st_uid != os.geteuid():
            raise SharedFileError(
                f"{self._path}: it belongs to another user (uid {status.st_uid}, this is uid {os.geteuid()}); nothing was"
                " changed. Run as that user, remove it if no process uses it, or choose another path"
            )

    def _first(self) -> Any | None:
        """Make the file, and its directory; return None if another process was first."""
        self._make_directory()
        with contextlib.suppress(FileExistsError):
            return self._make(over=False)
        return None

    def _make_directory(self) -> None:
        try:
            os.makedirs(self._path.parent, exist_ok=True)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOENT):
                raise
            raise SharedFileError(
                f"{self._path}: cannot be shared: its directory cannot be made: {error.strerror}; make it before this process"
                " starts, writable to its user (systemd: RuntimeDirectory=), or choose another path"
            ) from error

    def _make(self, over: bool) -> Any:
        """Make the file, with this process in it, before others see it: none finds half of one, or begins this one anew.

        Args:
            over: it takes the place of the one at the path. Else `FileExistsError` where there is one.
        """
        with contextlib.ExitStack() as stack:
            fd, name = self._unseen()
            stack.callback(os.close, fd)
            if name is not None:
                stack.callback(_remove, name)
            self._shared.format(fd, self._limit, __version__)
            made = self._mapped(fd)
            if not over:
                _link(fd, name, self._path)
                return made
            if name is None:
                name = self._another_name()
                stack.callback(_remove, name)
                _link(fd, None, name)
            os.rename(name, self._path)
            return made

    def _mapped(self, fd: int) -> Any:
        try:
            return self._shared(fd)
        except ValueError as error:
            wrong = release_trouble(fd) or str(error)
            raise SharedFileError(f"{self._path}: {wrong}; nothing was changed. {self._remedy(wrong)}") from None

    def _remedy(self, wrong: str) -> str:
        remedy = remedy_of(wrong)
        return "Processes use it: end them first, or choose another path" if self._fresh and remedy == BEGIN_ANEW else remedy

    def _unseen(self) -> tuple[int, str | None]:
        """Open a new file beside the path: without a name or, if the file system cannot do that, with a random one."""
        flags = os.O_RDWR | os.O_CLOEXEC
        try:
            return os.open(self._path.parent, os.O_TMPFILE | flags, 0o600), None
        except OSError as error:
            if error.errno not in _NO_UNNAMED_FILES or not self._path.parent.is_dir():
                raise
        name = self._another_name()
        return os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o600), name

    def _another_name(self) -> str:
        return f"{self._path}.{os.urandom(8).hex()}"

    def _is_at_path(self, identity: tuple[int, int]) -> bool:
        try:
            status = os.lstat(self._path)
        except FileNotFoundError:
            return False
        return (status.st_dev, status.st_ino) == identity


def _link(fd: int, name: str | None, to: str | Path) -> None:
    # `src_dir_fd` makes Python call linkat(), which can follow the symbolic link to the file without a name.
    os.link(name or f"/proc/self/fd/{fd}", to, src_dir_fd=fd if name is None else None, follow_symlinks=name is None)


def _remove(name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name)


@contextlib.contextmanager
def _closing(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def _explained_to_reader(shown: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise SharedFileError(f"{shown}: there is no such file") from None
    except PermissionError:
        raise SharedFileError(f"{shown}: this user may not read it") from None
    except OSError as error:
        raise SharedFileError(f"{shown}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise SharedFileError(f"{shown}: {error}") from None
