"""The frameworks in their servers, over HTTP; some workers are killed meanwhile."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.slow

PATIENCE = 30.0
WORKERS = 2
SERVERS = {
    "uvicorn": ["uvicorn", "http_apps:asgi", "--port", "0", "--workers", str(WORKERS), "--no-access-log"],
    "gunicorn": [
        "gunicorn", "http_apps:wsgi", "--bind", "127.0.0.1:0", "--workers", str(WORKERS), "--worker-class", "gthread",
        "--threads", "4", "--no-control-socket",
    ],
}  # fmt: skip


class Service:
    """A server of two workers that share one registry."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self._log = directory / "log"
        environment = os.environ | {"SHARED": str(directory / "metrics"), "PYTHONPATH": str(Path(__file__).parent)}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *SERVERS[name]],
                cwd=directory, env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.port = int(eventually(lambda: re.search(r"http://127\.0\.0\.1:(\d+)", self._log.read_text()))[1])
        eventually(lambda: self.ask("GET", "/metrics")[0] == 200)

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Return status and body; status 0 where the worker died over it, or there is none."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            try:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                return response.status, response.read()
            except (ConnectionError, HTTPException):
                return 0, b""

    def samples(self, name: str) -> dict[tuple[str, str, str], float]:
        """Return the values of a metric, by method, route and status."""
        found: dict[tuple[str, str, str], float] = {}
        for family in text_string_to_metric_families(self.ask("GET", "/metrics")[1].decode()):
            for sample in family.samples:
                if sample.name == name:
                    keys = ("http_request_method", "http_route", "http_response_status_code")
                    way: Any = tuple([sample.labels.get(key, "") for key in keys])
                    found[way] = found.get(way, 0) + sample.value
        return found

    def counts(self) -> dict[tuple[str, str, str], float]:
        return self.samples("http_server_request_duration_seconds_count")

    def active(self) -> float:
        return sum(self.samples("http_server_active_requests").values())

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def eventually(read: Callable[[], Any]) -> Any:
    """Return the first result that counts as true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := read()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module", params=SERVERS)
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(request.param, tmp_path_factory.mktemp(request.param))
    try:
        yield service
    finally:
        service.close()


def route(service: Service, path: str) -> str:
    return path.replace("{", "<int:").replace("}", ">") if service.name == "gunicorn" else path


def test_what_requests_leave(service: Service) -> None:
    body = json.dumps({"a": "b" * 2000}).encode()
    assert service.ask("GET", "/work/7")[0] == 200
    status, echoed = service.ask("POST", "/echo", body)
    assert (status, json.loads(echoed)) == (200, json.loads(body))
    assert service.ask("GET", "/fails")[0] == 500
    assert service.ask("GET", "/nothing")[0] == 404
    assert service.ask("BREW", "/work/7")[0] == 405
    work = route(service, "/work/{number}")
    expected = {
        ("GET", work, "200"): 1, ("POST", "/echo", "200"): 1, ("GET", "/fails", "500"): 1, ("GET", "", "404"): 1,
        ("_OTHER", work, "405"): 1,
    }  # fmt: skip
    eventually(lambda: service.counts() == expected)  # a request ends after its last byte, which is when its client goes on
    sizes = service.samples("http_server_request_body_size_bytes_sum")
    assert sizes["POST", "/echo", "200"] == len(body)
    assert service.samples("http_server_response_body_size_bytes_sum")["POST", "/echo", "200"] == len(echoed)
    assert service.active() == 0


def test_a_client_that_leaves_a_stream(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(10_000)
        assert service.active() == 1
        assert ("GET", "/stream", "200") not in service.counts()
    eventually(lambda: service.counts().get(("GET", "/stream", "200")) == 1)
    assert service.active() == 0


def test_workers_that_are_killed_lose_no_more_than_what_they_had_in_hand(service: Service) -> None:
    way = ("GET", route(service, "/work/{number}"), "200")
    before, answered, lost, killed = service.counts().get(way, 0), 0, 0, set()
    while len(killed) < 2 or answered < 150:
        status, pid = service.ask("GET", f"/work/{answered}")
        answered, lost = answered + (status == 200), lost + (status != 200)
        if status == 200 and answered >= 50 * (len(killed) + 1) and len(killed) < 2:
            os.kill(int(pid), signal.SIGKILL)
            killed.add(int(pid))
        if status != 200:
            time.sleep(0.02)
    least = answered - len(killed)  # a request ends after its last byte, which is when they are killed
    eventually(lambda: least <= service.counts()[way] - before <= answered + lost)
    eventually(lambda: service.active() == 0)
