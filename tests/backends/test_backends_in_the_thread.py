"""What all backends must leave alone in the thread that reports: it is one for all, and a fork may happen at any moment."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

import tallymark as tm
from tallymark.backends import StatsD

PROGRAM = """
import io, logging, sys
import tallymark as tm
from tallymark.backends import *

logging.getLogger("tallymark").addHandler(logging.NullHandler())
registry = tm.Registry()
registry.counter("jobs").inc(queue="a")
registry.histogram("sizes", exponential=True).observe(2)
registry.timer("spans").record(2)
registry.gauge("depth").set(float("nan"))
there = "localhost:1"
backends = [
    StatsD(there),
    StatsD(f"tcp://{there}"),
    DogStatsD(there),
    Graphite(there),
    InfluxDB(f"https://{there}", database="d"),
    OTLP(f"http://{there}", compression="gzip"),
    OTLP(f"https://{there}", protocol="grpc", temporality="delta"),
    RemoteWrite(f"http://{there}/"),
    Pushgateway(f"http://{there}", job="j"),
    TextFile(f"{sys.argv[1]}/x.prom"),
    JSONLines(f"{sys.argv[1]}/x.jsonl"),
]
reporters = [tm.report_to(backend, 60, registry) for backend in backends]
before = set(sys.modules)
arrived = [reporter.report() for reporter in reporters]
print(arrived.count(True), sorted(set(sys.modules) - before))
"""


@pytest.mark.slow
def test_no_backend_imports_anything_there(tmp_path: Any) -> None:
    """A fork would leave a module half imported in the child, where that import never ends."""
    pytest.importorskip("grpc")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("2 []\n", "")


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_a_name_that_is_looked_up_for_long_does_not_hold_up_the_thread(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def slow(*args: Any, **options: Any) -> list[Any]:
        ended.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    registry = tm.Registry()
    registry.counter("jobs").inc()
    began = time.monotonic()
    with pytest.raises(tm.ReportError, match=r"its host has no address \(the lookup takes too long\)"):
        tm.report_once(StatsD(f"{scheme}://slow.invalid:8125"), registry, timeout=0.2)
    assert time.monotonic() - began < 25
    ended.set()
