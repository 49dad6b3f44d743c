"""Finds benchmarks that measure initialisation: their op makes anew what a service makes once.

The costs of ops in a row do not show it, as each op pays the same. So a step of an op is repeated in place, on the same
objects: a step that is much cheaper when repeated has paid for the first use of an object that the op made. See `first_use.py`.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from tallymark.bench import allocations
from tallymark.bench.measure.evidence import Evidence, Repeat, size, stateful
from tallymark.bench.measure.first_use import judge
from tallymark.bench.measure.meters import AllocationMeter, LineMeter, Meter, TimeMeter
from tallymark.bench.measure.rewrite import Rewritten, rewrite
from tallymark.bench.result.result import Finding

WARMUP, TIMES, VISITS = 16, 4, 3
BUDGET, SLOW = 1.0, 0.01  # seconds: for all, and of an op that is run less often


def find_initialisation(function: Callable[..., Any], params: dict[str, Any]) -> list[Finding]:
    """Return a warning if a benchmark measures initialisation; none if it does not, or if that is unknown."""
    rewritten = None if allocations.available() else rewrite(function)
    if rewritten is None or len(rewritten.steps) < 2:
        return []
    plan = Plan(rewritten)
    collecting = gc.isenabled()
    gc.disable()
    try:
        with plan.watched():
            rewritten.run(plan, params)
    except (Exception, SystemExit):
        return []  # an earlier pass has reported the error, or the op was never meant to be repeated
    finally:
        if collecting:
            gc.enable()
    return judge(plan.evidence)


class _TakesTooLongError(Exception):
    """A repeated step waits for what does not come."""


class Plan:
    """Decides, step by step, what an op runs next, and reads what each step costs."""

    def __init__(self, rewritten: Rewritten) -> None:
        self.steps = rewritten.steps
        self.evidence = Evidence(rewritten.steps, scope=rewritten.scope)
        self._rewritten = rewritten
        self._meters: dict[str, Meter] = {
            "allocations": AllocationMeter(),
            "lines": LineMeter(rewritten.function.__code__),
            "microseconds": TimeMeter(),
        }
        self._idle = Meter()
        self._idle.mark = lambda slot: None  # type: ignore[method-assign]
        self._use(self._idle)
        self._window: tuple[int, int] | None = None
        self._visit = 0
        self._abandoned = False
        self._costs: dict[int, list[float]] = {}
        self._results: list[Any] = []
        self._sizes: list[int] = []
        self._kept: list[dict[str, Any]] = []  # what each visit of a window left
        self._deadline = float("inf")
        self._began, self._times = 0.0, TIMES

    # What the rewritten op calls.

    def entered(self, step: int) -> None:
        self._note(step)

    def next(self, step: int) -> int:
        self._note(step)
        if self._window is not None and step == self._window[1]:
            self._visit += 1
            self._look(sys._getframe(1))
            if self._visit < VISITS:
                return self._window[0]
            self._deadline = float("inf")
        after = self.steps[step].last + 1
        return after if after < len(self.steps) and self.steps[after].block == self.steps[step].block else -1

    def failed(self) -> bool:
        """Return True if an op may end by an error: it was repeated in part."""
        self._abandoned = self._window is not None and self._visit > 0
        self._deadline = float("inf")
        return self._abandoned

    def _note(self, step: int) -> None:
        spent = self._costs.setdefault(step, [0.0] * VISITS)
        spent[min(self._visit, VISITS - 1)] += max(0.0, self._meter.spent())

    def _look(self, frame: FrameType) -> None:
        """Note what a window's steps have left, to see if a repeat did the same work. It costs: it has an op of its own."""
        if self._meter is not self._idle:
            return
        assert self._window is not None  # noqa: S101
        values = frame.f_locals
        names = {name for step in self.steps[self._window[0] : self._window[1] + 1] for name in step.piece.stores}
        self._results.append([(name, type(values.get(name)), _length(values.get(name))) for name in sorted(names)])
        self._kept.append({name: values.get(name) for name in names})
        self._sizes.append(sum(size(values.get(name)) for name in sorted(self.evidence.fresh)))

    # The ops.

    def __iter__(self) -> Iterator[None]:
        self._began = time.perf_counter()
        frame = sys._getframe(1)
        for ran in range(1, WARMUP + 1):
            yield from self._op()
            if ran > 1 and self._spent() > BUDGET / 8:
                break
        each = self._spent() / ran
        self._times = TIMES if each < SLOW else 1
        before = dict(frame.f_locals)
        yield from self._op()
        self.evidence.values = dict(frame.f_locals)
        self.evidence.fresh.update(stateful(self.evidence, before))
        del before
        if not self.evidence.fresh:
            return
        for kind, costs in self.evidence.whole.items():
            yield from self._read(kind, costs)
        for window in self._windows():
            if self._spent() > BUDGET:
                break
            yield from self._repeat(window, 50 * each + 0.1)

    def _spent(self) -> float:
        return time.perf_counter() - self._began

    def _op(self) -> Iterator[None]:
        self._visit, self._abandoned = 0, False
        self._costs = {}
        yield None

    def _read(self, kind: str, into: dict[int, float]) -> Iterator[None]:
        """Read what each step costs: the least of some ops."""
        with self._reading(kind):
            for _ in range(self._times):
                yield from self._op()
                for step, spent in self._costs.items():
                    into[step] = min(into.get(step, spent[0]), spent[0])

    def _windows(self) -> Iterator[tuple[int, int]]:
        """Yield which steps to repeat: each that uses what the op made, alone, and all since that was made."""
        for index, step in enumerate(self.steps):
            made = self.evidence.made_for(index)
            if not made:
                continue
            start = 1 + max(made)
            while self.steps[start].block != step.block and start < index:
                start += 1
            if start < index and self.steps[start].block == step.block:
                yield start, index
            yield index, index

    def _repeat(self, window: tuple[int, int], patience: float) -> Iterator[None]:
        repeat = Repeat()
        self._window = window
        self._results, self._sizes, self._kept = [], [], []
        for kind in (None, *self.evidence.whole):
            with self._reading(kind):
                for _ in range(self._times if kind else 1):
                    self._deadline = time.perf_counter() + patience
                    yield from self._op()
                    if self._abandoned or self._visit < VISITS:  # an error may end a window that a `with` keeps to itself
                        self._window = None
                        return
                    if kind:
                        repeat.add(kind, self._costs)
        repeat.same = all(one == self._results[0] for one in self._results)
        kept, self._kept = self._kept, []
        repeat.unchanged = {name for name, value in kept[0].items() if all(one[name] is value for one in kept)}
        repeat.grows = self._sizes[-1] > self._sizes[-2]
        self._window = None
        self.evidence.repeats[window] = repeat

    @contextlib.contextmanager
    def _reading(self, kind: str | None) -> Iterator[None]:
        meter = self._idle if kind is None else self._meters[kind]
        with meter.reading():
            self._use(meter)
            try:
                yield
            finally:
                self._use(self._idle)

    def _use(self, meter: Meter) -> None:
        self._meter = meter
        self._rewritten.measure_with(meter.mark, meter.mark)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Interrupt a repeat that waits for ever: for an item of a queue that the first run took, for example."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        ended = threading.Event()
        main: Any = threading.main_thread()
        main._daemonic = True  # threads that an op left behind waiting do not keep the process alive: they inherit this
        before = signal.signal(signal.SIGVTALRM, _interrupt)
        watch = threading.Thread(target=self._watch, args=(ended, threading.get_ident()), daemon=True)
        watch.start()
        try:
            yield
        finally:
            ended.set()
            watch.join()
            main._daemonic = False
            signal.signal(signal.SIGVTALRM, before)

    def _watch(self, ended: threading.Event, thread: int) -> None:
        while not ended.wait(0.05):
            if time.perf_counter() > self._deadline:
                self._deadline = float("inf")
                signal.pthread_kill(thread, signal.SIGVTALRM)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise _TakesTooLongError


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, list | tuple | dict | set | str | bytes) else None
