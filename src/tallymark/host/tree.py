"""`Tree`: the files beneath a root, which are not trusted."""

from __future__ import annotations

import os
import stat

from tallymark.host.value import MAX_READ

__all__ = ["Tree"]

# A FIFO without a writer must not block the service, and a terminal must not become its own. Windows has neither flag.
_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


# As many as Linux follows in one path.
_MAX_LINKS = 40


class Tree:
    """The files beneath a root: `/`, or where a container's, a host's or a test's files are. No link leads out of it."""

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
            with open(self._resolved(path), "rb", opener=_open) as file:
                data = file.read(MAX_READ + 1)
        except (OSError, ValueError):  # ValueError: a path with NUL, or one that the file system cannot encode
            return ""
        if len(data) > MAX_READ:
            data = data[: data.rfind(b"\n", 0, MAX_READ) + 1]  # half a line could read as another number or name
        return "" if b"\0" in data else data.decode("utf-8", "surrogateescape")

    def _resolved(self, path: str) -> str:
        """Return where a path leads if this root is `/`, as in a container: links are followed one by one, all inside.

        Raises:
            OSError: a part of it does not exist, or there are too many links.
        """
        if self._root == "/":
            return path
        places, left, links = [self._root], path.split("/")[::-1], 0
        while left:
            name = left.pop()
            if name == "..":
                del places[max(1, len(places) - 1) :]
            elif name not in ("", "."):
                places.append(os.path.join(places[-1], name))
                if target := _target(places[-1]):
                    del places[1 if target.startswith("/") else -1 :]
                    left += target.split("/")[::-1]
                    links += 1
                    if links > _MAX_LINKS:
                        raise OSError(f"too many links: {path!r}")
        return places[-1]


def _target(path: str) -> str:
    """Return what a link leads to; empty for what is no link. Raises `OSError` for what is not there."""
    try:
        return os.readlink(path)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError:
        return ""


def _open(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | _FLAGS)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(f"not a regular file: {path!r}")
