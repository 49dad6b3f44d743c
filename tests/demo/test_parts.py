"""The parts of the demo, each by itself."""

from __future__ import annotations

import signal
import sys
import threading
from http.client import HTTPConnection
from typing import Any

import pytest

import tallymark as tm
from tallymark.demo import display
from tallymark.demo.backend import WORKLOADS, Backend, BackendError
from tallymark.demo.load import Load
from tallymark.demo.server import HOST, serve_operations
from tallymark.demo.service import Service
from tallymark.demo.stop import stop_on_signals
from tallymark.demo.table import HEADINGS, plain_text, read_rows


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
    with serve_operations(Service(registry, ScriptedBackend())) as port:
        connection = HTTPConnection(HOST, port, timeout=10)
        for path, status in (("/auth", 200), ("/admin.php", 404)):
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            assert response.status == status
        connection.close()
    assert [series.tags["operation"] for series in registry.snapshot()["operations"]] == ["auth"]


def test_a_client_that_stays_connected_does_not_keep_the_server_from_ending(registry: tm.Registry) -> None:
    threads = set(threading.enumerate())
    with serve_operations(Service(registry, ScriptedBackend())) as port:
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

    with serve_operations(Service(registry, Counting())) as port, Load(port, rate=10_000):
        assert enough.wait(60)
    assert set(threading.enumerate()) == threads
    assert sum(series.value for series in registry.snapshot()["operations"]) >= 20
    assert all(series.value == 0 for series in registry.snapshot()["operations_in_flight"])


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


# The table


def test_before_the_first_request_the_table_is_empty_but_whole(registry: tm.Registry) -> None:
    Service(registry, ScriptedBackend())
    snapshot = registry.snapshot()
    rows = read_rows(snapshot, snapshot)
    assert [row.cells() for row in rows] == [(name, "0.0", "0", "0", "-", "-", "-") for name in WORKLOADS]


def test_quantiles_are_of_all_statuses_together(registry: tm.Registry) -> None:
    Service(registry, ScriptedBackend())
    before = registry.snapshot()
    operations, durations = registry.counter("operations"), registry.timer("operation_duration")
    for status, seconds in (("success", 0.001), ("success", 0.001), ("error", 0.001), ("timeout", 0.2)):
        operations.inc(operation="auth", status=status)
        durations.record(seconds, operation="auth", status=status)
    auth = read_rows(registry.snapshot(), before)[0]
    assert (auth.operation, auth.errors, auth.timeouts) == ("auth", 1, 1)
    assert auth.rate > 0
    p50, p95, p99 = auth.quantiles
    assert p50 == pytest.approx(0.001, rel=0.3)  # as far as its bucket is wide
    assert 0.1 < p95 < p99 <= 0.2


def test_plain_lines_are_aligned(registry: tm.Registry) -> None:
    Service(registry, ScriptedBackend())
    snapshot = registry.snapshot()
    lines = plain_text(read_rows(snapshot, snapshot)).splitlines()
    assert len(lines) == 1 + len(WORKLOADS)
    assert len({len(line) for line in lines}) == 1
    assert all(heading in lines[0] for heading in HEADINGS)


@pytest.mark.parametrize("rich_is_there", [True, False])
def test_a_terminal_has_a_live_table_if_rich_is_installed(rich_is_there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    if not rich_is_there:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    expected = display.LiveDisplay if rich_is_there else display.PlainDisplay
    assert type(display.make_display()) is expected
