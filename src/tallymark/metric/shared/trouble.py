"""Why a file cannot be shared, and what to do about it: what the system's errors mean here."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from tallymark.errors import SharedFileError

__all__ = ["BEGIN_ANEW", "explained", "remedy_of"]

BEGIN_ANEW = "Remove it if no process uses it, have Registry(fresh=True) begin it anew, or choose another path"

_ELSEWHERE = "choose a directory on another file system: /run and /dev/shm are in memory"
_ANY = "choose a directory that this process may write to, on a local file system with space"

_TROUBLES = {
    errno.EOPNOTSUPP: (
        "its file system cannot set space aside (fallocate), so a record could fail later",
        "choose a directory on another one: tmpfs, ext4, XFS and Btrfs can",
    ),
    errno.ENOSPC: ("its file system is full", f"free some space there, or {_ELSEWHERE}"),
    errno.EDQUOT: ("the disk quota of this user is used up", f"free some space, raise the quota, or {_ELSEWHERE}"),
    errno.EFBIG: (
        "it would be larger than a file of this process may be",
        "raise the limit (ulimit -f; systemd: LimitFSIZE=), or lower Registry(shared_limit=)",
    ),
    errno.EIO: ("its device failed (input/output error)", f"look into the system's log, and {_ELSEWHERE}"),
    errno.EROFS: ("its file system is read-only", _ELSEWHERE),
    errno.EMFILE: (
        "this process has as many files open as it may",
        "close some, or raise the limit (ulimit -n; systemd: LimitNOFILE=)",
    ),
    errno.ENFILE: ("the system has as many files open as it can", "close some, or raise the limit (sysctl fs.file-max)"),
    errno.ENOMEM: (
        "there is no memory, or no room for addresses, to map it",
        "raise this process' limit (ulimit -v), or have it made with a lower Registry(shared_limit=)",
    ),
    errno.ENOLCK: ("its file system cannot lock files", "choose a directory on a local file system"),
    errno.ENODEV: ("its file system cannot map files into memory", "choose a directory on a local file system"),
    errno.ELOOP: ("it is a symbolic link, or leads through too many", "give the path that the link leads to"),
    errno.EISDIR: ("it is a directory", "give the path of a file in it"),
    errno.ENXIO: ("it is a socket or a device, not a file that registries share", "choose another path"),
    errno.ENOTDIR: ("a part of its path is a file, not a directory", "choose another path"),
    errno.ENAMETOOLONG: ("its name is too long", "choose a shorter one"),
    errno.ENOENT: ("No such file or directory", "keep its directory while processes start, and have /proc mounted"),
}

# What the engine says of a file (shared.c, lock.c), where another remedy helps than to begin anew.
_REMEDIES = {
    "a process that is stopped holds its lock": "Let that process go on (kill -CONT), or end it",
    "its file system cannot lock files": "Choose a directory on a local file system",
}


@contextlib.contextmanager
def explained(path: Path | str) -> Iterator[None]:
    """Raise `SharedFileError`, with the reason and a remedy, for errors of the system within the block."""
    try:
        yield
    except SharedFileError:
        raise
    except OSError as error:
        reason, remedy = _TROUBLES.get(error.errno or 0, (error.strerror or str(error), _ANY))
        raise SharedFileError(f"{path}: cannot be shared: {reason}; {remedy}") from error


def remedy_of(wrong: str) -> str:
    """Return what to do about a file of ours of which the engine says that this is wrong."""
    return _REMEDIES.get(wrong, BEGIN_ANEW)
