"""The file that processes share: created complete, checked before use, and rejected with a reason and a remedy."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tallymark.errors import SharedFileError
from tallymark.metric.shared.printable import printable
from tallymark.version import __version__

__all__ = ["open_to_read", "open_to_share"]

# The errors of a file system that has no O_TMPFILE, which makes files without a name.
_NO_UNNAMED_FILES = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}

_MAGIC = 0x4B524D594C4C4154.to_bytes(8, sys.byteorder)
"""What all files that registries share begin with, of whatever version (shared.c)."""

_FOREIGN = "is not a file that registries share"


def open_to_share(engine: Any, shared: bool | str | os.PathLike[str], limit: int) -> tuple[Any, Path | None]:
    """Map memory to share, made if need be: to be inherited over a fork (`True`), or a file. Return it, and the file's path.

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
        fd = os.memfd_create("tallymark")
        with _explained("memory to be inherited"), _closing(fd):
            engine.Shared.format(fd, limit, __version__)
            return engine.Shared(fd), None
    if isinstance(shared, bool) or not isinstance(shared, str | os.PathLike):
        raise TypeError(f"shared must be True or a path, not {shared!r}")
    path = Path(shared).absolute()
    with _explained(path):
        fd = _open_or_make(engine, path, limit)
        with _closing(fd):
            return _mapped(engine, fd, path), path


def open_to_read(engine: Any, path: str | os.PathLike[str]) -> Any:
    """Map a file that processes share, read-only: nothing that is done with it can change it.

    Raises:
        SharedFileError: it is missing, foreign, damaged or of another version, or cannot be read; it says which.
    """
    shown = printable(str(path))
    with _explained_to_reader(shown):
        if stat.S_ISREG(os.stat(path).st_mode):  # to open a FIFO may wait, and to open a device may do something to it
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with _closing(fd):
                if _is_ours(fd):
                    return engine.Shared(fd, False)
    raise SharedFileError(f"{shown} {_FOREIGN}")


@contextlib.contextmanager
def _closing(fd: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def _explained(path: Path | str) -> Iterator[None]:
    try:
        yield
    except SharedFileError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = "choose a directory that this process may write to, on a local file system with space"
        if error.errno == errno.EOPNOTSUPP:
            reason = "its file system cannot set space aside (fallocate), so a record could fail later"
            remedy = "choose a directory on another one: tmpfs, ext4, XFS and Btrfs can"
        raise SharedFileError(f"{path}: cannot be shared: {reason}; {remedy}") from error


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


def _open_or_make(engine: Any, path: Path, limit: int) -> int:
    for _ in range(100):
        try:
            return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):  # another process was first: open its file
                return _make(engine, path, limit)
    raise SharedFileError(f"{path}: it appears and disappears; is something removing it?")


def _make(engine: Any, path: Path, limit: int) -> int:
    """Make the file complete before any process can see it, so that none finds half of one, however many start at once."""
    with contextlib.ExitStack() as stack:
        fd, name = _unseen(path)
        if name is not None:
            stack.callback(os.unlink, name)
        try:
            engine.Shared.format(fd, limit, __version__)
            # `src_dir_fd` makes Python call linkat(), which can follow the symbolic link to the file without a name.
            os.link(name or f"/proc/self/fd/{fd}", path, src_dir_fd=fd if name is None else None, follow_symlinks=name is None)
        except BaseException:
            os.close(fd)
            raise
        return fd


def _unseen(path: Path) -> tuple[int, str | None]:
    """Open a new file beside `path`: without a name or, if the file system cannot do that, with a random one."""
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        return os.open(path.parent, os.O_TMPFILE | flags, 0o600), None
    except OSError as error:
        if error.errno not in _NO_UNNAMED_FILES or not path.parent.is_dir():
            raise
    name = f"{path}.{os.urandom(8).hex()}"
    return os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o600), name


def _mapped(engine: Any, fd: int, path: Path) -> Any:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or not _is_ours(fd):
        raise SharedFileError(f"{path} {_FOREIGN}; nothing was changed. Choose another path")
    remedy = "nothing was changed. Remove it if no process uses it, or choose another path"
    if status.st_uid != os.geteuid():
        raise SharedFileError(f"{path}: it belongs to another user (uid {status.st_uid}); {remedy}")
    try:
        return engine.Shared(fd)
    except ValueError as error:
        raise SharedFileError(f"{path}: {error}; {remedy}") from None


def _is_ours(fd: int) -> bool:
    """Return whether a regular file begins like those that registries share, whatever else is in it."""
    return os.pread(fd, len(_MAGIC), 0) == _MAGIC
