"""Finds benchmarks that measure initialisation: their op makes anew what a service makes once.

The costs of ops in a row do not show it, as each op pays the same. So each call of an op is measured by itself, and repeated in
place, on the same objects: a call that is much cheaper when repeated has paid for the first use of an object that the op made.
See `first_use.py`.
"""

from __future__ import annotations

import contextlib
import gc
import io
import resource
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from types import FrameType, FunctionType
from typing import Any

from tallymark.bench import allocations
from tallymark.bench.measure.initialisation.evidence import KINDS, Evidence, Repeats
from tallymark.bench.measure.initialisation.first_use import judge
from tallymark.bench.measure.initialisation.instrument import Site, instrumented
from tallymark.bench.measure.initialisation.meters import AllocationMeter, LineMeter, Meter, TimeMeter
from tallymark.bench.measure.initialisation.objects import size
from tallymark.bench.measure.initialisation.recorder import VISITS, Recorder
from tallymark.bench.result.result import Finding

WARMUP, TIMES = 16, 4
BUDGET, SLOW = 1.5, 0.01  # seconds: for all, and of an op that is run less often
LINES_TIMES = 2  # of the ops in which lines are counted: slow ones, and their number hardly differs
DOUBTS = 3  # times to read again what an op that waits costs, where a repeat seems cheaper: others may have interrupted it
PATIENCE = 0.5  # seconds that a repeat may wait, and as long as 50 ops take
TICK = 0.2  # seconds between two looks at whether a repeat waits for ever
_WHO = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)


def find_initialisation(function: Callable[..., Any], params: dict[str, Any]) -> list[Finding]:
    """Return a warning if a benchmark measures initialisation; none if it does not, or if that is unknown."""
    if allocations.available() or not isinstance(function, FunctionType):
        return []
    recorder = Recorder(size)
    collecting = gc.isenabled()
    gc.disable()
    try:
        with instrumented(function, recorder) as sites:
            if sites is None:
                return []
            plan = Plan(recorder, sites, function)
            with plan.watched():
                function(plan, **params)
    except (Exception, SystemExit):
        return []  # an earlier pass has reported the error, or the op was never meant to be repeated
    finally:
        recorder.active = False
        if collecting:
            gc.enable()
    return judge(plan.evidence) if plan.evidence is not None else []


class _TakesTooLongError(Exception):
    """A repeated event waits for what does not come."""


class Plan:
    """The `b` of an instrumented benchmark: decides which ops it runs, and what is read in each."""

    bytes_processed = None

    def __init__(self, recorder: Recorder, sites: list[Site], function: FunctionType) -> None:
        self.evidence: Evidence | None = None
        self._sites = sites
        self._recorder = recorder
        self._time = TimeMeter()
        self._meters: dict[str, Meter] = {
            "allocations": AllocationMeter(),
            "lines": LineMeter(function.__code__),
            "microseconds": self._time,
        }
        self._deadline = float("inf")
        self._clock: Callable[[], float] = time.process_time
        self._waited = 0.0  # for ever, in repeats: no CPU time tells of it
        self._began, self._times = 0.0, TIMES
        self._each, self._ops = 0.0, 0

    def loop(self) -> Iterator[None]:
        return iter(self)

    def skip(self, reason: str = "") -> None:
        raise RuntimeError(reason)

    def __iter__(self) -> Iterator[None]:
        each = self._each = yield from self._warm_up()
        self._times = TIMES if each < SLOW else 1
        self._recorder.keeps = True
        yield from self._op()
        before = self._recorder.events
        yield from self._op()
        self._recorder.keeps = False
        evidence = Evidence(self._sites, self._recorder.events, before)
        sites = list(dict.fromkeys(one.site for one in evidence.events if evidence.subject(one) is not None))
        for kind in KINDS:
            yield from self._read(evidence, kind)
        for site in sites:
            if self._spent() > BUDGET:
                break
            yield from self._repeat(evidence, site, 50 * each + PATIENCE)
        self.evidence = evidence

    def _warm_up(self) -> Generator[None, None, float]:
        """Run the op some times, and return the seconds of the fastest.

        They are seconds of CPU time, unless the op waits for something each time: how busy the machine is must not decide how
        much can be looked at.
        """
        took = list[tuple[float, float]]()  # of each op: CPU time, and time by the clock on the wall
        waits = True
        started = time.process_time()
        for ran in range(1, WARMUP + 1):
            waited, at, used = _waits(), time.perf_counter(), time.process_time()
            yield from self._op()
            took.append((time.process_time() - used, time.perf_counter() - at))
            waits = waits and _waits() > waited
            if ran > 1 and sum(one[waits] for one in took) > BUDGET / 12:
                break
        self._clock, self._began = time.perf_counter if waits else time.process_time, started
        self._time.clock = self._clock
        return min(one[waits] for one in took)

    def _spent(self) -> float:
        """Return the seconds that all took; of an op that waits, how long it would have with no other process beside it."""
        if self._clock is time.process_time:
            return self._clock() - self._began + self._waited
        return self._ops * self._each + self._waited

    def _op(self) -> Iterator[None]:
        self._ops += 1 if self._recorder.repeated is None else VISITS
        self._recorder.begin()
        self._recorder.active = True
        self._recorder.resume()
        yield None
        self._recorder.pause()
        self._recorder.active = False

    def _read(self, evidence: Evidence, kind: str) -> Iterator[None]:
        """Read what each site costs: the least of some ops."""
        costs = evidence.costs.setdefault(kind, {})
        with self._reading(kind):
            for _ in range(self._times_of(kind)):
                yield from self._op()
                evidence.totals[kind] = min(evidence.totals.get(kind, float("inf")), self._recorder.total)
                for site, spent in self._recorder.costs.items():
                    costs[site] = min(costs.get(site, spent), spent)

    def _times_of(self, kind: str | None) -> int:
        """Return in how many ops something is read; None is for looking at what is given."""
        return 1 if kind is None else min(self._times, LINES_TIMES) if kind == "lines" else self._times

    def _repeat(self, evidence: Evidence, site: int, patience: float) -> Iterator[None]:
        recorder, repeats = self._recorder, Repeats()
        recorder.repeated = site
        evidence.repeats[site] = None
        works = True
        for kind in (None, *KINDS):
            works = works and (yield from self._repeat_by(kind, site, patience, repeats))
        for _ in range(DOUBTS):
            if works and self._clock is not time.process_time and repeats.saves_time():
                works = yield from self._repeat_by("microseconds", site, patience, repeats)
        recorder.repeated = None
        evidence.repeats[site] = repeats if works else None

    def _repeat_by(self, kind: str | None, site: int, patience: float, repeats: Repeats) -> Generator[None, None, bool]:
        """Repeat the events of a site in some ops, and read one kind of cost; return False if that fails."""
        recorder = self._recorder
        with self._reading(kind):
            for _ in range(self._times_of(kind)):
                self._deadline = time.perf_counter() + patience
                with contextlib.redirect_stderr(io.StringIO()):  # what cannot be repeated may complain
                    yield from self._op()
                self._deadline = float("inf")
                if recorder.broken or not recorder.repeating:
                    return False
                if kind:
                    repeats.add(kind, recorder.visits, recorder.counts[site])
                else:
                    repeats.look(recorder.visits)
        return True

    @contextlib.contextmanager
    def _reading(self, kind: str | None) -> Iterator[None]:
        if kind is None:
            yield
            return
        with self._meters[kind].reading():
            self._recorder.meter = self._meters[kind]
            try:
                yield
            finally:
                self._recorder.meter = None

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
        while not ended.wait(TICK):
            if time.perf_counter() > self._deadline:
                self._deadline = float("inf")
                self._waited += PATIENCE
                signal.pthread_kill(thread, signal.SIGVTALRM)


def _waits() -> int:
    """Return how often this thread gave up the processor by itself."""
    return resource.getrusage(_WHO).ru_nvcsw


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise _TakesTooLongError
