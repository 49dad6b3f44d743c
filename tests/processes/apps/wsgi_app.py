"""A WSGI service whose workers share one registry: whichever of them answers, `/metrics` shows all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any

import tallymark as tm

registry = tm.Registry(shared=os.environ["SHARED"] or True)
requests = registry.counter("requests")
duration = registry.timer("duration")
workers = registry.gauge("workers", aggregate="sum")


def app(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/metrics":
        body = tm.render_prometheus(registry.snapshot())
    else:
        with duration.time(path=path):
            time.sleep(0.003)
        body = str(os.getpid()).encode()
    requests.inc(path=path, status="200")
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
