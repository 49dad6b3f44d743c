"""`TextFile`: keeps a file of Prometheus text up to date, which node_exporter's textfile collector reads."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, ClassVar, Literal

from tallymark.backends.line_file import absolute
from tallymark.backends.replaced_file import ReplacedFile
from tallymark.export.relabelling import Relabelling
from tallymark.export.tagged_page import TaggedPage
from tallymark.metric.shared.printable import printable
from tallymark.report.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tallymark.client.deadline import Deadline
    from tallymark.metric.snapshot import Snapshot

__all__ = ["TextFile"]


class TextFile(Backend):
    """Replaces a file with each report: Prometheus text, for the textfile collector of node_exporter.

    Who reads it sees one whole report or the next: it is written beside the file, and moved to its place. The file keeps its
    mode and, where that is allowed, its owner. If a report cannot be written, the one before stays. The file stays after the
    process ends, and so does what it tells.

    Args:
        path: ends in `.prom`: node_exporter reads no others. If it is a symbolic link, the file that it leads to is replaced.
        prefix: begins each metric's name.
        include: globs of names; only these metrics are written. Empty: all.
        exclude: globs of names; these are not written.
        tags: for all series; a series' own win.

    Raises:
        TypeError: an argument has another type.
        ValueError: the path does not end in `.prom`, or the prefix is not valid. `TagError` for a tag.
    """

    kind: ClassVar[str] = "text_file"
    keeps: Literal["all", "latest"] = "latest"
    most_bytes = sys.maxsize  # a part of a page is none

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        prefix: str = "",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(prefix=prefix, include=include, exclude=exclude, tags=tags)
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"path must be a str or a Path, not {type(path).__name__}")
        text = os.fsdecode(path)
        if not text.endswith(".prom"):
            raise ValueError(f"path {text!r} must end in '.prom': node_exporter reads no other files of its folder")
        self._file = ReplacedFile(absolute(text))
        self._relabelling = Relabelling(self.prefix, self.tags)
        self._page = TaggedPage(self.tags)

    @property
    def address(self) -> str:
        """The path."""
        return printable(self._file.path)

    def encode(self, snapshot: Snapshot, since: float) -> Iterator[bytes]:
        """Yield the page, which is one part."""
        yield self._page.render(self._relabelling.relabelled(snapshot)) or b"\n"

    def send(self, parts: Sequence[bytes], deadline: Deadline) -> int:
        """Replace the file, and return how many bytes it has. To write to a disk takes as long as it takes."""
        return self._file.replace(parts, deadline)
