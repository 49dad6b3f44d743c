"""`tallymark top` in a terminal: a picture that is drawn anew with each reading, key, and change of the terminal's size."""

from __future__ import annotations

import os
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live

from tallymark.frozen import replace
from tallymark.top.controls import press
from tallymark.top.keyboard import Keyboard
from tallymark.top.screen import draw
from tallymark.top.watcher import Reading

if TYPE_CHECKING:
    from tallymark.top.controls import Controls
    from tallymark.top.watcher import Watcher

__all__ = ["run_live"]

_GLANCE = 0.25
"""Seconds from one look at the size of the terminal to the next."""


def run_live(watcher: Watcher, controls: Controls) -> None:
    """Show what goes on until a key or Ctrl-C ends it.

    Raises:
        ReadError: the source cannot be read the first time.
    """
    first = watcher.read()  # before the screen is ours: what is wrong with a URL is said on a screen that stays
    console = Console()
    with Keyboard() as keyboard, _Feed(watcher, first) as feed, Live(console=console, screen=True, auto_refresh=False) as live:
        drawn: object = None
        while not controls.is_done:
            reading = feed.latest()
            picture = (reading, controls, console.size)
            if picture != drawn:
                live.update(draw(reading, controls, *console.size), refresh=True)
                drawn = picture
            keys = keyboard.wait(_GLANCE, [feed.signal])
            controls = replace(controls, is_done=True) if keys is None else press(controls, keys)


class _Feed:
    """Reads in a thread of its own, so that keys are heard while an endpoint takes its time.

    Attributes:
        signal: a descriptor that can be read when there is a new reading.
    """

    def __init__(self, watcher: Watcher, first: Reading) -> None:
        self._watcher = watcher
        self._latest = first
        self._readings: SimpleQueue[Reading | Exception] = SimpleQueue()
        self._ended = threading.Event()
        self.signal, self._signalled = os.pipe()
        # It may wait for an endpoint when the user has had enough.
        self._thread = threading.Thread(target=self._read, name="tallymark-top", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended.set()
        self._thread.join(_GLANCE)
        if not self._thread.is_alive():
            os.close(self.signal)
            os.close(self._signalled)

    def latest(self) -> Reading:
        """Return the last reading."""
        while not self._readings.empty():
            os.read(self.signal, 1)
            found = self._readings.get()
            if isinstance(found, Exception):
                raise found
            self._latest = found
        return self._latest

    def _read(self) -> None:
        found: Reading | Exception = self._latest
        while isinstance(found, Reading) and not self._ended.wait(found.every):
            try:
                found = self._watcher.read()
            except Exception as error:  # a mistake of ours must not pass for a service in which nothing happens
                found = error
            self._readings.put(found)
            os.write(self._signalled, b"\n")
