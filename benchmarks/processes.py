"""One registry over many processes, beside prometheus_client's multi-process mode: `python benchmarks/processes.py`.

Each side, in a fresh process: nanoseconds per record, then 1,000 workers that live one after the other (each records to 100
series), and what a scrape costs and the disk holds after some of them and after all.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

LIVES = 1000
SIDES = ("tallymark", "prometheus_client")

Record = Callable[[str], None]


def tallymark(directory: Path) -> tuple[Callable[[], None], Record, Callable[[], bytes]]:
    """Return a bare record, one with two tags, and a scrape."""
    import tallymark as tm

    registry = tm.Registry(shared=directory / "metrics")
    bare, tagged = registry.counter("bare"), registry.counter("tagged")

    def record(user: str) -> None:
        tagged.inc(method="GET", user=user)

    return bare.inc, record, lambda: tm.render_prometheus(registry.snapshot())


def prometheus_client(directory: Path) -> tuple[Callable[[], None], Record, Callable[[], bytes]]:
    """Return the same of the peer."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    import prometheus_client as pc
    from prometheus_client.multiprocess import MultiProcessCollector

    bare, tagged = pc.Counter("bare", "Bare."), pc.Counter("tagged", "Tagged.", ["method", "user"])

    def record(user: str) -> None:
        tagged.labels("GET", user).inc()

    def scrape() -> bytes:
        registry = pc.CollectorRegistry()
        MultiProcessCollector(registry)
        return pc.generate_latest(registry)

    return bare.inc, record, scrape


def timed(call: Callable[[], object], n: int) -> float:
    """Return the median seconds of a call."""
    found = []
    for _ in range(9):
        iterations = itertools.repeat(None, n)
        began = perf_counter()
        for _ in iterations:
            call()
        found.append((perf_counter() - began) / n)
    return statistics.median(found)


def measure(side: str) -> dict[str, float]:
    """Return all figures of a side."""
    with tempfile.TemporaryDirectory() as name:
        bare, record, scrape = {"tallymark": tallymark, "prometheus_client": prometheus_client}[side](Path(name))
        found = {
            "inc(), ns": timed(bare, 20_000) * 1e9,
            "2 tags + inc, in a call, ns": timed(lambda: record("0"), 20_000) * 1e9,
        }
        for life in range(LIVES):
            if life in (10, LIVES - 1):
                found[f"scrape after {life + 1} workers, ms"] = timed(scrape, 1) * 1e3
                held = sum(one.stat().st_blocks * 512 for one in Path(name).iterdir())
                found[f"disk after {life + 1} workers, KiB"] = held / 1024
            worker = os.fork()
            if worker == 0:
                for user in range(100):
                    record(str(user))
                os._exit(0)
            os.waitpid(worker, 0)
        return found


def main() -> None:
    """Compare, or, given a side, measure it in this process."""
    if sys.argv[1:]:
        print(json.dumps(measure(sys.argv[1])))
        return
    figures = {}
    for side in SIDES:
        ran = subprocess.run([sys.executable, __file__, side], check=True, capture_output=True, text=True)
        figures[side] = json.loads(ran.stdout)
    print("|  |", " | ".join(SIDES), "|\n| --- |", " | ".join(["---:"] * len(SIDES)), "|")
    for row in figures[SIDES[0]]:
        print(f"| {row} |", " | ".join(f"{figures[side][row]:,.4g}" for side in SIDES), "|")


if __name__ == "__main__":
    main()
