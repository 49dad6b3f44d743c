"""`Tree`: the files beneath a root, which are not trusted."""

from __future__ import annotations

import os
import stat

from tallymark.host.value import MAX_READ

__all__ = ["Tree"]

# A FIFO without a writer must not block the service, and a terminal must not become its own. Windows has neither flag.
_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


class Tree:
    """The files beneath a root: `/`, or where a container's, a host's or a test's files are."""

    __slots__ = ("_root",)

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = os.fspath(root)

    def read(self, path: str) -> str:
        """Return the text of a file, whole lines of its first 64 KiB; empty if it cannot be read or is no text.

        Bytes that are no UTF-8 become surrogates, so that one bad line does not hide the others.
        """
        if ".." in path.split("/"):
            return ""  # the path itself may come from a file
        try:
            with open(os.path.join(self._root, path.lstrip("/")), "rb", opener=_open) as file:
                data = file.read(MAX_READ + 1)
        except (OSError, ValueError):  # ValueError: a path with NUL, or one that the file system cannot encode
            return ""
        if len(data) > MAX_READ:
            data = data[: data.rfind(b"\n", 0, MAX_READ) + 1]  # half a line could read as another number or name
        return "" if b"\0" in data else data.decode("utf-8", "surrogateescape")


def _open(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | _FLAGS)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(f"not a regular file: {path!r}")
