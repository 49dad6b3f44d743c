"""pyperf's JSON: read for comparisons, written for its tools. Only times: pyperf counts no allocations.

The format is that of pyperf 2 (`pyperf.BenchmarkSuite.load`): a suite of benchmarks, each of runs, one a process, of values in
seconds per op. Runs without values only calibrated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tallymark.bench.errors import ResultFileError
from tallymark.bench.result.checks import check_run
from tallymark.bench.result.result import BenchmarkResult, ProcessTimes, RunResult, TimeResult

VERSION = "1.0"


def from_pyperf(data: Any, origin: str = "data") -> RunResult:
    """Check a pyperf suite and build a run from it. Raises ResultFileError, naming the origin and the part that is wrong."""
    try:
        shared = _mapping(_get(data, "metadata", {}), "metadata")
        found = _list(_get(data, "benchmarks", []), "benchmarks")
        benchmarks = tuple(_benchmark(one, shared, f"benchmarks[{i}]") for i, one in enumerate(found))
        check_run(RunResult({}, {}, benchmarks))
    except ResultFileError as error:
        raise ResultFileError(f"{origin}: {error}") from None
    environment = {
        "python": str(shared.get("python_version", "")).partition(" ")[0],
        "implementation": {"cpython": "CPython"}.get(name := str(shared.get("python_implementation", "")), name),
        "cpu": str(shared.get("cpu_model_name", "")),
    }
    return RunResult({key: value for key, value in environment.items() if value}, {"tool": "pyperf"}, benchmarks)


def _benchmark(data: Any, shared: Mapping[str, Any], where: str) -> BenchmarkResult:
    own = _mapping(_get(data, "metadata", {}), f"{where}.metadata")
    name, unit = own.get("name", shared.get("name")), own.get("unit", shared.get("unit", "second"))
    if not isinstance(name, str):
        raise ResultFileError(f"{where}.metadata has no 'name'")
    why = {"allocations": "pyperf counts none", "objects": "pyperf counts none"}
    if unit != "second":
        return BenchmarkResult(name, status="skipped", reason=f"its unit is {unit!r}, and only times are read", reasons=why)
    runs = _list(_get(data, "runs", []), f"{where}.runs")
    processes = [_process(one, {**shared, **own}, f"{where}.runs[{i}]") for i, one in enumerate(runs)]
    timed = tuple(one for one in processes if one.values)
    if not timed:
        return BenchmarkResult(name, status="skipped", reason="it has no values", reasons=why)
    return BenchmarkResult(name, time=TimeResult(timed), reasons=why)


def _process(data: Any, own: Mapping[str, Any], where: str) -> ProcessTimes:
    told = {**own, **_mapping(_get(data, "metadata", {}), f"{where}.metadata")}
    values = tuple(_seconds(one, f"{where}.values") for one in _list(_get(data, "values", []), f"{where}.values"))
    loops = [told.get("loops", 1), told.get("inner_loops", 1)]
    for one in loops:
        if isinstance(one, bool) or not isinstance(one, int) or one < 1:
            raise ResultFileError(f"{where}.metadata.loops must be a number above 0, not {one!r}")
    warmups = _list(_get(data, "warmups", []), f"{where}.warmups")
    return ProcessTimes(loops[0] * loops[1], values, warmup=len(warmups) * loops[0] * loops[1])


def _get(data: Any, key: str, default: Any) -> Any:
    return _mapping(data, "a part").get(key, default)


def _mapping(data: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ResultFileError(f"{where} must be an object")
    return data


def _list(data: Any, where: str) -> list[Any]:
    if not isinstance(data, list):
        raise ResultFileError(f"{where} must be a list")
    return data


def _seconds(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ResultFileError(f"{where} must be numbers, not {value!r}")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not 0 <= seconds < math.inf:
        raise ResultFileError(f"{where} must be finite, and not negative: {value!r}")
    return seconds


def to_pyperf(run: RunResult) -> dict[str, Any]:
    """Return a run's times as a pyperf suite. Benchmarks without times are left out; pyperf takes only values above 0."""
    told = {
        "python_version": f"{run.environment.get('python', '')}",
        "python_implementation": str(run.environment.get("implementation", "")).lower(),
        "cpu_model_name": run.environment.get("cpu", ""),
    }
    benchmarks = [
        _suite(one) for one in run.benchmarks if one.time and any(value > 0 for p in one.time.processes for value in p.values)
    ]
    return {"version": VERSION, "metadata": {key: value for key, value in told.items() if value}, "benchmarks": benchmarks}


def _suite(one: BenchmarkResult) -> dict[str, Any]:
    assert one.time is not None  # noqa: S101
    runs = [
        {"metadata": {"loops": process.loops}, "values": values}
        for process in one.time.processes
        if (values := [value for value in process.values if value > 0])
    ]
    return {"metadata": {"name": one.name, "unit": "second"}, "runs": runs}
