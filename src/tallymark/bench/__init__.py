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

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
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
    from tallymark.bench.compare.question import Question
    from tallymark.bench.errors import BenchError, BenchmarkFileError, GateError, ResultFileError
    from tallymark.bench.fixture import Allocs, PerRun
    from tallymark.bench.measure.session import measure
    from tallymark.bench.measure.target import Target
    from tallymark.bench.result.result import BenchmarkResult, Finding, RunResult, load_run
    from tallymark.bench.settings import QUICK, Settings

_HOMES = {
    "allocations": (
        "Allocations", "Counts", "allocations_per_op", "counting", "counts_between", "mark", "objects_created",
        "tracing_objects",
    ),
    "benchmark": ("Benchmark", "parametrize"),
    "compare.compare": ("compare",),
    "compare.comparison": ("Comparison",),
    "compare.gate": ("Gate", "parse_gate"),
    "compare.question": ("Question",),
    "errors": ("BenchError", "BenchmarkFileError", "GateError", "ResultFileError"),
    "fixture": ("Allocs", "PerRun"),
    "measure.session": ("measure",),
    "measure.target": ("Target",),
    "result.result": ("BenchmarkResult", "Finding", "RunResult", "load_run"),
    "settings": ("QUICK", "Settings"),
}  # fmt: skip
"""The public names of each module. A name is imported on first use: a process that measures needs few of them."""

_MODULES = {name: f"{__name__}.{module}" for module, names in _HOMES.items() for name in names}

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
    "Question",
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

# The first import of a module in these packages would put the package where the function is looked for.
for _package in ("compare", "measure"):
    __import__(f"{__name__}.{_package}")
    del globals()[_package]
del _package


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(__import__(module, fromlist=["*"]), name)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
