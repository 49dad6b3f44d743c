"""A program in a terminal: what it writes, keys for it, and the terminal's size."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

COMMAND = [sys.executable, "-X", "dev", "-W", "error", "-m", "tallymark"]

_STARTER = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # a session of its own, whose terminal this is: Ctrl-C is a key
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup ignores, if the tests run under it
os.execv(sys.argv[1], sys.argv[1:])
"""

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A terminal in which a program runs.

    Attributes:
        written: all that the program wrote.
    """

    def __init__(self, process: subprocess.Popen[bytes], ours: int, theirs: int) -> None:
        self.process = process
        self.written = b""
        self._ours = ours
        self._theirs = theirs
        self._former = termios.tcgetattr(theirs)
        self._seen = 0

    @property
    def settings(self) -> list[Any]:
        """How the terminal treats what is typed."""
        return termios.tcgetattr(self._theirs)

    @property
    def former_settings(self) -> list[Any]:
        """How it did before the program started."""
        return self._former

    def press(self, keys: str) -> None:
        self._seen = len(self.written)
        os.write(self._ours, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        self._seen = len(self.written)
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def wait_for(self, pattern: str, seconds: float = 30) -> str:
        """Wait until what was written since the last key, without its colours, has a pattern; return that text."""
        deadline = time.monotonic() + seconds
        while True:
            text = _CONTROL.sub("", self.written[self._seen :].decode(errors="replace"))
            if re.search(pattern, text):
                return text
            if time.monotonic() > deadline or not self._read():
                pytest.fail(f"no {pattern!r} in {text!r}")

    def forget(self) -> None:
        """Wait for what is written from now on."""
        self._seen = len(self.written)

    def end(self, seconds: float = 30) -> int:
        """Wait for the program's end; return its status."""
        deadline = time.monotonic() + seconds
        while self._read() and time.monotonic() < deadline:
            pass
        return self.process.wait(timeout=1)

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], 0.05)[0]:
            return self.process.poll() is None
        part = os.read(self._ours, 65536)
        self.written += part
        return bool(part)


@contextmanager
def terminal(*arguments: str, term: str = "xterm-256color", columns: int = 120, lines: int = 40) -> Iterator[Terminal]:
    """Run `tallymark` with these arguments in a terminal, for the duration of a `with` block."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")} | {"TERM": term}
    command = [sys.executable, "-c", _STARTER, *COMMAND, *arguments]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    ) as process:
        found = Terminal(process, ours, theirs)
        try:
            yield found
        finally:
            process.kill()
            os.close(theirs)
            os.close(ours)
