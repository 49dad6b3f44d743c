"""The StatsD server of npm, and what its management port tells."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

__all__ = ["StatsDServer", "require_statsd"]

WHERE = Path(__file__).parents[2] / ".statsd/node_modules/statsd"

# Writes all that the server holds when it ends: the management port does not tell for how many observations values stand.
AT_THE_END = """\
const fs = require('fs');
exports.init = (start, config, events) => {
  events.on('flush', (time, metrics) => fs.writeFileSync(config.at_the_end, JSON.stringify(metrics)));
  return true;
};
"""

# What `util.inspect` of Node.js makes of a name and a number, or a list of numbers.
ENTRY = re.compile(r"(?:'((?:[^'\\]|\\.)*)'|\"([^\"]*)\"|([\w$]+)):\s*(\[[^\]]*\]|-?[\w.+\-]+)")


def require_statsd() -> Path:
    """Return the server's folder; skip the test if there is none, or fail where the environment says that there must be."""
    folder = Path(os.environ.get("TALLYMARK_STATSD") or WHERE)
    if shutil.which("node") and (folder / "stats.js").is_file():
        return folder
    missing = "needs node, and: npm install --prefix .statsd --omit=optional --ignore-scripts statsd@0.9.0"
    if os.environ.get("TALLYMARK_REQUIRE_SERVERS"):
        pytest.fail(missing)
    pytest.skip(missing)


class StatsDServer:
    """A server that runs, with UDP and TCP at one port. What it counts is reset when it is started again.

    Attributes:
        address: host and port.
    """

    def __init__(self, program: Path, folder: Path, options: dict[str, Any] | None = None) -> None:
        self._program = program
        self._folder = folder
        self._port, self._management = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"127.0.0.1:{self._port}"
        (folder / "at_the_end.js").write_text(AT_THE_END)
        servers = [{"server": f"./servers/{kind}", "address": "127.0.0.1", "port": self._port} for kind in ("udp", "tcp")]
        config = {
            "servers": servers, "mgmt_address": "127.0.0.1", "mgmt_port": self._management, "flushInterval": 1_000_000_000,
            "backends": [str(folder / "at_the_end.js")], "at_the_end": str(folder / "at_the_end.json"), **(options or {}),
        }  # fmt: skip
        (folder / "config.js").write_text(json.dumps(config))

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            command = ["node", str(self._program / "stats.js"), str(self._folder / "config.js")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self.wait(lambda: self.ask("counters") is not None, "the server answers")

    def kill(self) -> None:
        """Kill it: it has no time to do anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def end(self) -> dict[str, Any]:
        """End the server, and return what it held."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(20)
        self._process = None
        found: dict[str, Any] = json.loads((self._folder / "at_the_end.json").read_text())
        return found

    def ask(self, command: str) -> dict[str, Any] | None:
        """Return what the management port answers: `counters`, `gauges` or `timers`; None if nobody answers."""
        answer = b""
        try:
            with socket.create_connection(("127.0.0.1", self._management), timeout=5) as sock:
                sock.sendall(f"{command}\n".encode())
                while not answer.endswith(b"END\n\n"):
                    some = sock.recv(65536)
                    if not some:
                        return None
                    answer += some
        except OSError:
            return None
        found = {}
        for quoted, other, bare, value in ENTRY.findall(answer.decode()):
            found[quoted or other or bare] = json.loads(value) if value.startswith("[") else float(value)
        return {name: value for name, value in found.items() if not name.startswith("statsd.")}

    def lines(self) -> tuple[int, int]:
        """Return how many lines it has taken, and how many of them it could not read."""
        held = self.raw_counters()
        return int(held["statsd.metrics_received"]), int(held["statsd.bad_lines_seen"])

    def raw_counters(self) -> dict[str, float]:
        with socket.create_connection(("127.0.0.1", self._management), timeout=5) as sock:
            sock.sendall(b"counters\n")
            answer = b""
            while not answer.endswith(b"END\n\n"):
                answer += sock.recv(65536)
        return {one or two or three: float(value) for one, two, three, value in ENTRY.findall(answer.decode())}

    def wait(self, is_so: Callable[[], bool], what: str, seconds: float = 30) -> None:
        """Wait until something is so; fail if that is not in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if is_so():
                return
            time.sleep(0.02)
        pytest.fail(f"{what}: not within {seconds} seconds. Log: {(self._folder / 'log').read_text(errors='replace')[-2000:]}")

    def wait_for_lines(self, lines: int) -> None:
        """Wait until it has taken so many lines, all of which it could read."""
        self.wait(lambda: self.lines()[0] >= lines, f"{lines} lines arrive")
        assert self.lines() == (lines, 0)


def free_port() -> int:
    """Return a port that nobody uses, neither for TCP nor for UDP."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
