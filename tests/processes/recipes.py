"""Programs with workers, as users start them, and what must hold of the registry that the workers share."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TypeVar

import pytest
from prometheus_client.parser import text_string_to_metric_families

APPS = Path(__file__).parent / "apps"
WORKERS = 3
CLIENTS = 4
KILLS = 5
BETWEEN_KILLS = 40
PATIENCE = 60.0

T = TypeVar("T")
Samples = dict[tuple[object, ...], float]


def poll(read: Callable[[], T | None], what: str) -> T:
    """Return the first result of `read` that is neither None nor False; fail if there is none for too long."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        result = read()
        if result is not None and result is not False:
            return result
        time.sleep(0.02)
    pytest.fail(f"{what}: not within {PATIENCE} seconds")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of requests, and which workers answered them."""

    answered: int
    lost: int
    pids: set[int]
    killed: set[int]


class Program:
    """A program that runs, and has logged where it serves HTTP. It may lose workers, but must not end itself."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, ready: str) -> None:
        self.process = process
        self.port = int(poll(lambda: self._look(log), "the program logs where it serves")[1])
        self._before: Samples = {}
        self.get_at_last(ready)  # uvicorn logs it before it listens

    def _look(self, log: Path) -> re.Match[str] | None:
        assert self.process.poll() is None, "the program has ended"
        return re.search(r"http://127\.0\.0\.1:(\d+)\b", log.read_text())

    def get(self, path: str) -> str:
        """Return an answer. Raises ConnectionError or HTTPException where the worker dies over it."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            text = response.read().decode()
        assert response.status == 200, text
        return text

    def get_at_last(self, path: str) -> tuple[str, int]:
        """Return an answer, and how many attempts were lost before."""
        deadline, lost = time.monotonic() + PATIENCE, 0
        while True:
            try:
                return self.get(path), lost
            except (ConnectionError, HTTPException):  # not TimeoutError: nobody may hang
                if time.monotonic() > deadline:
                    raise
            lost += 1
            time.sleep(0.02)

    def scrape(self) -> Samples:
        """Return what is served, by name and tags. None of it may have gone down since the last time, but gauges."""
        samples: Samples = {}
        rising: Samples = {}
        for family in text_string_to_metric_families(self.get_at_last("/metrics")[0]):
            for sample in family.samples:
                (samples if family.type == "gauge" else rising)[sample.name, *sorted(sample.labels.items())] = sample.value
        for key, value in self._before.items():
            assert rising.get(key, 0) >= value, f"{key} went down"  # a 0 without tags goes when there are others
        self._before = rising
        return samples | rising

    @contextmanager
    def scraped(self) -> Iterator[None]:
        """Scrape again and again while the `with` block runs."""
        done = threading.Event()

        def scrape() -> None:
            while not done.wait(0.02):
                self.scrape()

        with ThreadPoolExecutor(1) as pool:
            scraping = pool.submit(scrape)
            try:
                yield
            finally:
                done.set()
            scraping.result()

    def load(self, workers: int) -> Outcome:
        """Send requests, and kill workers right after an answer, until enough were killed, and so many have answered."""
        pids: list[int] = []
        lost: list[int] = []
        killed: set[int] = set()
        lock = threading.Lock()
        deadline = time.monotonic() + PATIENCE

        def client() -> None:
            while (len(killed) < KILLS or len(set(pids)) < workers) and time.monotonic() < deadline:
                answer, before = self.get_at_last("/work")
                pid = int(answer)
                with lock:
                    pids.append(pid)
                    lost.append(before)
                    due = len(pids) >= BETWEEN_KILLS * (len(killed) + 1) and len(killed) < KILLS
                    if due and pid not in killed and self.kill(pid):
                        killed.add(pid)

        with ThreadPoolExecutor(CLIENTS) as pool, self.scraped():
            for ended in [pool.submit(client) for _ in range(CLIENTS)]:
                ended.result()
        return Outcome(len(pids), sum(lost), set(pids), killed)

    def kill(self, pid: int) -> bool:
        """Kill a worker, if it lives."""
        with suppress(ProcessLookupError):
            assert os.getsid(pid) == self.process.pid
            os.kill(pid, signal.SIGKILL)
            return True
        return False


@contextmanager
def running(directory: Path, *arguments: str, shared: Path | None, ready: str = "/metrics") -> Iterator[Program]:
    """Run a Python program in `directory` for the duration of a `with` block. Nothing of it is left, whatever happens.

    It is ready when it answers a request for the path `ready`.
    """
    log = directory / "log"
    environment = os.environ | {
        "SHARED": str(shared or ""), "PYTHONPATH": str(APPS), "PYTHONDONTWRITEBYTECODE": "1", "XDG_RUNTIME_DIR": str(directory),
    }  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        yield Program(process, log, ready)
    except BaseException:
        print(log.read_text()[-10_000:])
        raise
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def check_service(directory: Path, *arguments: str, shared: Path | None, workers: int = KILLS) -> None:
    """Run a service under load while workers are killed and recycled, and hold its metrics against what was answered."""
    with running(directory, *arguments, shared=shared) as program:
        outcome = program.load(workers)
        assert len(outcome.killed) >= KILLS
        assert len(outcome.pids) >= workers
        assert outcome.lost <= len(outcome.pids) * CLIENTS  # what a worker had in hand when it ended
        poll(lambda: program.scrape()["workers",] == WORKERS, "the sum is of those that live")
        samples = program.scrape()
        for name, tags in [("requests_total", [("status", "200")]), ("duration_seconds_count", [])]:
            assert outcome.answered <= samples[name, ("path", "/work"), *tags] <= outcome.answered + outcome.lost
        assert not any(value for key, value in samples.items() if key[0] == "tallymark_rejected_total")
        program.process.terminate()
        assert program.process.wait(PATIENCE) == 0
    if shared is not None:
        assert os.listdir(shared.parent) == [shared.name]
