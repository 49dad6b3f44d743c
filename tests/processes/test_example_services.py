"""The services in `examples/` over their real servers, whose workers are killed meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import free_port, members
from recipes import PATIENCE, Program, poll, running

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.slow

HTTP = "http_server_request_duration_seconds_count"


def requests(program: Program, route: str) -> float:
    """Return how many requests ended at a route, over all workers."""
    samples = program.scrape()
    return sum(value for (name, *tags), value in samples.items() if name == HTTP and ("http_route", route) in tags)


def active(program: Program) -> float:
    return sum(value for (name, *_), value in program.scrape().items() if name == "http_server_active_requests")


def check_workers(program: Program) -> None:
    """Kill workers: what was answered stays in the totals, whoever is asked."""
    for number in range(1, 3):
        for _ in range(5):
            assert '"order": 17' in program.get_at_last("/orders/17/")[0]
        assert program.get_at_last("/orders/17/later/")[0]
        assert "line 2" in program.get_at_last("/report/")[0]
        assert poll(lambda: requests(program, "/orders/<int:number>/"), "it is counted") >= 5 * number
        assert requests(program, "/orders/<int:number>/later/") >= number
        assert requests(program, "/report/") >= number
        victim = next(pid for pid in members(program.process.pid) if is_worker(pid, program))
        program.kill(victim)
    poll(lambda: active(program) == 0, "no request of those that were killed is active")
    program.process.terminate()
    program.process.wait(PATIENCE)


def is_worker(pid: int, program: Program) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    return f"PPid:\t{program.process.pid}\n" in status and b"resource_tracker" not in command


SERVERS = {
    "gunicorn": ["gunicorn", "--workers", "2", "--threads", "4", "--bind", "127.0.0.1:0", "django_service:application"],
    "uvicorn": ["uvicorn", "--workers", "2", "--port", "0", "django_service:asgi_application"],
}


@pytest.mark.parametrize("command", SERVERS.values(), ids=SERVERS)
def test_django(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("django")
    monkeypatch.setenv("METRICS", str(tmp_path / "metrics"))
    monkeypatch.setattr("recipes.APPS", EXAMPLES)
    with running(tmp_path, *command, shared=None) as program:
        check_workers(program)


def test_aiohttp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr("recipes.APPS", EXAMPLES)
    with running(tmp_path, "aiohttp_service", "--port", str(free_port()), shared=None) as program:
        for _ in range(3):
            assert '"order": 17' in program.get("/orders/17")
        assert requests(program, "/orders/{number}") == 3
        with pytest.raises(AssertionError, match="500"):
            program.get("/broken")
        assert requests(program, "/broken") == 1
        assert active(program) == 0
