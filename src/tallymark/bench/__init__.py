"""Go's `allocs/op` and `B/op` for any Python code, with cold start kept apart from steady state by construction.

    # bench_json.py: run it with `tallymark bench run bench_json.py`
    import json

    def bench_dumps(b):
        document = {"name": "ada", "tags": ["a", "b"]}   # made once: not measured
        for _ in b.loop():
            json.dumps(document)                         # measured

`tallymark.bench.allocations` counts allocations alone. The pytest fixture `allocs` fails a test whose function allocates more
than a limit.
"""

from tallymark.bench.allocations import (
    Allocations,
    Counts,
    allocations_per_op,
    counting,
    counts_between,
    mark,
    objects_created,
    tracing_objects,
)
from tallymark.bench.benchmark import Benchmark, parametrize
from tallymark.bench.compare.compare import compare
from tallymark.bench.compare.comparison import Comparison
from tallymark.bench.compare.gate import Gate, parse_gate
from tallymark.bench.errors import BenchError, BenchmarkFileError, GateError, ResultFileError
from tallymark.bench.fixture import Allocs, PerRun
from tallymark.bench.measure.session import measure
from tallymark.bench.measure.target import Target
from tallymark.bench.result.result import BenchmarkResult, Finding, RunResult, load_run
from tallymark.bench.settings import QUICK, Settings

__all__ = [
    "QUICK",
    "Allocations",
    "Allocs",
    "BenchError",
    "Benchmark",
    "BenchmarkFileError",
    "BenchmarkResult",
    "Comparison",
    "Counts",
    "Finding",
    "Gate",
    "GateError",
    "PerRun",
    "ResultFileError",
    "RunResult",
    "Settings",
    "Target",
    "allocations_per_op",
    "compare",
    "counting",
    "counts_between",
    "load_run",
    "mark",
    "measure",
    "objects_created",
    "parametrize",
    "parse_gate",
    "tracing_objects",
]


def __dir__() -> list[str]:
    return sorted(__all__)
