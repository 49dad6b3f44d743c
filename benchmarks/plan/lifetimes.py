"""What workers that come and go leave behind: `python benchmarks/plan/lifetimes.py CLIENT`, in a fresh process.

A thousand forked workers run one after the other, and each records to 100 series. It prints JSON: the seconds of a scrape and
the bytes on disk, after ten workers and after all.
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

FEW, MANY = 10, 1000
SERIES = 100
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

    requests = pc.Counter("requests", "Requests.", ["method", "user"])

    def record(user: str) -> None:
        requests.labels("GET", user).inc()

    def scrape() -> bytes:
        registry = pc.CollectorRegistry()
        MultiProcessCollector(registry)
        return pc.generate_latest(registry)

    return record, scrape


def live(client: str, many: int = MANY) -> dict[str, float]:
    """Return the figures of one client, after few and after `many` workers."""
    with tempfile.TemporaryDirectory() as name:
        record, scrape = {"tallymark": tallymark, "prometheus_client": prometheus_client}[client](Path(name))
        found = {}
        for life in range(1, many + 1):
            worker = os.fork()
            if worker == 0:
                for user in range(SERIES):
                    record(str(user))
                os._exit(0)
            os.waitpid(worker, 0)
            if life in (FEW, many):
                when = "few" if life == FEW else "many"
                found[f"scrape_{when}"] = statistics.median(timed(scrape) for _ in range(3))
                found[f"disk_{when}"] = float(sum(one.stat().st_blocks * 512 for one in Path(name).iterdir()))
        assert f" {float(many)}" in scrape().decode()
        return found


def timed(call: Callable[[], object]) -> float:
    """Return the seconds of a call."""
    began = perf_counter()
    call()
    return perf_counter() - began


def measure_lifetimes() -> dict[str, dict[str, float]]:
    """Return the figures of each client, in fresh processes."""
    found = {}
    for client in CLIENTS:
        ran = subprocess.run([sys.executable, __file__, client], check=True, capture_output=True, text=True)
        found[client] = json.loads(ran.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(live(sys.argv[1])))
