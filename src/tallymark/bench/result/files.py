"""Files that are written whole or not at all, and checked before anything is measured."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from tallymark.bench.errors import BenchError


def write_whole(path: str | Path, text: str) -> None:
    """Write a file, whole or not at all: who reads it sees the old text or the new one. Raises OSError.

    What is no regular file, such as `/dev/stdout`, is written as it is.
    """
    target = _target(path)
    if is_special(target):
        target.write_text(text, encoding="utf-8", errors="backslashreplace")
        return
    partial = _partial(target)
    try:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
        partial.replace(target)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def check_writable(paths: Iterable[str | Path]) -> None:
    """Raise BenchError, naming the path, unless each can be written, and each is another file."""
    seen: set[Path] = set()
    for path in paths:
        with _told(path):
            target = _target(path)
            if target in seen and not is_special(target):
                raise BenchError(f"{path}: two results cannot be written to one file: give each its own")
            seen.add(target)
            if target.is_dir():
                raise IsADirectoryError(21, "is a directory: name a file in it")
            if not is_special(target):
                _partial(target).touch()
                _partial(target).unlink()


def _target(path: str | Path) -> Path:
    """Return the file itself, where a path is a link to one. What leads to a pipe or a terminal has no path of its own."""
    return Path(path) if is_special(Path(path)) else Path(path).resolve()


def is_special(path: Path) -> bool:
    """Return True for what is no regular file, such as a pipe or `/dev/stdout`: it is not replaced by another file."""
    return path.parts[:2] in (("/", "dev"), ("/", "proc")) or (path.exists() and not path.is_file())


def _partial(target: Path) -> Path:
    return target.with_name(target.name + ".partial")


@contextlib.contextmanager
def _told(path: str | Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise BenchError(f"{path}: cannot be written: there is no directory {Path(path).parent}: make it first") from None
    except (OSError, ValueError) as error:
        raise BenchError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
