"""A real carbon-cache of Graphite, and what it has written to its database."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from program import Program, require_program
from prometheus_server import free_port

_CONFIGURATION = """[cache]
STORAGE_DIR = {folder}
LOCAL_DATA_DIR = {folder}/whisper
CONF_DIR = {folder}
LOG_DIR = {folder}
PID_DIR = {folder}
USER =
DATABASE = whisper
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {line}
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = {pickle}
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = {query}
MAX_CREATES_PER_MINUTE = inf
MAX_UPDATES_PER_SECOND = inf
CARBON_METRIC_INTERVAL = 0
ENABLE_TAGS = False
"""
_SCHEMAS = "[all]\npattern = .*\nretentions = 1s:1h\n"


class Carbon(Program):
    """A carbon-cache that runs. It writes numbers to disk some time after it has read them.

    Attributes:
        address: host and port that take plain text.
    """

    def __init__(self, folder: Path) -> None:
        line, pickle, query = (free_port() for _ in range(3))
        self.address = f"127.0.0.1:{line}"
        self._port = line
        self._fetch = require_program("whisper-fetch", "whisper-fetch.py")
        text = _CONFIGURATION.format(folder=folder, line=line, pickle=pickle, query=query)
        (folder / "carbon.conf").write_text(text)
        (folder / "storage-schemas.conf").write_text(_SCHEMAS)
        super().__init__(
            [
                require_program("carbon-cache", "carbon-cache.py"), f"--config={folder / 'carbon.conf'}",
                f"--logdir={folder}", "--nodaemon", f"--pidfile={folder / 'pid'}", "start",
            ],
            folder,
        )  # fmt: skip

    def start(self) -> None:
        """Start it, and wait until it listens."""
        (self.folder / "pid").unlink(missing_ok=True)
        super().start()
        self.wait(self._listens, "carbon listens")

    def _listens(self) -> bool | None:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0 or None

    def values(self, path: str, **tags: str) -> list[float]:
        """Return the numbers that a path has on disk, the oldest first."""
        file = self.folder / "whisper" / _place(path, tags)
        if not file.exists():
            return []
        command = [self._fetch, "--json", "--drop=nulls", f"--from={int(time.time()) - 3000}", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return [value for value in json.loads(done.stdout)["values"] if value is not None] if done.returncode == 0 else []

    def wait_for(self, path: str, value: float, **tags: str) -> None:
        """Wait until the last number of a path is this one."""
        self.wait(lambda: self.values(path, **tags)[-1:] == [value] or None, f"{path} is {value}")


def _place(path: str, tags: dict[str, str]) -> str:
    """Return where Graphite's database keeps a path.

    Source: carbon 1.1, `TaggedSeries.encode`.
    """
    if not tags:
        return f"{path.replace('.', '/')}.wsp"
    whole = path + "".join(sorted(f";{key}={value}" for key, value in tags.items()))
    digest = hashlib.sha256(whole.encode()).hexdigest()
    return f"_tagged/{digest[:3]}/{digest[3:6]}/{digest}.wsp"


@contextmanager
def running_carbon(folder: Path) -> Iterator[Carbon]:
    """Run carbon-cache for the duration of a `with` block."""
    server = Carbon(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
