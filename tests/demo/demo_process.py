"""The demo as users run it: in a process of its own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TypeVar
from urllib.request import urlopen

import pytest

COMMAND = [sys.executable, "-X", "dev", "-W", "error", "-m", "tallymark"]
"""With warnings, so that a socket or a file that is left open is heard of on standard error."""

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """What a demo left behind when it had ended."""

    status: int
    output: str
    errors: str

    @property
    def end(self) -> str:
        """What it printed when it had ended: a summary, and how to go on."""
        return self.output[self.output.index("\nIn ") :]


class Demo:
    """A demo that runs in a process of its own. Its first line has been read: it serves metrics, and heeds signals."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.stdout: IO[str] = process.stdout  # type: ignore[assignment]
        self.first_line = self.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/metrics", self.first_line)
        assert found, (self.first_line, process.stderr and process.stderr.read())
        self.url, self.port = found[0], int(found[1])

    def scrape(self) -> str:
        with urlopen(self.url, timeout=10) as response:
            return str(response.read().decode())

    def end(self, *signals: signal.Signals) -> Outcome:
        """Send signals, if any, and wait for the end."""
        for number in signals:
            self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=60)
        return Outcome(self.process.returncode, self.first_line + output, errors)


@contextmanager
def running_demo(*arguments: str) -> Iterator[Demo]:
    """Run `tallymark demo` for the duration of a `with` block, at the least until its metrics are served."""
    with subprocess.Popen([*COMMAND, "demo", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Demo(process)
        finally:
            process.kill()


def poll(read: Callable[[], T | None], what: str, seconds: float = 60) -> T:
    """Return the first result of `read` that is not None; fail if there is none within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = read()
        if result is not None:
            return result
        time.sleep(0.1)
    pytest.fail(f"{what}: not within {seconds} seconds")
