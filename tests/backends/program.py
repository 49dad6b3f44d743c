"""A server that a test runs as a process of its own: started, killed, started again on the same data, and asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

T = TypeVar("T")


def require_program(*names: str) -> str:
    """Return the path of a program that is installed; without it, skip, or fail if the environment requires it."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    absent = f"{' or '.join(names)} is not on the PATH"
    if os.environ.get("TALLYMARK_REQUIRE_SERVERS") == "1":
        pytest.fail(f"{absent}, but TALLYMARK_REQUIRE_SERVERS=1")
    pytest.skip(absent)


class Program:
    """A server on this machine. What it prints is in the file `log` of its folder.

    Args:
        command: what starts it, in the foreground.
        folder: what it works in.
    """

    def __init__(self, command: Sequence[str | Path], folder: Path) -> None:
        self.folder = folder
        self._command = [str(part) for part in command]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, again if it ran before."""
        assert self._process is None
        environment = {"HOME": str(self.folder), "PATH": os.environ["PATH"], "TZ": "UTC"}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=environment
            )

    def kill(self) -> None:
        """End it with SIGKILL, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def wait(self, read: Callable[[], T | None], what: str, seconds: float = 60) -> T:
        """Return the first result of `read` that is not None; fail with the end of the log if there is none in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            result = read()
            if result is not None:
                return result
            if self._process is None or self._process.poll() is not None:
                break
            time.sleep(0.02)
        log = (self.folder / "log").read_text(errors="replace")[-3000:]
        pytest.fail(f"{what}: not within {seconds} seconds, or before it ended. Log: {log}")


def ask(url: str, parameters: dict[str, str] | None = None, data: bytes | None = None) -> str | None:
    """Return what a server answers; None while nobody answers. An answer that is an error is a failure."""
    query = f"?{urlencode(parameters)}" if parameters else ""
    try:
        with urlopen(Request(url + query, data=data), timeout=10) as response:
            text: str = response.read().decode()
            return text
    except HTTPError as error:
        with error:
            pytest.fail(f"{url} answers {error.code}: {error.read(500)!r}")
    except (URLError, OSError):
        return None


def ask_json(url: str, parameters: dict[str, str] | None = None) -> Any:
    """Return what a server answers as JSON; None while nobody answers."""
    text = ask(url, parameters)
    return None if text is None else json.loads(text)
