"""Who closes a reporter does not wait for an attempt to send that hangs: its deadline is moved, and it ends."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

import tallymark as tm
from tallymark.backends import OTLP, Graphite, InfluxDB, Pushgateway, RemoteWrite, StatsD
from tallymark.client.deadline import Deadline
from tallymark.report.backend import Backend
from tallymark.report.errors import SendError

BACKENDS: dict[str, Callable[[str], Backend]] = {
    "graphite": Graphite,
    "influxdb": lambda place: InfluxDB(f"http://{place}", database="x"),
    "otlp": lambda place: OTLP(f"http://{place}", timeout=3600.0, environ={}),
    "otlp_grpc": lambda place: OTLP(f"http://{place}", protocol="grpc", timeout=3600.0, environ={}),
    "pushgateway": lambda place: Pushgateway(f"http://{place}", job="x"),
    "remote_write": lambda place: RemoteWrite(f"http://{place}/write"),
    "statsd_tcp": lambda place: StatsD(f"tcp://{place}"),
}


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Return a server that accepts, and neither reads nor answers."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(20.0)
        yield server


@pytest.mark.parametrize("name", BACKENDS)
def test_an_attempt_ends_when_its_deadline_is_moved(name: str, silent: socket.socket) -> None:
    backend = BACKENDS[name](f"127.0.0.1:{silent.getsockname()[1]}")
    deadline = Deadline(3600.0, time.monotonic)
    registry = tm.Registry(self_metrics=False)
    registry.counter("a").inc()
    parts = list(backend.encode(registry.snapshot(), 0.0))
    if name == "statsd_tcp":
        parts = [b"a:1|c\n" * 2_000_000]  # more than the system keeps for a server that does not read
    caught: list[BaseException] = []

    def attempt() -> None:
        try:
            backend.send(parts, deadline)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    with silent.accept()[0]:
        deadline.cut(0.0)
        thread.join(10.0)
        assert not thread.is_alive()
    assert [type(error) for error in caught] == [SendError]
    backend.close()
