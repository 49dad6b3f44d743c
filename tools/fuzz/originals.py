"""Make the real files that are changed, and the inputs that fuzzing begins with: `python originals.py FILES INPUTS`."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import tallymark as tm

LIMIT = 1_200_000  # bytes: small, so that a file is restored soon, and gets full
N_STEPS = 13  # that `target` knows


TRACE = {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"}


def in_child(work: Callable[[], None]) -> None:
    """Run a function in a forked child, which dies with its place and shares in the file."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(status)
    if os.waitpid(pid, 0)[1] != 0:
        raise RuntimeError("a child failed")


def fill(path: Path) -> None:
    """Make a file with metrics of each kind, some ended, and processes that died."""
    registry = tm.Registry(engine="native", shared=path, shared_limit=LIMIT)

    def record() -> None:
        for route in ("/", "/a", "/b", "/c"):
            registry.counter("hits", tags={"path": route}).inc()
        for aggregate in ("last", "sum", "max", "min"):
            registry.gauge(aggregate, aggregate=aggregate).set(1)
            registry.gauge(aggregate, tags={"path": "/fuzz"}, aggregate=aggregate).set(1)
        registry.timer("took").record(1)
        registry.histogram("sizes", buckets=(1, 10), tags={"path": "/"}).observe(5, exemplar=TRACE)
        registry.counter("hits", tags={"path": "/"}).inc(exemplar={"trace_id": "x" * 110})
        registry.counter("short", tags={"a": 1}, ttl=1e-9).inc()
        for value in (0, 1, 1000, -1):
            registry.histogram("spread", exponential=True).observe(value, exemplar=TRACE)

    record()
    in_child(record)
    in_child(record)
    registry.counter("hits", tags={"path": "/b"}).remove()
    registry.counter("gone", tags={"a": 1}).inc()
    registry.unregister("gone")


def fill_up(path: Path) -> None:
    """Make a file that has no space left, with few series."""
    registry = tm.Registry(engine="native", shared=path, shared_limit=LIMIT)
    limits = tm.TagLimits(max_value_length=10**6)
    size, n = 10**5, 0
    while size > 1:
        n += 1
        failed = registry._families.memory.shared.usage()["failed"]  # type: ignore[attr-defined]
        registry.counter("hits", tags={"path": f"{n}" + "x" * size}, limits=limits).inc()
        if registry._families.memory.shared.usage()["failed"] > failed:  # type: ignore[attr-defined]
            size //= 10


def main() -> None:
    """Make them all. The order of what is done to a file decides where each record of it is."""
    logging.disable()  # one of them has no space left, and says so
    files, inputs = map(Path, sys.argv[1:])
    for number, make in enumerate((fill, lambda path: tm.Registry(engine="native", shared=path, shared_limit=LIMIT), fill_up)):
        path = files / str(number)
        path.unlink(missing_ok=True)
        in_child(lambda make=make, path=path: make(path) and None)  # type: ignore[misc]
        for step in range(N_STEPS):
            steps = bytes([step, 1 + step % (N_STEPS - 1), 0, 0, 0, 0])
            (inputs / f"share-{number}-{step}").write_bytes(bytes([number, 1]) + steps)
        for step in (0, 128, 160, 192, 224):
            (inputs / f"alone-{number}-{step}").write_bytes(bytes([number, 2, step, 0, 0, 0, 0, 0]))
        (inputs / f"read-{number}").write_bytes(bytes([number, 0]) + bytes(6))


if __name__ == "__main__":
    main()
