"""docs/servers/uvicorn.md: its files and commands work as they are written, while workers are killed and recycled."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pages import Page, listener, scrape
from recipes import PATIENCE, Program, poll, running

pytest.importorskip("uvicorn")
pytestmark = pytest.mark.slow


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page("uvicorn", tmp_path)


def served(page: Page) -> float | None:
    return scrape(page.metrics).get("requests_total")


def end(page: Page, program: Program) -> None:
    program.process.terminate()
    assert program.process.wait(PATIENCE) == 0
    assert os.listdir(page.directory / "run") == ["metrics"]


def test_the_whole_configuration(page: Page) -> None:
    with running(page.directory, *page.arguments(" service:app"), shared=None, ready="/") as program:
        answered = 1
        for _ in range(3):
            serving = listener(page.metrics, program.process.pid)
            for _ in range(5):
                program.get_at_last("/")
                answered += 1
            assert poll(lambda: served(page), "somebody serves") == answered
            assert program.kill(serving)
            listener(page.metrics, program.process.pid, but=serving)
            assert poll(lambda: served(page), "another serves") == answered
        end(page, program)


def test_a_worker_that_is_recycled(page: Page) -> None:
    arguments = page.arguments(" service:app")
    arguments[arguments.index("10000")] = "5"
    arguments[arguments.index("4")] = "2"
    with running(page.directory, *arguments, shared=None, ready="/") as program:
        first, answered = listener(page.metrics, program.process.pid), 1
        while listener(page.metrics, program.process.pid) == first:
            program.get_at_last("/")
            answered += 1
        assert poll(lambda: served(page), "another serves") == answered
        end(page, program)


def test_a_path_of_the_service(page: Page) -> None:
    with running(page.directory, *page.arguments("with_metrics:app"), shared=None) as program:
        for _ in range(10):
            program.get("/")
        for _ in range(20):  # of whichever worker
            assert program.scrape()["requests_total", ("method", "GET")] == 10
        end(page, program)


def test_a_port_of_another_program_keeps_it_from_starting(page: Page) -> None:
    page.change("main.py", ("workers=4", "workers=2"))
    with socket.create_server(("127.0.0.1", page.metrics)):
        command = [sys.executable, "-m", *page.arguments("main.py")]
        done = subprocess.run(command, cwd=page.directory, capture_output=True, text=True, timeout=PATIENCE)
    assert f"cannot serve metrics on host '127.0.0.1', port {page.metrics}: Address already in use" in done.stderr
