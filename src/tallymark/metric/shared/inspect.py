"""Prints what is in a file that processes share. The file is opened read-only, so that inspecting changes nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from tallymark.engine import load_engine
from tallymark.engine.text import text_tags
from tallymark.metric.shared.entry import SharedEntry
from tallymark.metric.shared.file import open_to_read
from tallymark.metric.shared.process_values import double_of

__all__ = ["inspect"]

_ALL, _RETIRED = 0xFFFFFFFF, 0xFFFFFFFE


def inspect(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yield lines that describe a file: space, processes, and each series with its value.

    Raises:
        SharedFileError: Tallymark did not make the file, it is damaged, or it cannot be opened.
    """
    shared = open_to_read(load_engine("native"), path)
    usage = shared.usage()
    yield f"{path}"
    yield f"space: {usage['used']:,} of {usage['limit']:,} bytes used, {usage['size']:,} on disk"
    if usage["failed"]:
        yield f"space: {usage['failed']:,} requests failed"
    processes = shared.processes()
    yield f"processes: {len(processes)}"
    for place, pid, _, since in processes:
        yield f"  {place}: pid {pid}, since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(_sane(since)))}"
    for offset, registered in shared.families():
        entry = SharedEntry.read(shared.text(offset))
        if entry is None:
            yield f"metric at offset {offset}: damaged"
        else:
            yield from _family(shared, offset, entry, registered)


def _family(shared: Any, offset: int, entry: SharedEntry, registered: bool) -> Iterator[str]:
    unit = f" in {entry.unit}" if entry.unit else ""
    combined = f", {entry.aggregate} over processes" if entry.aggregate != "last" else ""
    yield f"{entry.kind} {entry.name}{unit}{combined}{'' if registered else ' (unregistered)'}"
    for text, owner, _, cells in shared.series(offset):
        tags = text_tags(text)
        shown = "damaged" if tags is None else ",".join(f'{key}="{value}"' for key, value in tags.items())
        whose = "" if owner == _ALL else " (of processes that ended)" if owner == _RETIRED else f" (of process {owner})"
        yield f"  {{{shown}}} {_value(entry, cells)}{whose}"


def _value(entry: SharedEntry, cells: tuple[int, ...]) -> str:
    if not entry.bounds:
        return f"{double_of(cells[0]):g}"
    buckets = cells[: len(entry.bounds) + 1]
    return f"count {sum(buckets)}, sum {double_of(cells[len(buckets)]):g}"


def _sane(seconds: float) -> float:
    return seconds if 0 <= seconds < 2**33 else 0.0
