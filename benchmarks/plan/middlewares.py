"""What the metrics of an HTTP framework cost: `python -m plan.middlewares fastapi|flask` in `benchmarks`, in a fresh process.

One service of ten routes, which are asked in turn, without a server: as it is, with Tallymark, and with the peer in its
default setting. They take turns in random order, a few requests at a time, and of each the least counts, as other programs only
add to it. It prints JSON: seconds per request of each, and again of the service as it is, which shows the noise.

`python -m plan.middlewares served without|tallymark|peer` prints the CPU seconds of uvicorn for 100,000 requests of a client.
"""

from __future__ import annotations

import asyncio
import gc
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import tallymark as tm

ROUTES = 10
TURNS = 3000
REQUESTS = 5  # of a turn
SERVED = 20_000
KINDS = ("without", "tallymark", "peer", "without again")
Ask = Callable[[Any, str], None]


def fastapi(kind: str) -> Any:
    from fastapi import FastAPI

    app = FastAPI()
    for number in range(ROUTES):

        @app.get(f"/things{number}/{{item}}")
        async def thing(item: int) -> dict[str, int]:
            return {"item": item}

    if kind == "tallymark":
        tm.integrations.fastapi.instrument(app, registry=tm.Registry())
    elif kind == "peer":
        from prometheus_client import CollectorRegistry
        from prometheus_fastapi_instrumentator import Instrumentator

        Instrumentator(registry=CollectorRegistry()).instrument(app)
    return app


def flask(kind: str) -> Any:
    from flask import Flask

    app = Flask("things")
    for number in range(ROUTES):
        view = f"thing{number}"
        app.add_url_rule(f"/things{number}/<int:item>", view, lambda item: {"item": item})
    if kind == "tallymark":
        tm.integrations.flask.instrument(app, registry=tm.Registry())
    elif kind == "peer":
        from prometheus_client import CollectorRegistry
        from prometheus_flask_exporter import PrometheusMetrics

        PrometheusMetrics(app, registry=CollectorRegistry())
    return app


_HEADERS = [(b"host", b"localhost"), (b"user-agent", b"client"), (b"accept", b"*/*"), (b"accept-encoding", b"gzip")]


def asks_asgi() -> Ask:
    """Return a function that asks an ASGI application for a path."""
    loop = asyncio.new_event_loop()

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    async def ask(app: Any, path: str) -> None:
        for _ in range(REQUESTS):
            scope = {
                "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
                "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": _HEADERS,
                "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
            }  # fmt: skip
            await app(scope, receive, send)

    return lambda app, path: loop.run_until_complete(ask(app, path))


def asks_wsgi() -> Ask:
    """Return a function that asks a WSGI application for a path."""

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        return lambda data: None

    def ask(app: Any, path: str) -> None:
        for _ in range(REQUESTS):
            environ = {
                "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "localhost",
                "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "localhost", "HTTP_USER_AGENT": "client",
                "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr,
                "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
            }  # fmt: skip
            body = app(environ, start_response)
            for _chunk in body:
                pass
            body.close()

    return ask


FRAMEWORKS: dict[str, tuple[Callable[[str], Any], Callable[[], Ask]]] = {
    "fastapi": (fastapi, asks_asgi),
    "flask": (flask, asks_wsgi),
}


def in_turns(framework: str, turns: int = TURNS) -> dict[str, float]:
    """Return seconds per request of each kind: the least of all turns."""
    make, asks = FRAMEWORKS[framework]
    apps, ask = {kind: make(kind) for kind in KINDS}, asks()
    paths = [f"/things{number}/7" for number in range(ROUTES)]
    for app in apps.values():
        for path in paths:
            ask(app, path)
    gc.collect()
    gc.freeze()  # what a service has when it has begun
    least = {kind: dict.fromkeys(paths, 1.0) for kind in KINDS}
    chosen = random.Random(18)
    order = list(KINDS)
    for turn in range(turns):
        path = paths[turn % ROUTES]
        chosen.shuffle(order)
        for kind in order:
            began = perf_counter()
            ask(apps[kind], path)
            least[kind][path] = min(least[kind][path], perf_counter() - began)
    return {kind: sum(found.values()) / ROUTES / REQUESTS for kind, found in least.items()}


_CLIENT = """
import socket, sys
port, requests = int(sys.argv[1]), int(sys.argv[2])
connection = socket.create_connection(("127.0.0.1", port))
file = connection.makefile("rb")
for number in range(requests):
    connection.sendall(b"GET /things%d/7 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n" % (number % 10))
    size = 0
    while (line := file.readline()) != b"\\r\\n":
        if line.lower().startswith(b"content-length:"):
            size = int(line[15:])
    file.read(size)
"""


async def _serve(kind: str, requests: int) -> float:
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(fastapi(kind), port=0, log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    cpu = 0.0
    for some in (1000, requests):  # the first are to warm up
        before = os.times()
        client = await asyncio.create_subprocess_exec(sys.executable, "-c", _CLIENT, str(port), str(some))
        await client.wait()
        after = os.times()
        cpu = after.user + after.system - before.user - before.system
    server.should_exit = True
    await serving
    return cpu / requests * 100_000


def measure_middlewares() -> dict[str, dict[str, float]]:
    """Return the figures of each framework, in fresh processes."""
    found = {}
    for framework in FRAMEWORKS:
        command = [sys.executable, "-m", "plan.middlewares", framework]
        ran = subprocess.run(command, cwd=Path(__file__).parents[1], check=True, capture_output=True, text=True)
        found[framework] = json.loads(ran.stdout)
    return found


if __name__ == "__main__":
    if sys.argv[1] == "served":
        print(json.dumps(asyncio.run(_serve(sys.argv[2], SERVED))))
    else:
        print(json.dumps(in_turns(sys.argv[1])))
