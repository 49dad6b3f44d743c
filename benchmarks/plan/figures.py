"""Figures: the numbers of each benchmark, small enough to be committed beside the pages that show them."""

from __future__ import annotations

import json
import math
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from plan.ratios import RATIOS, Ratio, judge
from tallymark.bench import BenchmarkResult, RunResult, Settings, Target, measure
from tallymark.bench.measure.duet import run_duet
from tallymark.bench.measure.environment import describe
from tallymark.bench.measure.measure import Job, OnTarget, Progress

BENCHMARKS = Path(__file__).parent.parent
ROOT = BENCHMARKS.parent
POST_MORTEM = "examples/benchmarks/bench_post_mortem.py"

_PASSES = ("allocations", "collections", "time")
FULL = Settings(processes=5, values=9, shortest=0.004, budget=0.6, most=4.0, passes=_PASSES)
QUICK = Settings(processes=1, values=5, shortest=0.002, budget=0.12, most=0.5, passes=("allocations", "time"))

#: Processes of each row of a ratio, in turns. Six are the fewest whose interval of the median holds with 95 %.
ROUNDS, MOST_ROUNDS = 6, 18

#: Some ops do many records at once, or write many series; the figures are of one.
MANY = {
    "bench_threads": 40_000, "bench_create_1000_series": 1000, "_varied": 9, "high_frequency": 3,
    "integers,series=100000]": 100_000, "digits,series=100000]": 100_000, "bench_histograms[series=10000]": 10_000,
    "bench_many[series=100000]": 100_000, "bench_many[series=1000000]": 1_000_000,
}  # fmt: skip

#: What `--quick` leaves out: slow rows, and rows that add little to another.
_LEFT_OUT = re.compile(
    r"series=1|engine=reference|bench_create|bench_first|growth/bench_(series|tags)|threads=[48]|bench_threads.*(prom|open)"
    r"|cold_start|bench_tags\[|bench_with_inc|bench_inc_mapping|one_tag|timed_function|aioprom"
    r"|(statsd|datadog|floor).*(set|observe|timer)|bench_(inc|chained).*(pool|interned)"
)


@dataclass(frozen=True)
class Figure:
    """One benchmark: seconds, requests at the allocators, and bytes, per op."""

    time: float
    spread: float
    allocs: float
    bytes: float
    total_allocs: int = 0  # of the whole pass: Go's MemAllocs
    total_bytes: int = 0
    collections: float | None = None  # of the garbage collector, in 1,000 ops
    pause: float | None = None  # seconds, in 1,000 ops


@dataclass(frozen=True)
class Figures:
    """All of a run. A benchmark's name is `directory/bench_file.py::bench_function[parameters]`."""

    command: str
    environment: dict[str, Any]
    created: str
    benchmarks: dict[str, Figure]
    held: dict[str, dict[str, float]] = field(default_factory=dict)  # what holding series costs: see memory.py
    lifetimes: dict[str, dict[str, Any]] = field(default_factory=dict)  # what workers leave behind: see lifetimes.py
    scrapes: dict[str, dict[str, float]] = field(default_factory=dict)  # what one over HTTP costs: see scrapes.py
    event_loops: dict[str, dict[str, float]] = field(default_factory=dict)  # what one under uvicorn costs: see event_loops.py
    middlewares: dict[str, dict[str, float]] = field(default_factory=dict)  # what an HTTP request costs: see middlewares.py
    ratios: dict[str, list[float]] = field(default_factory=dict)  # of rows whose processes took turns: see ratios.py
    original: dict[str, dict[str, float]] = field(default_factory=dict)  # the Go original; a time only if it was run here
    original_ratios: dict[str, list[float]] = field(default_factory=dict)  # its time / ours, one a round
    failed: dict[str, str] = field(default_factory=dict)
    post_mortem: list[str] = field(default_factory=list)
    suite: str = ""

    def get(self, name: str) -> Figure | None:
        return self.benchmarks.get(name)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(_rounded(asdict(self)), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(path: Path) -> Figures:
    """Read what `Figures.save` wrote."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return Figures(**{**data, "benchmarks": {name: Figure(**one) for name, one in data["benchmarks"].items()}})


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return value


def take(quick: bool, progress: Progress) -> RunResult:
    """Measure every benchmark below `benchmarks/`, interleaved; with `quick`, the most telling ones."""
    select: Callable[[str], bool] | str = _is_quick if quick else ""
    (run,) = measure(
        ["benchmarks"], targets=[Target(root=str(ROOT))], settings=QUICK if quick else FULL, select=select, progress=progress
    )
    return run


def take_ratios(quick: bool, progress: Progress) -> dict[str, list[float]]:
    """Measure each pair of rows that is compared, in turns; more often, up to a limit, while its verdict is open."""
    return {one.name: _ratios_of(one, progress) for one in RATIOS if one.can_be_measured and (one.quick or not quick)}


def decide(figures: Figures, progress: Progress) -> Figures:
    """Measure the ratios of saved figures whose verdict is open again. Raises ValueError on another machine than theirs."""
    here = {key: describe(ROOT).get(key) for key in ("python", "implementation", "cpu", "cpus")}
    if any(figures.environment.get(key) != value for key, value in here.items()):
        raise ValueError(f"these figures are of another machine or Python: {figures.environment}")
    ratios = {
        one.name: _ratios_of(one, progress)
        for one in RATIOS
        if one.name in figures.ratios and judge(figures.ratios[one.name], one.least, one.most)[1] == "undecided"
    }
    return replace(figures, ratios={**figures.ratios, **ratios})


def _ratios_of(one: Ratio, progress: Progress) -> list[float]:
    """Return a ratio for each pair of processes, which take their values in turns of milliseconds."""
    jobs = _jobs((one.dearer, one.cheaper))
    ratios: list[float] = []
    while len(ratios) < MOST_ROUNDS and (len(ratios) < ROUNDS or judge(ratios, one.least, one.most)[1] == "undecided"):
        progress(len(ratios), MOST_ROUNDS, one.text)
        answers = run_duet([jobs[name].side for name in (one.dearer, one.cheaper)], one.turns, 1.0, QUICK.timeout)
        if not all(answer and "time" in answer for answer in answers):
            return []
        above, below = (answer["time"]["values"] for answer in answers if answer)
        many = _many(one.dearer) / _many(one.cheaper)
        ratios.append(statistics.median(a / b / many for a, b in zip(above, below, strict=True) if b > 0))
    return ratios


def _jobs(names: Sequence[str]) -> dict[str, Job]:
    wanted = {f"benchmarks/{name}" for name in names}
    side = OnTarget(Target(root=str(ROOT)), replace(QUICK, shortest=0.001))
    side.find(sorted({name.partition("::")[0] for name in wanted}), wanted.__contains__)
    return {short(job.name): job for job in side.jobs}


def times_of(names: Sequence[str], rounds: int, progress: Progress) -> dict[str, list[float]]:
    """Return the seconds per op of some benchmarks: a process of each in each round, in random order."""
    settings = replace(QUICK, processes=rounds, most=math.inf, passes=("time",))
    files = sorted({f"benchmarks/{name.partition('::')[0]}" for name in names})
    targets = [Target(root=str(ROOT))]
    wanted = {f"benchmarks/{name}" for name in names}
    (run,) = measure(files, targets=targets, settings=settings, select=wanted.__contains__, progress=progress)
    if not run.complete:
        raise KeyboardInterrupt
    timed = {short(one.name): one.time for one in run.benchmarks if one.time}
    return {name: [median / _many(name) for median in time.medians] for name, time in timed.items()}


def replay(progress: Progress) -> RunResult:
    """Measure the post-mortem's benchmarks, with the search for initialisation."""
    settings = replace(QUICK, processes=2, passes=("allocations", "initialisation", "time"))
    (run,) = measure([POST_MORTEM], targets=[Target(root=str(ROOT))], settings=settings, progress=progress)
    return run


def condense(benchmarks: Iterable[BenchmarkResult]) -> tuple[dict[str, Figure], dict[str, str]]:
    """Return the figures of what was measured, and the reasons for what failed, by short name."""
    found = {short(one.name): one for one in benchmarks}
    failed = {name: one.reason for name, one in found.items() if one.status != "ok"}
    return {name: _figure(name, one) for name, one in found.items() if one.time and one.allocations}, failed


def short(name: str) -> str:
    """Return a benchmark's name from `benchmarks/` on."""
    return name.rpartition("benchmarks/")[2]


def _figure(name: str, one: BenchmarkResult) -> Figure:
    many = _many(name)
    time, counted, collected = one.time, one.allocations, one.collections
    assert time is not None
    assert counted is not None
    return Figure(
        time=max(time.median, 0.0) / many,
        spread=time.spread,
        allocs=counted.allocs / many,
        bytes=counted.bytes / many,
        total_allocs=counted.total_allocs,
        total_bytes=counted.total_bytes,
        collections=collected.per_1000 / many if collected else None,
        pause=collected.pause / many if collected else None,
    )


def _many(name: str) -> int:
    return next((count for part, count in MANY.items() if part in name), 1)


def _is_quick(name: str) -> bool:
    return not _LEFT_OUT.search(name)


def run_suite() -> str:
    """Run the tests of the tag strategies; return `pass`, or the last lines of their output."""
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
    tests = str(ROOT / "tests" / "benchmarks" / "test_strategies.py")
    ran = subprocess.run([*command, tests], cwd=ROOT, capture_output=True, text=True)
    return "pass" if ran.returncode == 0 else "\n".join(ran.stdout.splitlines()[-10:])


def pivot(benchmarks: Mapping[str, Figure], prefix: str) -> dict[str, dict[str, Figure]]:
    """Return the figures of one file, by function, then by parameters."""
    rows: dict[str, dict[str, Figure]] = {}
    for name, figure in benchmarks.items():
        if name.startswith(f"{prefix}::"):
            function, _, params = name.partition("::")[2].partition("[")
            rows.setdefault(function, {})[params.removesuffix("]").partition("=")[2]] = figure
    return rows
