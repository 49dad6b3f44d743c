"""docs/servers/gunicorn.md: its files and commands work as they are written, while workers are killed and recycled."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pages import Page, listener, members, scrape
from recipes import PATIENCE, Program, poll, running

pytestmark = pytest.mark.slow

COMMAND = " service:app"


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page("gunicorn", tmp_path)


def served(page: Page) -> float | None:
    return scrape(page.metrics).get("requests_total")


def check_that_another_takes_over(page: Page, program: Program, killed: int) -> None:
    """Kill the worker that serves, again and again: the totals go on elsewhere."""
    answered = served(page)
    assert answered
    for _ in range(killed):
        serving = listener(page.metrics, program.process.pid)
        assert program.kill(serving)
        listener(page.metrics, program.process.pid, but=serving)
        assert poll(lambda: served(page), "somebody serves") == answered
        program.get_at_last("/")
        answered += 1
    assert served(page) == answered


def end(page: Page, program: Program) -> None:
    program.process.terminate()
    assert program.process.wait(PATIENCE) == 0
    assert os.listdir(page.directory / "run") == ["metrics"]


@pytest.mark.parametrize("how", ["as it is", "preloaded", "inherited"])
def test_the_whole_configuration(page: Page, how: str) -> None:
    (page.directory / "run").mkdir()
    if how != "as it is":
        page.change("gunicorn.conf.py", ("workers = 4\n", "workers = 4\npreload_app = True\n"))
    if how == "inherited":
        page.change("service.py", (f'shared="{page.directory}/run/metrics"', "shared=True"))
        (page.directory / "run" / "metrics").touch()
    with running(page.directory, *page.arguments(COMMAND), shared=None) as program:
        for _ in range(10):
            program.get("/")
        poll(lambda: served(page) == 11, "all are counted, with the one that found it ready")
        assert scrape(page.metrics)["process_resident_memory_bytes"] > 0
        check_that_another_takes_over(page, program, killed=3)
        end(page, program)


def test_workers_that_are_recycled_and_replaced(page: Page) -> None:
    page.change(
        "gunicorn.conf.py",
        ("max_requests = 10_000", "max_requests = 5"), ("jitter = 1_000", "jitter = 0"),
        ('class = "gthread"', 'class = "sync"'), ("threads = 8", "threads = 1"),
    )  # fmt: skip
    with running(page.directory, *page.arguments(COMMAND), shared=None) as program:
        first, answered = listener(page.metrics, program.process.pid), 1
        while listener(page.metrics, program.process.pid) == first:
            program.get_at_last("/")
            answered += 1
        assert answered >= 5
        assert poll(lambda: served(page), "another serves") == answered
        before = set(members(program.process.pid))
        program.process.send_signal(signal.SIGHUP)
        poll(lambda: len(before & set(members(program.process.pid))) == 1, "all workers are new")
        assert poll(lambda: served(page), "one of the new workers serves") == answered
        end(page, program)


def test_a_path_of_the_service(page: Page) -> None:
    with running(page.directory, *page.arguments("with_metrics:app"), shared=None) as program:
        for _ in range(10):
            program.get("/")
        for _ in range(20):  # of whichever worker
            assert program.scrape()["requests_total", ("method", "GET")] == 10
        end(page, program)


def test_a_port_of_another_program_stops_it(page: Page) -> None:
    with socket.create_server(("127.0.0.1", page.metrics)):
        command = [sys.executable, "-m", *page.arguments(COMMAND)]
        done = subprocess.run(command, cwd=page.directory, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode not in (0, None)
    assert f"cannot serve metrics on host '127.0.0.1', port {page.metrics}: Address already in use" in done.stderr
