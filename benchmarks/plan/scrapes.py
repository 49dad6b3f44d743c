"""What a scrape over HTTP costs its process: `python benchmarks/plan/scrapes.py BODY`, in a fresh process.

It serves 100,000 series to a client in another process, again and again, while a thread sleeps a millisecond at a time and
looks at the clock. It prints JSON: the longest time that this thread was held up by a scrape, the median of some; how much
more memory was in use at the most than before the first scrape, which finds nothing that is kept for it; and the bytes of a
body. BODY is `live`, or `constant`: then the same body is sent each time, which shows what sending alone costs.
"""

from __future__ import annotations

import importlib
import json
import resource
import statistics
import subprocess
import sys
import threading
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import tallymark as tm

SERIES = 100_000
SCRAPES = 25
BODIES = ("live", "constant")

_CLIENT = """
import sys
from urllib.request import urlopen
for line in sys.stdin:
    print(len(urlopen(line.strip()).read()), flush=True)
"""


class Sleeper:
    """A thread that sleeps, and notes by how much it woke up late."""

    def __init__(self) -> None:
        self._ends = False
        self.longest = 0.0
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        last = perf_counter()
        while not self._ends:
            sleep(0.001)
            now = perf_counter()
            self.longest = max(self.longest, now - last - 0.001)
            last = now

    def __enter__(self) -> Sleeper:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ends = True
        self._thread.join()


def populated(series: int) -> tm.Registry:
    """Return a registry with counters of two tags."""
    registry = tm.Registry(limits=tm.TagLimits(max_series=series + 1))
    counter = registry.counter("http_requests", description="Requests.")
    for i in range(series):
        counter.inc(i * 7 % 5000, method="GET" if i % 2 else "POST", route=f"/users/{i}")
    return registry


def live(body: str, series: int = SERIES, scrapes: int = SCRAPES) -> dict[str, float]:
    """Return the figures of one kind of body."""
    registry = populated(series)
    if body == "constant":
        serve_always(tm.render_prometheus(registry.snapshot()))
    held = []
    with tm.serve(port=0, registry=registry) as server, Sleeper() as sleeper, client() as scraper:
        with tm.serve(port=0, registry=tm.Registry()) as other:
            fetch(scraper, other.url)  # what is imported is in no figure
        before = resident()
        for _ in range(scrapes):
            sleep(0.01)
            sleeper.longest = 0.0
            size = fetch(scraper, server.url)
            held.append(sleeper.longest)
        scraper.stdin.close()
    return {"held_up": statistics.median(held), "memory": float(peak() - before), "body": float(size)}


def fetch(scraper: Any, url: str) -> int:
    """Have the client fetch a page; return its size."""
    scraper.stdin.write(f"{url}\n")
    scraper.stdin.flush()
    return int(scraper.stdout.readline())


def client() -> Any:
    return subprocess.Popen([sys.executable, "-c", _CLIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def serve_always(body: bytes) -> None:
    """Have every page of metrics be this one."""
    pages = importlib.import_module("tallymark.serve.pages")
    page = pages.Page(200, (("Content-Type", tm.PROMETHEUS_CONTENT_TYPE),), body)
    for path in ("/metrics", "/metrics/"):
        pages.ROUTES[path] = lambda request, registry: page


def resident() -> int:
    """Return the bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def peak() -> int:
    """Return the most bytes of this process that ever were in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure_scrapes() -> dict[str, dict[str, float]]:
    """Return the figures of each kind of body, in fresh processes."""
    found = {}
    for body in BODIES:
        ran = subprocess.run([sys.executable, __file__, body], check=True, capture_output=True, text=True)
        found[body] = json.loads(ran.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(live(sys.argv[1])))
