"""The demo from start to end."""

from __future__ import annotations

import errno
import math
from time import monotonic
from typing import TYPE_CHECKING

import tallymark as tm
from tallymark.demo.backend import Backend
from tallymark.demo.farewell import farewell
from tallymark.demo.load import Load
from tallymark.demo.server import HOST, serve_operations
from tallymark.demo.service import Service
from tallymark.demo.stop import Stop, stop_on_signals
from tallymark.process import process_metrics
from tallymark.serve.server import Server, serve
from tallymark.top.controls import Controls
from tallymark.top.display import Display, make_display
from tallymark.top.table import traffic_table
from tallymark.top.view import View, read_view
from tallymark.top.watcher import Watcher

if TYPE_CHECKING:
    from tallymark.metric.shared.contents import LivingProcess

__all__ = ["run"]

_FURTHER_PORTS = 100
_BY_NAME = Controls("name", "", False, False)


def run(*, seconds: float, port: int, rate: float, display: Display | None = None) -> None:
    """Run a measured service under load, and show its operations and routes live; at the end print a summary.

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
        page = metrics.url.removesuffix("metrics")
        print(f"{_greeting(metrics, page, port)}\nThe service is under load{_ending(seconds)}.\n", flush=True)
        display = display or make_display()
        first = registry.snapshot()
        with serve_operations(service, registry) as service_port, Load(service_port, rate), display:
            _watch(_Own(registry, page), display, stop, seconds)
        whole = read_view(first, registry.snapshot())
    print(_summary(whole), end="\n\n")
    display.summarise(traffic_table(whole, _BY_NAME))
    print(farewell(page), flush=True)


def _serve_nearby(registry: tm.Registry, port: int) -> Server:
    last = min(port + _FURTHER_PORTS, 65535) if port else 0
    for candidate in range(port, last + 1):
        try:
            return serve(port=candidate, host=HOST, registry=registry)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or candidate == last:
                raise
    raise AssertionError("the last candidate is served or raises")


def _greeting(metrics: Server, page: str, port: int) -> str:
    moved = f" (port {port} is in use)" if port not in (0, metrics.port) else ""
    return f"Watch it live: {page}    Metrics: {metrics.url}{moved}"


def _ending(seconds: float) -> str:
    return f" for {seconds:g} seconds" if seconds else " until Ctrl-C"


class _Own:
    """The metrics of this process, as something to watch."""

    processes: tuple[LivingProcess, ...] = ()

    def __init__(self, registry: tm.Registry, name: str) -> None:
        self.snapshot = registry.snapshot
        self.name = name


def _watch(source: _Own, display: Display, stop: Stop, seconds: float) -> None:
    """Show the table until the time is up or a stop was requested."""
    end = monotonic() + seconds if seconds else math.inf
    watcher = Watcher(source, display.interval)
    reading = watcher.read()
    while (left := end - monotonic()) > 0 and not stop.wait(min(left, reading.every)):
        reading = watcher.read()
        display.show(traffic_table(reading.view, _BY_NAME))


def _summary(whole: View) -> str:
    operations = [row for row in whole.traffic if row.what == "operation"]
    count, errors = sum([row.count for row in operations]), sum([row.errors for row in operations])
    return f"In {whole.seconds:.1f} seconds, {count:,} operations ended, {errors:,} of them in an error or too late:"
