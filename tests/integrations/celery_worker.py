"""A worker of Celery as users start it, with a forked pool, over folders instead of a broker.

Kombu's folders have a race: a reader that finds a file before there is a message in it ends the worker. So messages are written
to `outbox`, and moved to `queue` when they are complete.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import urlopen

import pytest
from celery import Celery
from prometheus_client.parser import text_string_to_metric_families

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE = 30.0

T = TypeVar("T")


def poll(read: Callable[[], T | None], what: str) -> T:
    """Return the first result of `read` that is neither None nor False; fail if there is none for too long."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        result = read()
        if result is not None and result is not False:
            return result
        time.sleep(0.02)
    pytest.fail(f"{what}: not within {PATIENCE} seconds")


class Worker:
    """A worker that runs, and what its main process serves."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log
        self._url = poll(self._served, "the worker logs where it serves")
        poll(lambda: re.search(r"\bready\.$", self._log.read_text(), re.MULTILINE), "the worker is ready")

    def _served(self) -> str | None:
        assert self.process.poll() is None, self._log.read_text()
        found = re.search(r"http://127\.0\.0\.1:\d+/metrics", self._log.read_text())
        return found and found[0]

    def scrape(self) -> dict[tuple[Any, ...], float]:
        """Return what is served, by name and tags."""
        with urlopen(self._url, timeout=PATIENCE) as page:
            text = page.read().decode()
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return {(one.name, *sorted(one.labels.items())): one.value for one in samples}

    def ended(self, task: str) -> dict[str, float]:
        """Return how many runs of a task ended, by state."""
        return {
            key[1][1]: value
            for key, value in self.scrape().items()
            if key[0] == "celery_task_duration_seconds_count" and ("task", task) in key
        }

    def children(self) -> list[int]:
        """Return the processes of the pool."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/children")  # any of which may have forked
        return [int(one) for thread in threads for one in thread.read_text().split()]


def client(control: str) -> Celery:
    """Return an app that sends tasks by their names, and knows none of them."""
    app = Celery("client", broker="filesystem://", backend="file://results", set_as_current=False)
    app.conf.broker_transport_options = {
        "data_folder_in": "inbox", "data_folder_out": "outbox", "control_folder": control, "polling_interval": 0.02,
    }  # fmt: skip
    for name in ("inbox", "outbox", "queue", "control", "results"):
        Path(name).mkdir(exist_ok=True)
    return app


def move_messages(directory: Path, done: threading.Event) -> None:
    """Move messages that are complete to where the worker looks for them."""
    while not done.wait(0.01):
        for file in sorted((directory / "outbox").iterdir()):
            with suppress(ValueError):  # it is being written
                json.loads(file.read_text())
                file.rename(directory / "queue" / file.name)


@contextmanager
def working(directory: Path, module: Path, *options: str, **environment: str) -> Iterator[Worker]:
    """Run a worker in a directory for the duration of a `with` block. Nothing of it is left, whatever happens."""
    log = directory / "log"
    paths = f"{module.parent}:{EXAMPLES}"
    environ = os.environ | environment | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "celery", "--app", module.stem, "worker", "--loglevel", "info", "--pool", "prefork"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat", *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=directory, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    done = threading.Event()
    mover = threading.Thread(target=move_messages, args=(directory, done))
    mover.start()
    try:
        yield Worker(process, log)
    except BaseException:
        print(log.read_text()[-10_000:])
        raise
    finally:
        done.set()
        mover.join()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
