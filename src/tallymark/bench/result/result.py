"""The result of a run, as data: every sample, and enough about the machine to know when not to compare.

The file is JSON with a format name and a version. Times are in seconds per op, and sizes in bytes. Counts are
per op, and may be fractions: an op that allocates once in seven calls has 0.14, not 0.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tallymark.bench.errors import ResultFileError
from tallymark.bench.result.build import build
from tallymark.bench.result.checks import check_run
from tallymark.bench.result.files import write_whole
from tallymark.bench.result.levels import fast_level, low

FORMAT = "tallymark-bench"
VERSION = 1
LARGEST = 2**29  # bytes of a file: a sound one has some 20,000 for each benchmark


@dataclass(frozen=True)
class ProcessTimes:
    """The values of one process: seconds per op, with the empty loop's share subtracted."""

    loops: int  # ops timed for each value
    values: tuple[float, ...]
    overhead: float = 0.0  # seconds per iteration of the empty loop, already subtracted
    warmup: int = 0  # ops before the first value
    duet: str = (
        ""  # the same for processes that took values in turns: the first values of all are neighbours in time, and so on
    )

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True)
class TimeResult:
    """The time of an op. The unit of statistics is the process: values of one process resemble each other."""

    processes: tuple[ProcessTimes, ...]

    @property
    def medians(self) -> tuple[float, ...]:
        """The median of each process, in the order in which they ran."""
        return tuple(process.median for process in self.processes)

    @property
    def statistic(self) -> str:
        """What `median` is of: `median`, the processes' medians; or `fast level`, where these lie too far apart (levels.py)."""
        return "fast level" if _spread(self.medians) > FLIPS else "median"

    @property
    def figures(self) -> tuple[float, ...]:
        """A figure of each process that counts, by the statistic."""
        return self.medians if self.statistic == "median" else tuple(fast_level([low(one.values) for one in self.processes]))

    @property
    def median(self) -> float:
        """The median of the figures, in seconds per op."""
        return statistics.median(self.figures)

    @property
    def minimum(self) -> float:
        return min(min(process.values) for process in self.processes)

    @property
    def spread(self) -> float:
        """Half the interquartile range of the figures, as a share of their median; 0 for fewer than two."""
        return _spread(self.figures)


FLIPS = 0.10  # processes that spread by more met different speeds of the machine


def _spread(figures: Sequence[float]) -> float:
    if len(figures) < 2 or statistics.median(figures) <= 0:
        return 0.0
    first, _, third = statistics.quantiles(figures, n=4, method="inclusive")
    return (third - first) / 2 / statistics.median(figures)


@dataclass(frozen=True)
class AllocationResult:
    """Requests at CPython's allocators, per op in steady state: (A(3n) - A(n)) / 2n."""

    allocs: float
    bytes: float
    reallocs: float = 0.0
    frees: float = 0.0
    raw: float = 0.0  # by domain; `allocs` is their sum
    mem: float = 0.0
    obj: float = 0.0
    arenas: float = 0.0
    samples: tuple[tuple[float, float], ...] = ()  # (allocs, bytes) of each of the repetitions
    realloc_samples: tuple[float, ...] = ()  # reallocs of each; beside `samples`, whose form older files have
    exact: bool = True  # the repetitions agree
    ops: int = 0  # ops of the whole pass, and what they requested: Go's MemAllocs and MemBytes
    total_allocs: int = 0
    total_bytes: int = 0
    retained: float = 0.0  # blocks per op that were requested and not freed, after a collection
    kept: str = ""  # what these are, and the line that made them
    other_threads: float = 0.0  # requests per op by threads other than the benchmark's


@dataclass(frozen=True)
class ColdResult:
    """What the first use costs, in seconds: medians over fresh processes."""

    imports: float  # importing the benchmark's file, and with it what it measures
    setup: float  # the code above the loop
    first: float  # the first op of the process
    state: float  # the first op on fresh state, in a process that is warm
    allocs: float | None = None  # requests at the allocators of that first op on fresh state
    bytes: float | None = None

    @property
    def process(self) -> float:
        """From the start of the import to the end of the first op."""
        return self.imports + self.setup + self.first


@dataclass(frozen=True)
class CollectionResult:
    """What the garbage collector costs."""

    per_1000: float  # collections in 1,000 ops, of any generation
    pause: float  # seconds of pause in 1,000 ops
    time_on: float  # seconds per op with the collector on, and off, in the same process
    time_off: float


@dataclass(frozen=True)
class InstructionResult:
    """Instructions per op in steady state, in user space, with the garbage collector off and the empty loop subtracted."""

    per_op: float  # the mean over hash seeds of the median of each one's samples
    counter: str  # perf (the processor's) or callgrind
    seeds: tuple[int, ...] = ()
    samples: tuple[tuple[float, ...], ...] = ()  # for each seed, readings at several states of the heap
    ops: int = 0  # ops that were counted
    path: tuple[str, ...] = ()  # where code was imported from; what differs here is counted too


@dataclass(frozen=True)
class WarmupResult:
    """How the op settled: its allocations over the first ops, one by one."""

    steady: bool
    ops: int  # ops until the series was constant or periodic
    period: int = 1
    series: tuple[int, ...] = ()  # requests of each of the last ops looked at


@dataclass(frozen=True)
class Finding:
    """A warning, as data: what is wrong with a benchmark, where, and what to do."""

    kind: str  # such as measures-initialisation, never-steady, noisy or versions-differ
    message: str
    line: int | None = None
    statement: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class BenchmarkResult:
    """The result of one benchmark. A section that is None was not measured; `reasons` says why."""

    name: str  # file::function[parameters]
    file: str = ""
    line: int = 0
    params: dict[str, str] = field(default_factory=dict)
    status: str = "ok"  # ok, skipped, failed
    reason: str = ""
    bytes_processed: int | None = None  # per op
    time: TimeResult | None = None
    allocations: AllocationResult | None = None
    objects: dict[str, float] | None = None  # objects created per op, by type
    cold: ColdResult | None = None
    collections: CollectionResult | None = None
    warmup: WarmupResult | None = None
    instructions: InstructionResult | None = None
    findings: tuple[Finding, ...] = ()
    reasons: dict[str, str] = field(default_factory=dict)  # section: why it is empty


@dataclass(frozen=True)
class RunResult:
    """One run: where, how, and every benchmark's result."""

    environment: dict[str, Any]
    settings: dict[str, Any]
    benchmarks: tuple[BenchmarkResult, ...]
    created: str = ""
    complete: bool = True  # False after Ctrl-C

    def __getitem__(self, name: str) -> BenchmarkResult:
        for one in self.benchmarks:
            if one.name == name:
                return one
        raise KeyError(name)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the run to a file, whole or not at all. Raises OSError."""
        write_whole(Path(path), json.dumps(self.to_json(), indent=1) + "\n")

    def to_json(self) -> dict[str, Any]:
        """Return what `save` writes, as plain data."""
        return {"format": FORMAT, "version": VERSION, **asdict(self)}


def load_run(path: str | os.PathLike[str]) -> RunResult:
    """Read a run from a file that this toolkit or pyperf wrote.

    Raises ResultFileError when the file cannot be read, is neither, or has a version that this toolkit does not know.
    """
    try:
        data = json.loads(_text(path))
    except OSError as error:
        raise ResultFileError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ResultFileError(f"{path}: not JSON: {error}") from None
    if isinstance(data, dict) and data.get("format") != FORMAT and "benchmarks" in data and "metadata" in data:
        from tallymark.bench.result.pyperf import from_pyperf

        return from_pyperf(data, str(path))
    return run_from_json(data, str(path))


def _text(path: str | os.PathLike[str]) -> str:
    with open(path, "rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ResultFileError(f"{path}: larger than {LARGEST:,} bytes: not a result")
    return data.decode("utf-8-sig")


def run_from_json(data: Any, origin: str = "data") -> RunResult:
    """Check parsed JSON and build a run from it. Raises ResultFileError, naming the origin and the field."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ResultFileError(f"{origin}: not a result of `tallymark bench run` (no format {FORMAT!r})")
    if data.get("version") != VERSION:
        found = data.get("version")
        raise ResultFileError(f"{origin}: version {found!r}, and this toolkit reads version {VERSION}: upgrade tallymark")
    try:
        run = build(RunResult, data, "run")
        check_run(run)
    except ResultFileError as error:
        raise ResultFileError(f"{origin}: {error}") from None
    return run
