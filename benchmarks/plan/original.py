"""The Go library that Tallymark grew from, to compare with.

Its allocations and bytes were recorded, and hold on any machine. Its times are compared only where they are measured here, in
turns with ours, from a checkout: `--go DIR`. Benchmarks that this checkout lacks are left out.
"""

from __future__ import annotations

import re
import statistics
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

BASELINE = Path(__file__).parent.parent / "original" / "baseline.txt"

_LINE = re.compile(r"^Benchmark(\w+?)(?:-\d+)?\s+(?:\d+\s+)?([\d.]+)\s+ns/op\s+([\d.]+) B/op\s+(\d+) allocs/op")

_STEADY = "document/bench_steady.py::bench_"
_COLD = "document/bench_cold_start.py::bench_"

#: The original's benchmark, ours, and how many times cheaper ours must be at least (0: only reported).
COUNTERPARTS: dict[str, tuple[str, float]] = {
    **{f"{kind}With": (f"{_STEADY}{kind.lower()}_with", 4.0) for kind in ("Counter", "Gauge", "Histogram", "Timer")},
    **{f"{kind}Tags": (f"{_STEADY}{kind.lower()}_tags", 4.0) for kind in ("Counter", "Gauge", "Histogram", "Timer")},
    "ChainedWith": (f"{_STEADY}chained_with", 4.0),
    "RecordErrorCachedMetrics": (f"{_STEADY}record_error", 3.0),
    "RecordErrorVariedOperations": (f"{_STEADY}record_error_varied", 3.0),
    "ConcurrentRecordError": ("growth/bench_threads.py::bench_record_error[threads=2]", 0.0),
    "RecordOperationCachedMetrics": (f"{_STEADY}record_operation", 3.0),
    "RecordOperationVariedOperations": (f"{_STEADY}record_operation_varied", 3.0),
    "HighFrequencyOperations": (f"{_STEADY}high_frequency_operations", 3.0),
    "MetricsBuilder_RecordWithContext": (f"{_STEADY}record_with_context", 0.0),
    "Inc": (f"{_STEADY}inc", 0.0),
    "Observe": (f"{_STEADY}observe", 0.0),
    "RecordErrorColdStart": (f"{_COLD}record_error", 0.0),
    "RecordOperationColdStart": (f"{_COLD}record_operation", 0.0),
}


def parse(text: str) -> dict[str, dict[str, float]]:
    """Return seconds, bytes and allocations per op by benchmark, from what `go test -bench` prints."""
    found = {}
    for line in text.splitlines():
        if match := _LINE.match(line.strip()):
            name, time, size, allocs = match.groups()
            found[name] = {"time": float(time) * 1e-9, "bytes": float(size), "allocs": float(allocs)}
    return found


def recorded() -> dict[str, dict[str, float]]:
    """Return the recorded bytes and allocations. The times are of another machine: they are left out."""
    found = parse(BASELINE.read_text(encoding="utf-8"))
    return {name: {key: one[key] for key in ("bytes", "allocs")} for name, one in found.items()}


def in_turns(
    checkout: Path, ours: Callable[[], Mapping[str, float]], rounds: int, go: str = "go"
) -> tuple[dict[str, dict[str, float]], dict[str, list[float]]]:
    """Run the original's benchmarks and ours in turns.

    Args:
        checkout: a directory with the original's code.
        ours: returns the seconds per op of our benchmarks, by name.
        rounds: how often each side runs.
        go: the command.

    Returns the original's figures, and for each benchmark that both have the ratios theirs / ours, one a round.
    Raises ValueError, with the reason, if none runs.
    """
    runs, ratios = [], dict[str, list[float]]()
    for _ in range(rounds):
        runs.append(run(checkout, go))
        times = ours()
        for theirs, (name, _) in COUNTERPARTS.items():
            if theirs in runs[-1] and times.get(name, 0.0) > 0:
                ratios.setdefault(theirs, []).append(runs[-1][theirs]["time"] / times[name])
    figures = {
        name: {**one, "time": statistics.median(each[name]["time"] for each in runs if name in each)}
        for name, one in runs[0].items()
    }
    return figures, ratios


def run(checkout: Path, go: str = "go") -> dict[str, dict[str, float]]:
    """Run the benchmarks of the original's checkout once. Raises ValueError, with the reason, if none runs."""
    command = [go, "test", "-run", "^$", "-bench", ".", "-benchmem", "-benchtime", "100ms", "./..."]
    try:
        ran = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    except OSError as error:
        raise ValueError(f"--go {checkout}: {' '.join(command)}: {error.strerror or error}") from None
    found = parse(ran.stdout)
    if not found:
        last = (ran.stderr or ran.stdout).strip().splitlines()[-1:] or ["it printed nothing"]
        raise ValueError(f"--go {checkout}: {' '.join(command)} ran no benchmark: {last[0]}")
    return found
