"""`JSONLines`: appends reports to a file or a stream, an object of JSON for each series."""

from __future__ import annotations

import errno
import io
import os
from typing import IO, TYPE_CHECKING, Any, cast

from tallymark.backends.line_file import LineFile, absolute
from tallymark.export.json_lines import parts
from tallymark.metric.shared.printable import printable
from tallymark.report.backend import Backend
from tallymark.report.errors import SendError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tallymark.client.deadline import Deadline
    from tallymark.metric.snapshot import Snapshot

__all__ = ["JSONLines"]


class JSONLines(Backend):
    """Appends each report to a file, or writes it to a stream: lines of JSON in UTF-8, one for each series.

    What a line has: see `docs/backends/json-lines.md`. A file that was renamed or removed, as when logs are rotated, is made
    anew. Of lines that the disk has no room for, nothing stays in the file. A stream is flushed, and never closed.

    Args:
        path_or_stream: a path; or what has `write`: `sys.stdout`, an open file, text or binary.
        prefix: begins each metric's name.
        include: globs of names; only these metrics are written. Empty: all.
        exclude: globs of names; these are not written.
        tags: for all series; a series' own win.

    Raises:
        TypeError: it is neither a path nor a stream, or another argument has another type.
        ValueError: no file can have that path, or the prefix is not valid. `TagError` for a tag.
    """

    kind = "json_lines"

    def __init__(
        self,
        path_or_stream: str | os.PathLike[str] | IO[str] | IO[bytes],
        *,
        prefix: str = "",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(prefix=prefix, include=include, exclude=exclude, tags=tags)
        self._sink: LineFile | _Stream
        if isinstance(path_or_stream, str | os.PathLike):
            self._sink = LineFile(absolute(path_or_stream))
        elif hasattr(path_or_stream, "write"):
            self._sink = _Stream(path_or_stream)
        else:
            what = type(path_or_stream).__name__
            raise TypeError(f"JSONLines writes to a path or to a stream, such as sys.stdout, not to a value of type {what}")

    @property
    def address(self) -> str:
        """The path, or the name of the stream."""
        return printable(self._sink.path)

    def encode(self, snapshot: Snapshot, since: float) -> Iterator[bytes]:
        """Yield lines."""
        return parts(snapshot, prefix=self.prefix, tags=self.tags, dropped=self.dropped)

    def send(self, parts: Sequence[bytes], deadline: Deadline) -> int:
        """Append lines, and return how many bytes that took. To write to a stream takes as long as it takes."""
        return self._sink.append(b"".join(parts), deadline)

    def close(self) -> None:
        """Close the file. A stream stays open."""
        self._sink.close()


class _Stream:
    """A stream of somebody else's."""

    def __init__(self, stream: Any) -> None:
        self.path = str(getattr(stream, "name", "") or type(stream).__name__)
        self._stream = stream

    def append(self, lines: bytes, deadline: Deadline) -> int:
        deadline.left()
        try:
            return self._write(lines)
        except ValueError as error:  # that is how streams tell that they are closed
            raise SendError(f"{printable(self.path)} cannot be written: {error}", again=False) from error
        except BrokenPipeError as error:
            raise SendError(
                f"{printable(self.path)} cannot be written: nobody reads the stream any more", again=False
            ) from error
        except OSError as error:
            raise SendError(f"{printable(self.path)} cannot be written: {error.strerror or error}") from error

    def _write(self, lines: bytes) -> int:
        stream = self._stream
        binary = getattr(stream, "buffer", None)  # of a stream of text, whose encoding may be another than UTF-8
        if binary is not None:
            stream.flush()  # what was printed before comes before
            stream = binary
        if binary is None and _takes_text(stream):
            stream.write(lines.decode())
        else:
            _write_all(stream, lines)
        flush = getattr(stream, "flush", None)
        if flush is not None:
            flush()
        return len(lines)

    def close(self) -> None:
        """Do nothing: it is not ours."""


def _takes_text(stream: Any) -> bool:
    if isinstance(stream, io.TextIOBase):
        return True
    return not isinstance(stream, io.RawIOBase | io.BufferedIOBase) and "b" not in str(getattr(stream, "mode", ""))


def _write_all(stream: Any, data: bytes) -> None:
    rest = data
    while rest:
        written = cast("int | None", stream.write(rest))
        if not isinstance(stream, io.RawIOBase):  # all others take all, or raise
            return
        if written is None:
            raise BlockingIOError(errno.EAGAIN, "it is full")
        rest = rest[written:]
