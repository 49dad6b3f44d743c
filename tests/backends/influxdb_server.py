"""A real InfluxDB 1, and what its query language tells of what was written."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from program import Program, ask, require_program
from prometheus_server import free_port

_CONFIGURATION = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
auth-enabled = {auth}
max-body-size = {most}
"""


class InfluxDB1(Program):
    """An InfluxDB 1 that runs. What it has answered, it has on disk.

    Args:
        folder: for its files.
        user: who may write, if not everybody may.
        password: of that user.
        most_bytes: of a request.

    Attributes:
        url: where it listens.
    """

    def __init__(self, folder: Path, user: str = "", password: str = "", most_bytes: int = 25_000_000) -> None:
        port, rpc = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._user, self._password = user, password
        text = _CONFIGURATION.format(folder=folder, port=port, rpc=rpc, auth=str(bool(user)).lower(), most=most_bytes)
        (folder / "influxdb.conf").write_text(text)
        super().__init__([require_program("influxd"), "-config", folder / "influxdb.conf"], folder)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        super().start()
        self.wait(lambda: ask(f"{self.url}/ping"), "InfluxDB listens")
        if self._user:
            self.query(f"CREATE USER \"{self._user}\" WITH PASSWORD '{self._password}' WITH ALL PRIVILEGES")

    def query(self, statement: str, database: str = "") -> list[dict[str, Any]]:
        """Return the series that a statement finds: each with `name`, `tags`, `columns` and `values`."""
        parameters = urlencode({"q": statement, "db": database, "epoch": "ns"}, quote_via=quote)
        request = Request(f"{self.url}/query", data=parameters.encode())
        if self._user:
            request.add_header("Authorization", f"Basic {b64encode(f'{self._user}:{self._password}'.encode()).decode()}")
        try:
            with urlopen(request, timeout=30) as response:
                answer = json.load(response)
        except HTTPError as error:
            with error:
                raise AssertionError(error.read()) from None
        (result,) = answer["results"]
        assert "error" not in result, result
        found: list[dict[str, Any]] = result.get("series", [])
        return found

    def points(self, database: str, measurement: str) -> list[dict[str, Any]]:
        """Return each point of a measurement, its tags and fields together; what it does not have is left out."""
        rows = self.query(f'SELECT * FROM "{measurement}"', database)
        points = [dict(zip(one["columns"], values, strict=True)) for one in rows for values in one["values"]]
        return [{key: value for key, value in point.items() if value is not None} for point in points]


@contextmanager
def running_influxdb(folder: Path, user: str = "", password: str = "", most_bytes: int = 25_000_000) -> Iterator[InfluxDB1]:
    """Run InfluxDB for the duration of a `with` block."""
    server = InfluxDB1(folder, user, password, most_bytes)
    server.start()
    try:
        yield server
    finally:
        server.kill()
