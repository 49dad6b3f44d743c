"""The demo from start to end."""

from __future__ import annotations

import errno
import math
import sys
from time import monotonic

import tallymark as tm
from tallymark.demo.backend import Backend
from tallymark.demo.display import Display, make_display
from tallymark.demo.load import Load
from tallymark.demo.server import HOST, serve_operations
from tallymark.demo.service import Service
from tallymark.demo.stop import Stop, stop_on_signals
from tallymark.demo.table import read_rows
from tallymark.process import process_metrics
from tallymark.serve.server import Server, serve

__all__ = ["run"]

_FURTHER_PORTS = 100


def run(*, seconds: float, port: int, rate: float, display: Display | None = None) -> None:
    """Run a measured service under load, and show its metrics live; at the end print a summary and the last metrics.

    Ends when the time is up, or at SIGINT or SIGTERM. Must be called in the main thread.

    Args:
        seconds: how long; 0: until a signal.
        port: where metrics are served, or the next free one of the hundred that follow; 0 for any free port.
        rate: maximum requests per second.
        display: where the table is shown; by default what suits standard output.

    Raises:
        OSError: the metrics cannot be served, or standard output cannot be written to.
    """
    registry = tm.Registry()
    process_metrics(registry)
    service = Service(registry, Backend())
    with stop_on_signals() as stop, _serve_nearby(registry, port) as metrics:
        print(f"{_greeting(metrics, port)} The service is under load{_ending(seconds)}.\n", flush=True)
        display = display or make_display()
        first = registry.snapshot()
        with serve_operations(service) as service_port, Load(service_port, rate), display:
            _watch(registry, display, stop, seconds)
        last = registry.snapshot()
        _summarise(display, first, last, metrics.url)


def _serve_nearby(registry: tm.Registry, port: int) -> Server:
    last = min(port + _FURTHER_PORTS, 65535) if port else 0
    for candidate in range(port, last + 1):
        try:
            return serve(port=candidate, host=HOST, registry=registry)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or candidate == last:
                raise
    raise AssertionError("the last candidate is served or raises")


def _greeting(metrics: Server, port: int) -> str:
    moved = f" (port {port} is in use)" if port not in (0, metrics.port) else ""
    return f"Metrics: {metrics.url}{moved}."


def _ending(seconds: float) -> str:
    return f" for {seconds:g} seconds" if seconds else " until Ctrl-C"


def _watch(registry: tm.Registry, display: Display, stop: Stop, seconds: float) -> None:
    """Show the table until the time is up or a stop was requested."""
    end = monotonic() + seconds if seconds else math.inf
    before = registry.snapshot()
    while (left := end - monotonic()) > 0 and not stop.wait(min(left, display.interval)):
        now = registry.snapshot()
        display.show(read_rows(now, before))
        before = now


def _summarise(display: Display, first: tm.Snapshot, last: tm.Snapshot, url: str) -> None:
    total = sum(int(series.value) for series in last["operations"])
    print(f"In {last.time - first.time:.1f} seconds, {total} operations:\n")
    display.summarise(read_rows(last, first))
    print(f"What {url} showed at the end:\n")
    sys.stdout.write(tm.render_prometheus(last).decode())
    sys.stdout.flush()
