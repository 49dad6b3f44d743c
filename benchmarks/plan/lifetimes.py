"""What workers that come and go leave behind: `python benchmarks/plan/lifetimes.py CLIENT`, in a fresh process.

A thousand forked workers run one after the other, and each records to 100 series. It prints JSON: the seconds of a scrape and
the bytes on disk, after ten workers and after all; and how many times longer a scrape takes after all, from scrapes in turns.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

FEW, MANY = 10, 1000
SERIES = 100
ROUNDS = 7  # scrapes of either: the interval of the median then holds with 95 %
CLIENTS = ("tallymark", "prometheus_client")

Record, Scrape = Callable[[str], None], Callable[[], bytes]


def tallymark(directory: Path) -> tuple[Record, Scrape]:
    import tallymark as tm

    registry = tm.Registry(shared=directory / "metrics")
    requests = registry.counter("requests")

    def record(user: str) -> None:
        requests.inc(method="GET", user=user)

    return record, lambda: tm.render_prometheus(registry.snapshot())


def prometheus_client(directory: Path) -> tuple[Record, Scrape]:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    import prometheus_client as pc
    from prometheus_client.multiprocess import MultiProcessCollector

    requests = pc.Counter("requests", "Requests.", ["method", "user"], registry=pc.CollectorRegistry())

    def record(user: str) -> None:
        requests.labels("GET", user).inc()

    def scrape() -> bytes:
        registry = pc.CollectorRegistry()
        MultiProcessCollector(registry, path=str(directory))
        return pc.generate_latest(registry)

    return record, scrape


def live(client: str, many: int = MANY) -> dict[str, float | list[float]]:
    """Return the figures of one client, after few and after `many` workers."""
    with tempfile.TemporaryDirectory() as name:
        few, most = (_lived(client, Path(name) / when, lives) for when, lives in (("few", FEW), ("many", many)))
        assert f" {float(many)}" in most().decode()
        both = [(timed(few), timed(most)) for _ in range(ROUNDS)]
        found: dict[str, float | list[float]] = {"scrape_ratios": [after / before for before, after in both]}
        for when, times in zip(("few", "many"), zip(*both, strict=True), strict=True):
            found[f"scrape_{when}"] = statistics.median(times)
            found[f"disk_{when}"] = float(sum(one.stat().st_blocks * 512 for one in (Path(name) / when).iterdir()))
        return found


def _lived(client: str, directory: Path, lives: int) -> Scrape:
    """Run so many workers one after the other, and return what scrapes what they left."""
    directory.mkdir()
    record, scrape = {"tallymark": tallymark, "prometheus_client": prometheus_client}[client](directory)
    for _ in range(lives):
        worker = os.fork()
        if worker == 0:
            for user in range(SERIES):
                record(str(user))
            os._exit(0)
        os.waitpid(worker, 0)
    return scrape


def timed(call: Callable[[], object]) -> float:
    """Return the seconds of a call."""
    began = perf_counter()
    call()
    return perf_counter() - began


def measure_lifetimes() -> dict[str, dict[str, Any]]:
    """Return the figures of each client, in fresh processes."""
    found = {}
    for client in CLIENTS:
        ran = subprocess.run([sys.executable, __file__, client], check=True, capture_output=True, text=True)
        found[client] = json.loads(ran.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(live(sys.argv[1])))
