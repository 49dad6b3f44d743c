"""What is done with a file whose owner is hostile: `shared_file.c` calls `run` for each input, in a Python of its own."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

import _engine  # type: ignore[import-not-found]  # of the fuzzer itself

sys.modules["tallymark.engine.native._engine"] = _engine

import tallymark as tm  # noqa: E402 - after the engine that is tested
from tallymark.engine import load_engine  # noqa: E402
from tallymark.engine.text import text_tags  # noqa: E402
from tallymark.metric.reader import Reader  # noqa: E402, F401 - now, so that no input waits for it
from tallymark.metric.shared import file as shared_file  # noqa: E402
from tallymark.metric.shared.entry import SharedEntry  # noqa: E402
from tallymark.metric.shared.exponential import WORDS, exponential_snapshot  # noqa: E402

_TAGS = {"path": "/fuzz"}
_FEW = tm.TagLimits(max_series=3)


def run(fd: int, way: int, steps: bytes) -> None:
    """Read a file, or share it. Nothing but an unfit file may raise, and nothing may be left."""
    before = _next_number()
    # An open file of its own, whose locks end with it.
    does = _WAYS[way % len(_WAYS)]
    opened = os.open(f"/proc/self/fd/{fd}", os.O_CLOEXEC | (os.O_RDONLY if does is _read else os.O_RDWR))
    try:
        does(opened, steps)
    finally:
        os.close(opened)
    gc.collect()  # fast: all that was there before is frozen
    if _next_number() != before:
        raise AssertionError("an open file is left")


def _next_number() -> int:
    number = os.dup(0)
    os.close(number)
    return number


def _read(fd: int, _: bytes) -> None:
    try:
        shared = _engine.Shared(fd, False)
    except ValueError:
        return
    _read_all(shared)


def _read_all(shared: Any) -> None:
    for offset, *_ in shared.families():
        SharedEntry.read(shared.text(offset))
        for text, _, _, cells in shared.series(offset):
            text_tags(text)
            if len(cells) == WORDS:
                exponential_snapshot(cells, shared.negatives)
    shared.processes()
    shared.usage()


def _share_alone(fd: int, steps: bytes) -> None:
    """Do what a registry does to the memory, without one: this takes a tenth of the time."""
    try:
        shared = _engine.Shared(fd)
    except ValueError:
        return
    for step in steps:
        found = shared.families()
        offset = found[step % len(found)][0] if found else 0
        if step < 128:
            _read_all(shared)
        elif step < 160:
            shared.add_family(b"hits\n" if step % 2 else b"another\n", 1 + step % 8, step % 4)
        elif step < 192:
            shared.unregister(offset)
        elif step < 224:
            shared.register(offset)
        else:
            shared.bury()


def _share(fd: int, steps: bytes) -> None:
    shared_file.open_to_share = lambda *_: (_engine.Shared(fd), None)
    try:
        registry = tm.Registry(shared=True)
    except ValueError:
        return
    for step in steps:
        with contextlib.suppress(tm.MetricConflictError, tm.TagError):  # the file has another metric of this name
            _STEPS[step % len(_STEPS)](registry)
    registry.close()


def _record(registry: tm.Registry) -> None:
    registry.counter("hits").inc()
    for path in ("/", "/a", "/fuzz", "/a/path/that/is/longer/than/all/the/others/before/it"):
        registry.counter("hits", tags={"path": path}).inc()
    registry.timer("took").record(1)
    for value in (1e-300, 2, -3, 1e300, -1e-300):
        registry.histogram("spread", exponential=True).observe(value)


def _record_shares(registry: tm.Registry) -> None:
    for aggregate in ("last", "sum", "max", "min"):
        gauge: Any = registry.gauge(aggregate, tags=_TAGS, aggregate=aggregate)
        gauge.set(2)


def _make_family(registry: tm.Registry) -> None:
    registry.gauge("new", aggregate="max", ttl=1e-9, limits=_FEW).set(1)
    for i in range(5):
        registry.counter("newer", tags={"i": i}, limits=_FEW).inc()


def _fill(registry: tm.Registry) -> None:
    for i in range(40):
        registry.counter("full", tags={"long": "x" * 190 + str(i)}).inc()


def _record_exemplars(registry: tm.Registry) -> None:
    for length in (1, 60, 110):
        registry.counter("hits", tags={"path": "/a"}).inc(exemplar={"trace_id": "x" * length})
        registry.histogram("sizes", buckets=(1, 10), tags=_TAGS).observe(length, exemplar={"a": "é" * length})
        registry.histogram("spread", exponential=True).observe(-length, exemplar={"a": "é" * length})
    for series in registry.snapshot():
        for one in series.exemplars:
            if not (one.labels and sum(len(name) + len(value) for name, value in one.labels) <= 128):
                raise AssertionError("an exemplar that is none")


def _remove(registry: tm.Registry) -> None:
    for path in ("/", "/a", "/fuzz"):
        registry.counter("hits", tags={"path": path}).remove()
    registry.gauge("max", tags=_TAGS, aggregate="max").remove()


def _reuse(registry: tm.Registry) -> None:
    held = registry.counter("hits", tags={"path": "/a"})
    held.remove()
    registry.counter("hits", tags={"path": "/b"}).inc()
    held.inc()


def _unregister(registry: tm.Registry) -> None:
    held = registry.counter("hits", tags=_TAGS)
    registry.unregister("hits")
    registry.unregister("max")
    held.inc()


def _look(registry: tm.Registry) -> None:
    _read_all(registry._families.memory.shared)  # type: ignore[attr-defined]


def _bury(registry: tm.Registry) -> None:
    registry._families.refresh()


def _do_nothing(registry: tm.Registry) -> None:
    pass


_STEPS: list[Callable[[tm.Registry], Any]] = [
    _do_nothing,
    tm.Registry.snapshot,
    _record,
    _record_shares,
    tm.Registry.expire,
    _make_family,
    _remove,
    _unregister,
    _reuse,
    _look,
    _bury,
    _fill,
    _record_exemplars,
]

_WAYS = [_read, _share, _share_alone]

logging.disable()
load_engine("native")
gc.collect()
gc.freeze()
