"""What a step of an op costs, in three measures: allocations, Python lines executed, and time.

Lines are counted in the functions that a step calls, in this thread: their number does not depend on the machine. Time shows
what C code does, which executes no lines. It is CPU time where an op waits for nothing, so that other processes do not count.
Each measure is taken in ops of its own, so that none disturbs another.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from tallymark.bench import allocations

_HERE = os.path.dirname(__file__) + os.sep


class Meter:
    """Takes a reading at two marks, 0 and 1, and gives what passed between them."""

    def __init__(self) -> None:
        self.at = [0.0, 0.0]

    def mark(self, slot: int) -> None:
        raise NotImplementedError

    def spent(self) -> float:
        return self.at[1] - self.at[0]

    @contextmanager
    def reading(self) -> Iterator[None]:
        yield


class AllocationMeter(Meter):
    mark = staticmethod(allocations.mark)  # type: ignore[assignment]

    def spent(self) -> float:
        return allocations.counts_between(0, 1).allocs

    @contextmanager
    def reading(self) -> Iterator[None]:
        with allocations.counting():
            yield


class TimeMeter(Meter):
    """Microseconds, by a clock that tells seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.clock: Callable[[], float] = time.perf_counter

    def mark(self, slot: int) -> None:
        self.at[slot] = self.clock()

    def spent(self) -> float:
        return 1e6 * super().spent()


class LineMeter(Meter):
    """Lines, by `sys.monitoring` from Python 3.12 on, else by a trace function."""

    def __init__(self, ignored: CodeType) -> None:
        super().__init__()
        self._ignored = ignored
        self._thread = threading.get_ident()
        self._lines = 0

    def mark(self, slot: int) -> None:
        self.at[slot] = self._lines

    def _is_ours(self, code: CodeType) -> bool:
        return code is self._ignored or code.co_filename.startswith(_HERE)

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._watched():
            yield

    @contextmanager
    def _watched(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(before)

    def _called(self, frame: FrameType, event: str, argument: object) -> Any:
        return None if self._is_ours(frame.f_code) else self._line

    def _line(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            self._lines += 1
        return self._line

    if sys.version_info >= (3, 12):

        @contextmanager
        def _watched(self) -> Iterator[None]:
            tool = next((one for one in range(5, -1, -1) if sys.monitoring.get_tool(one) is None), None)
            if tool is None:
                yield  # others use all: no lines are counted
                return
            sys.monitoring.use_tool_id(tool, "tallymark bench")
            try:
                sys.monitoring.register_callback(tool, sys.monitoring.events.LINE, self._on_line)
                sys.monitoring.set_events(tool, sys.monitoring.events.LINE)
                yield
            finally:
                sys.monitoring.set_events(tool, 0)
                sys.monitoring.free_tool_id(tool)

        def _on_line(self, code: CodeType, line: int) -> Any:
            if self._is_ours(code):
                return sys.monitoring.DISABLE
            if threading.get_ident() == self._thread:
                self._lines += 1
            return None
