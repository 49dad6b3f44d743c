"""`tallymark top` from start to end: live in a terminal, as blocks of plain lines elsewhere."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tallymark.top.plain import plain_reading
from tallymark.top.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from tallymark.read.source import Source
    from tallymark.top.controls import Controls

__all__ = ["is_live_terminal", "run"]


def run(source: Source, controls: Controls, *, every: float, once: bool) -> None:
    """Show what goes on at a source, until it is interrupted. Must be called in the main thread.

    Args:
        source: what is read.
        controls: order and filter of the rows.
        every: seconds from one reading to the next, at the least.
        once: read twice, show what went on between, and end.

    Raises:
        ReadError: it cannot be read the first time; with `once`, the second time too.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name must not break what cannot encode it
    watcher = Watcher(source, every)
    if once:
        watcher.read()
        time.sleep(every)
        reading = watcher.read()
        if reading.trouble:
            raise OSError(reading.trouble)
        print(plain_reading(reading, controls))
        return
    with _ending_at_signals():
        if is_live_terminal():
            from tallymark.top.live import run_live

            run_live(watcher, controls)
        else:
            _run_plain(watcher, controls)


def is_live_terminal() -> bool:
    """Return True if standard output is a terminal that can be drawn on, and Rich is installed."""
    if not sys.stdout.isatty() or os.environ.get("TERM") in ("dumb", "", None):
        return False
    try:
        import rich.live  # noqa: F401
    except ImportError:
        return False
    return True


def _run_plain(watcher: Watcher, controls: Controls) -> None:
    trouble = ""
    while True:
        reading = watcher.read()
        if not reading.trouble:
            print(plain_reading(reading, controls), end="\n\n", flush=True)
        elif reading.trouble != trouble:
            print(f"cannot be read, trying again every {reading.every:.3g} s: {reading.trouble}\n", flush=True)
        trouble = reading.trouble
        time.sleep(reading.every)


@contextmanager
def _ending_at_signals() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP end the block, as its normal end. A signal that is ignored (`nohup`) stays so."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))}
    try:
        for number, handler in former.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, end)
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
