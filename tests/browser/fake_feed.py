"""A service that is all made up, and a server of its feed: for tests of the page, which need neither engine nor clock."""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

from tallymark.serve import dashboard as package
from tallymark.serve.dashboard import dashboard

FILES = Path(package.__file__).parent
Tags = Mapping[str, str]
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
SERVICE = {"name": "checkout", "host": "web-1", "pid": 4711, "python": "3.12.1", "engine": "native", "version": "0.9"}


class FakeService:
    """Families whose numbers a test sets; `reading()` makes the documents of the feed."""

    def __init__(self, now: float = 1764190000.0) -> None:
        self.time = now
        self.families: dict[str, dict[str, Any]] = {}
        self.processes: list[dict[str, Any]] = [{"pid": 4711, "started": now - 4000, "cpu": 12.0, "rss": 64 * 2**20}]
        self.gone: list[str] = []
        self.service = dict(SERVICE)
        self._described: set[str] = set()
        self._told_rows: dict[str, list[list[Any]]] = {}
        self._changed: dict[str, set[int]] = {}

    def family(self, name: str, kind: str, type: str, **more: Any) -> None:
        """Make a family; what is not given is as it is for most."""
        exposed = more.pop("exposed", name.replace(".", "_"))
        about = {"monotonic": type != "gauge", "unit": "", "description": "", "limit": 2000} | more
        if type == "histogram":
            about.setdefault("bounds", BOUNDS)
        self.families[name] = {"name": name, "exposed": exposed, "kind": kind, "type": type, **about, "series": [], "rows": []}

    def row(self, name: str, tags: Tags, empty: Sequence[Any]) -> list[Any]:
        """Return the row of a series, to be changed; make it if need be."""
        family = self.families[name]
        tags = dict(tags)
        if tags not in family["series"]:
            family["series"].append(tags)
            family["rows"].append([len(family["rows"]), *empty])
            self._described.discard(name)
        index = family["series"].index(tags)
        self._changed.setdefault(name, set()).add(index)
        return family["rows"][index]

    def inc(self, name: str, amount: float = 1, **tags: str) -> None:
        if name not in self.families:
            self.family(name, "counter", "sum")
        self.row(name, tags, [0])[1] += amount

    def set(self, name: str, value: Any, **tags: str) -> None:
        if name not in self.families:
            self.family(name, "gauge", "gauge")
        self.row(name, tags, [0])[1] = value

    def observe(self, name: str, value: float, tags: Tags, times: int = 1) -> None:
        if name not in self.families:
            self.family(name, "timer", "histogram", unit="seconds", exposed=name.replace(".", "_") + "_seconds")
        bounds = self.families[name]["bounds"]
        row = self.row(name, tags, [0, 0.0, *[0] * (len(bounds) + 1)])
        row[1] += times
        row[2] += value * times
        row[3 + bisect_left(bounds, value)] += times

    def request(self, route: str, seconds: float, status: str = "200", method: str = "GET", times: int = 1) -> None:
        tags = {"http.request.method": method, "http.route": route, "http.response.status_code": status}
        self.observe("http.server.request.duration", seconds, tags, times)

    def restart(self) -> None:
        """Begin all counts anew, as a new process does."""
        for family in self.families.values():
            for row in family["rows"]:
                row[1:] = [0 if isinstance(value, int) else 0.0 for value in row[1:]]
            self._changed[family["name"]] = set(range(len(family["rows"])))

    def drop(self, name: str) -> None:
        del self.families[name]
        self.gone.append(name)

    def reading(self, seconds: float = 1.0, complete: bool = False) -> dict[str, Any]:
        """Let time go on, and return the document of what changed since the last; or of all there is."""
        self.time += seconds
        document: dict[str, Any] = {"time": self.time, "every": 1.0, "complete": complete, "processes": self.processes}
        if complete:
            document |= {"service": self.service, "families": list(self.families.values())}
        else:
            document |= {"families": [told for name in self.families if (told := self._told(name))], "gone": self.gone}
        self._described = set(self.families)
        self._told_rows = {name: [list(row) for row in family["rows"]] for name, family in self.families.items()}
        self._changed, self.gone = {}, []
        return json.loads(json.dumps(document))

    def _told(self, name: str) -> dict[str, Any] | None:
        family = self.families[name]
        if name not in self._described:
            return family
        changed = self._changed.get(name)
        return {"name": name, "rows": [self._change(name, index) for index in sorted(changed)]} if changed else None

    def _change(self, name: str, index: int) -> list[Any]:
        """Return a row that changed: of a histogram, with those buckets that did, each after its index."""
        row, before = self.families[name]["rows"][index], self._told_rows[name][index]
        if self.families[name]["type"] != "histogram":
            return row
        pairs = [(at, now) for at, (now, was) in enumerate(zip(row[3:], before[3:], strict=True)) if now != was]
        return [*row[:3], *(number for pair in pairs for number in pair)]


class FakeFeed:
    """Serves the page, and the documents that a test sends. It can die, and come back at the same address."""

    def __init__(self, mode: Literal["events", "poll"] = "events") -> None:
        self.mode = mode
        self.status = 200  # of the feed
        self.latest: dict[str, Any] | None = None  # complete: what a new viewer gets
        self.asked = 0  # how often the feed was
        self.viewers: list[queue.Queue[bytes | None]] = []
        self.lock = threading.Lock()
        self.server: ThreadingHTTPServer | None = None
        self.connections: set[socket.socket] = set()
        self.port = 0
        self.up()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def up(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), type("Handler", (_Handler,), {"feed": self}))
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def down(self) -> None:
        """Die, as a killed process does: nobody listens, and streams end in the middle."""
        assert self.server is not None
        self.server.shutdown()
        self.server.server_close()
        with self.lock:
            viewers, self.viewers = self.viewers, []
        for viewer in viewers:
            viewer.put(None)

    close = down

    def send(self, document: dict[str, Any], complete: dict[str, Any] | None = None) -> None:
        """Send a document to all viewers; `complete`, or it, is what later ones get."""
        with self.lock:
            self.latest = complete or document
            viewers = list(self.viewers)
        for viewer in viewers:
            viewer.put(_event(document))

    def wait_for_viewer(self, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not self.viewers:
            assert time.monotonic() < deadline, "nobody asked for the feed"
            time.sleep(0.005)


def _event(document: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(document)}\n\n".encode()


class _Handler(BaseHTTPRequestHandler):
    feed: FakeFeed
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/":
            page = dashboard(self.feed.mode)
            self._send(page.status, page.headers, page.body)
        elif self.path == "/live":
            self.feed.asked += 1
            if self.feed.status != 200:
                self._send(self.feed.status, (("Content-Type", "text/plain"),), b"no\n")
            elif self.feed.mode == "poll":
                self._send(200, (("Content-Type", "application/json"),), json.dumps(self.feed.latest).encode())
            else:
                self._stream()
        else:
            self._send(404, (), b"")

    def _send(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for key, value in (*headers, ("Content-Length", str(len(body))), ("Connection", "close")):
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        viewer: queue.Queue[bytes | None] = queue.Queue()
        with self.feed.lock:
            if self.feed.latest is not None:
                viewer.put(_event(self.feed.latest))
            self.feed.viewers.append(viewer)
        try:
            while (data := viewer.get()) is not None:
                self.wfile.write(data)
                self.wfile.flush()
        except OSError:
            return

    def log_message(self, format: str, *args: object) -> None:
        pass
