"""Reads what a process prints, so that it never waits, and without waiting for others that have its pipe."""

from __future__ import annotations

import os
import select
import threading
from typing import IO

KEPT = 4096
_LAST = 16 * 1024 * 1024  # bytes read at most after the end: a child that outlives its parent may print for ever


class Drain:
    """Reads a pipe, in a thread; keeps the size, and the last 4 KiB."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None  # noqa: S101
        self.size, self.tail = 0, b""
        self._pipe = pipe
        self._ends, self._end = os.pipe()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        pipe, last = self._pipe.fileno(), _LAST
        ready = select.poll()
        ready.register(pipe, select.POLLIN)
        ready.register(self._ends, select.POLLIN)
        while last > 0:
            found = dict(ready.poll())
            if pipe not in found or not (chunk := os.read(pipe, 65536)):
                return
            self.size += len(chunk)
            self.tail = (self.tail + chunk)[-KEPT:]
            if self._ends in found:
                last -= len(chunk)

    def end(self) -> None:
        """Read what is there, and close the pipe. A process that has its other end, and goes on, does not delay this."""
        os.close(self._end)
        self._thread.join()
        os.close(self._ends)
        self._pipe.close()
