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
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
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
    seen: dict[Path, str | Path] = {}
    for path in paths:
        target = Path(path).resolve()
        if target in seen and not (target.exists() and not target.is_file()):
            raise BenchError(f"{path}: two results cannot be written to one file: give each its own")
        seen[target] = path
        with _told(path):
            if target.is_dir():
                raise IsADirectoryError(21, "is a directory: name a file in it")
            if not target.exists() or target.is_file():
                _partial(target).touch()
                _partial(target).unlink()


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
