"""The Go library that Tallymark grew from, to compare with: recorded figures, or new ones if its checkout is given."""

from __future__ import annotations

import re
import subprocess
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
    """Return the recorded figures."""
    return parse(BASELINE.read_text(encoding="utf-8"))


def rerun(checkout: Path, go: str = "go") -> dict[str, dict[str, float]]:
    """Run the benchmarks of the original's checkout. Raises ValueError, with the reason, if none runs."""
    command = [go, "test", "-run", "^$", "-bench", ".", "-benchmem", "./..."]
    try:
        ran = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    except OSError as error:
        raise ValueError(f"--go {checkout}: {' '.join(command)}: {error.strerror or error}") from None
    found = parse(ran.stdout)
    if not found:
        last = (ran.stderr or ran.stdout).strip().splitlines()[-1:] or ["it printed nothing"]
        raise ValueError(f"--go {checkout}: {' '.join(command)} ran no benchmark: {last[0]}")
    return found
