"""Results made by hand, for tests of reports about them."""

from __future__ import annotations

import math
from typing import Any

from tallymark.bench.result.result import (
    AllocationResult,
    BenchmarkResult,
    ColdResult,
    CollectionResult,
    Finding,
    ProcessTimes,
    RunResult,
    TimeResult,
    WarmupResult,
)

ENVIRONMENT = {
    "python": "3.13.0",
    "implementation": "CPython",
    "cpu": "Example 9000",
    "cpus": 2,
    "commit": "0123456789abcdef",
    "modified": False,
    "allocator": "pymalloc",
}


def times(median: float, processes: int = 10, step: float = 0.002) -> TimeResult:
    """Processes whose medians lie evenly around a median, `step` of it apart."""
    middle = (processes - 1) / 2
    return TimeResult(
        tuple(ProcessTimes(1000, (median * (1 + step * (i - middle)),) * 3, 1e-9, 5000) for i in range(processes))
    )


def counted(allocs: float, bytes: float, **more: Any) -> AllocationResult:
    exact = {"samples": ((allocs, bytes),) * 5, "exact": True, "ops": 20_000, "total_allocs": round(20_000 * allocs)}
    return AllocationResult(allocs, bytes, total_bytes=round(20_000 * bytes), **{**exact, **more})


def benchmark(name: str = "bench_shop.py::bench_order", median: float = 1.39e-6, **more: Any) -> BenchmarkResult:
    known: dict[str, Any] = {
        "file": "bench_shop.py",
        "line": 14,
        "time": times(median),
        "allocations": counted(9, 920),
        "objects": {"tuple": 10.0, "dict": 5.0},
        "cold": ColdResult(0.012, 24e-6, 8e-6, 35e-6, 24, 4096),
        "collections": CollectionResult(1.5, 40e-6, median, median * 0.97),
        "warmup": WarmupResult(True, 64),
    }
    return BenchmarkResult(name, **{**known, **more})


def run(*benchmarks: BenchmarkResult, **more: Any) -> RunResult:
    return RunResult(ENVIRONMENT, {"freelists": "hot"}, benchmarks, "2026-01-01T00:00:00+00:00", **more)


SOLD_OUT = BenchmarkResult(
    "bench_shop.py::bench_sold_out", "bench_shop.py", 40, status="failed", reason="raises KeyError: 'x' (line 43)"
)
OLD = run(
    benchmark(bytes_processed=139),
    benchmark("bench_shop.py::bench_float", 9e-9, allocations=counted(1 / 7, 32 / 7), objects=None, cold=None),
    SOLD_OUT,
    BenchmarkResult("bench_shop.py::bench_mail", "bench_shop.py", 50, status="skipped", reason="no server"),
)
NEW = run(
    benchmark(
        median=38e-9,
        allocations=counted(0, 0),
        objects={"tuple": 1.0},
        cold=ColdResult(0.013, 31e-6, 9e-6, 48e-6, 31, 4800),
        findings=(
            Finding(
                "measures-initialisation",
                "measures initialisation: `registry.counter('x')` costs 14 allocations the first time and 0 when repeated",
                17,
                "registry.counter('x')",
                "Move `registry = Registry()` above b.loop().",
            ),
        ),
    ),
    benchmark("bench_shop.py::bench_float", 9.01e-9, allocations=counted(1 / 7, 32 / 7), objects=None, cold=None),
    SOLD_OUT,
    benchmark("bench_shop.py::bench_refund", reasons={"objects": "objects by type need CPython 3.13"}, objects=None),
)

assert math.isclose(OLD.benchmarks[0].time.median, 1.39e-6)  # type: ignore[union-attr]
