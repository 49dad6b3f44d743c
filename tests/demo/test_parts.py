"""The parts of the demo, each by itself."""

from __future__ import annotations

import signal
import threading
from http.client import HTTPConnection
from typing import Any

import pytest

import tallymark as tm
from tallymark.demo.backend import WORKLOADS, Backend, BackendError
from tallymark.demo.load import Load
from tallymark.demo.server import HOST, serve_operations
from tallymark.demo.service import Service
from tallymark.demo.stop import stop_on_signals


class ScriptedBackend(Backend):
    """Runs each call at once."""

    def __init__(self, *script: bytes | Exception) -> None:
        self._script = list(script)

    def call(self, operation: str) -> bytes:
        step = self._script.pop(0) if self._script else b"done"
        if isinstance(step, Exception):
            raise step
        return step


def count(registry: tm.Registry, **tags: str) -> float:
    series = registry.snapshot().find("operations", tags)
    return series.value if series else 0.0


# The service


@pytest.mark.parametrize(
    ("step", "status", "response"),
    [(b"hello", "success", b"hello"), (TimeoutError(), "timeout", b""), (BackendError(), "error", b"")],
)
def test_an_operation_is_recorded_by_how_it_ended(
    registry: tm.Registry, step: bytes | Exception, status: str, response: bytes
) -> None:
    service = Service(registry, ScriptedBackend(step))
    assert service.handle("auth") == (status, response)
    snapshot = registry.snapshot()
    for name in ("operations", "operation_duration"):
        (series,) = snapshot[name]
        assert series.tags == {"operation": "auth", "status": status}
    (size,), (in_flight,) = snapshot["response_size"], snapshot["operations_in_flight"]
    assert (size.histogram.count, size.histogram.sum) == (1, len(response))
    assert in_flight.tags == {"operation": "auth"}
    assert in_flight.value == 0


def test_a_fault_of_the_service_itself_is_an_error_and_goes_on(registry: tm.Registry) -> None:
    service = Service(registry, ScriptedBackend(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        service.handle("auth")
    assert count(registry, operation="auth", status="error") == 1


def test_the_backend_s_draws_are_the_same_in_every_run() -> None:
    def fates() -> list[Any]:
        backend = Backend()
        return [backend._draw(operation, workload) for operation, workload in WORKLOADS.items() for _ in range(20)]

    assert fates() == fates()


# The server and its clients


def test_an_unknown_path_is_not_found_and_makes_no_series(registry: tm.Registry) -> None:
    with serve_operations(Service(registry, ScriptedBackend()), registry) as port:
        connection = HTTPConnection(HOST, port, timeout=10)
        for path, status in (("/auth", 200), ("/admin.php", 404)):
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            assert response.status == status
        connection.close()
    assert [series.tags["operation"] for series in registry.snapshot()["operations"]] == ["auth"]
    routes = {series.tags.get("http.route") for series in registry.snapshot()["http.server.request.duration"]}
    assert routes == {"/auth", None}


def test_a_client_that_stays_connected_does_not_keep_the_server_from_ending(registry: tm.Registry) -> None:
    threads = set(threading.enumerate())
    with serve_operations(Service(registry, ScriptedBackend()), registry) as port:
        connection = HTTPConnection(HOST, port, timeout=10)
        connection.request("GET", "/auth")
        assert connection.getresponse().read() == b"done"
    assert set(threading.enumerate()) == threads
    connection.close()


@pytest.mark.slow
def test_at_the_end_of_the_load_all_requests_were_answered(registry: tm.Registry) -> None:
    threads = set(threading.enumerate())
    enough = threading.Event()

    class Counting(ScriptedBackend):
        calls = 0

        def call(self, operation: str) -> bytes:
            self.calls += 1
            if self.calls >= 20:
                enough.set()
            return b"done"

    with serve_operations(Service(registry, Counting()), registry) as port, Load(port, rate=10_000):
        assert enough.wait(60)
    assert set(threading.enumerate()) == threads
    snapshot = registry.snapshot()
    counts = {tuple(series.tags.items()): series.value for series in snapshot["operations"]}
    assert sum(counts.values()) >= 20
    assert {tuple(series.tags.items()): series.count for series in snapshot["operation_duration"]} == counts
    assert sum(series.count for series in snapshot["http.server.request.duration"]) == sum(counts.values())
    for gauge in ("operations_in_flight", "http.server.active_requests"):
        assert all(series.value == 0 for series in snapshot[gauge])


# The wish to end


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_wish_that_stays(number: signal.Signals) -> None:
    former = signal.getsignal(number)
    with stop_on_signals() as stop:
        assert not stop.wait(0.01)
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert stop.wait(60)
        assert stop.wait(60)
    assert signal.getsignal(number) is former
