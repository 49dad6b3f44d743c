"""What a scrape costs the event loop of a service: `python -m plan.event_loops BODY [ACCEPT]` in `benchmarks`.

uvicorn serves 100,000 series with `tm.asgi_app` to a client in another process, again and again, while a coroutine sleeps a
millisecond at a time and looks at the clock. It prints JSON: the longest time that this coroutine was late in a scrape, the
median of some; and the bytes of a body. BODY is `live`, or `constant`: then the same body is sent each time, which shows what
sending alone costs. ACCEPT is the header that the client sends: it chooses the format.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import uvicorn

import tallymark as tm
from plan.scrapes import BODIES, SCRAPES, SERIES, populated, serve_always

_CLIENT = """
import sys
from urllib.request import Request, urlopen
for line in sys.stdin:
    print(len(urlopen(Request(line.strip(), headers={"Accept": sys.argv[1]})).read()), flush=True)
"""


class Clock:
    """A coroutine that sleeps, and notes by how much it woke up late."""

    longest = 0.0

    async def run(self) -> None:
        last = perf_counter()
        while True:
            await asyncio.sleep(0.001)
            now = perf_counter()
            self.longest = max(self.longest, now - last - 0.001)
            last = now


async def live(body: str, accept: str = "*/*", series: int = SERIES, scrapes: int = SCRAPES) -> dict[str, float]:
    """Return the figures of one kind of body."""
    registry = populated(series)
    if body == "constant":
        serve_always(tm.render_prometheus(registry.snapshot()))
    server = uvicorn.Server(uvicorn.Config(tm.asgi_app(registry), port=0, log_config=None, access_log=False))
    serving, clock = asyncio.create_task(server.serve()), Clock()
    while not server.started:
        await asyncio.sleep(0.01)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/metrics"
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    client = await asyncio.create_subprocess_exec(sys.executable, "-c", _CLIENT, accept, **pipes)
    ticking = asyncio.create_task(clock.run())
    held = []
    for _ in range(scrapes + 1):
        await asyncio.sleep(0.01)
        clock.longest = 0.0
        client.stdin.write(f"{url}\n".encode())  # type: ignore[union-attr]
        size = int(await client.stdout.readline())  # type: ignore[union-attr]
        held.append(clock.longest)
    client.stdin.close()  # type: ignore[union-attr]
    await client.wait()
    ticking.cancel()
    server.should_exit = True
    await serving
    return {"held_up": statistics.median(held[1:]), "body": float(size)}  # what is imported is in no figure


def measure_event_loops() -> dict[str, dict[str, float]]:
    """Return the figures of each kind of body, in fresh processes."""
    found = {}
    for body in BODIES:
        command = [sys.executable, "-m", "plan.event_loops", body]
        ran = subprocess.run(command, cwd=Path(__file__).parents[1], check=True, capture_output=True, text=True)
        found[body] = json.loads(ran.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(live(*sys.argv[1:3]))))
