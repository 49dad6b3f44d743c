"""A process that runs one pass of one benchmark, and answers with one line of JSON on a descriptor of its own.

`python -m tallymark.bench.measure.worker REQUEST`. What the benchmark prints goes elsewhere: it is not mistaken for the answer.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import traceback
from collections.abc import Callable
from typing import Any

from tallymark.bench import allocations
from tallymark.bench.benchmark import Benchmark, Skipped, run_once, variants
from tallymark.bench.discover import functions, listing, load_file
from tallymark.bench.errors import BenchError, BenchmarkFileError
from tallymark.bench.instructions import open_counter
from tallymark.bench.measure import passes
from tallymark.bench.measure.environment import describe

Function = Callable[..., Any]
Answer = dict[str, Any]


def main(text: str) -> None:
    """Run a request and write the answer. An error is an answer too."""
    request = json.loads(text)
    owner = os.getpid()
    try:
        answer = _answer(request)
    except Skipped as skipped:
        answer = {"skipped": str(skipped)}
    except BenchError as error:
        answer = {"failed": str(error)}
    except MemoryError:
        answer = {"failed": "ran out of memory"}
    except SystemExit as error:
        answer = {"failed": f"ends the process: SystemExit({error.code!r})"}
    except KeyboardInterrupt:
        answer = {"failed": "interrupted"}
    except BaseException as error:
        answer = {"failed": _told(error, request["file"])}
    os.write(request["answer"], (json.dumps(answer) + "\n").encode())
    if os.getpid() != owner:
        os._exit(0)  # a child that came back must not go on as a second worker


def _answer(request: dict[str, Any]) -> Answer:
    module = load_file(request["file"])
    if request["task"] == "list":
        return {"benchmarks": listing(module), "environment": describe(os.path.dirname(request["file"]))}
    function = functions(module)[request["function"]]
    params = variants(function)[request["index"]]
    answer: Answer = _deeper(request.get("depth", 0), TASKS[request["task"]], function, params, request)
    return answer


def _deeper(depth: int, run: Function, *arguments: Any) -> Any:
    """Run at a greater depth of the stack: at some depths each call allocates a chunk for frames, and frees it."""
    if depth > 0:
        return _deeper(depth - 1, run, *arguments)
    return run(*arguments)


def _time(function: Function, params: dict[str, Any], request: dict[str, Any]) -> Answer:
    empty = passes.TimePass(7, request["shortest"] / 4, request["budget"] / 4)
    run_once(_empty, {}, empty)
    measured = passes.TimePass(request["values"], request["shortest"], request["budget"])
    b = run_once(function, params, measured)
    overhead = statistics.median(empty.values)
    times = {
        "loops": measured.loops,
        "values": [value - overhead for value in measured.values],
        "overhead": overhead,
        "warmup": measured.warmup,
        "probe": measured.probe,
    }
    return {"time": times, **_said(b, measured.guard)}


def _empty(b: Benchmark) -> None:
    for _ in b.loop():
        pass


def _allocations(function: Function, params: dict[str, Any], request: dict[str, Any]) -> Answer:
    if reason := allocations.available():
        checked = passes.CheckPass()
        return {"unavailable": reason, **_said(run_once(function, params, checked), checked.guard)}
    measured = passes.AllocationPass(request["budget"], request.get("freelists") == "cold")
    with allocations.counting():
        b = run_once(function, params, measured)
    return {**measured.result(), **_said(b, measured.guard)}


def _objects(function: Function, params: dict[str, Any], request: dict[str, Any]) -> Answer:
    if not allocations.CAN_TRACE_OBJECTS:
        return {"unavailable": allocations.available() or "objects by type need CPython 3.13"}
    measured = passes.ObjectPass()
    run_once(function, params, measured)
    return {"objects": measured.objects}


def _state(function: Function, params: dict[str, Any], request: dict[str, Any]) -> Answer:
    seconds: list[float] = []
    empty: list[float] = []
    for _ in range(8):
        for into, one, arguments in ((seconds, function, params), (empty, _empty, {})):
            first = passes.FirstPass()
            # The loop has one op, so that the benchmark's own setup gives each op fresh state.
            run_once(one, arguments, first)
            into.append(first.seconds)
            if sum(seconds) > request["budget"]:
                break
    answer: Answer = {"state": max(0.0, statistics.median(seconds[1:] or seconds) - min(empty or [0.0]))}
    if not allocations.available():
        with allocations.counting():
            counted = []
            for _ in range(3):
                first = passes.FirstPass(counted=True)
                run_once(function, params, first)
                if first.counts is not None:
                    counted.append((first.counts.allocs, first.counts.bytes))
        answer["allocs"], answer["bytes"] = min(counted)
    return answer


def _collections(function: Function, params: dict[str, Any], request: dict[str, Any]) -> Answer:
    measured = passes.CollectionPass(request["budget"] / 4)
    run_once(function, params, measured)
    return {"collections": measured.result()}


def _initialisation(function: Function, params: dict[str, Any], request: dict[str, Any]) -> Answer:
    from tallymark.bench.measure.initialisation import find_initialisation

    return {"findings": [vars(finding) for finding in find_initialisation(function, params)]}


def _instructions(function: Function, params: dict[str, Any], request: dict[str, Any]) -> Answer:
    if "random" in sys.modules:  # imported by the benchmark, or by what it imports
        sys.modules["random"].seed(request["seed"])
    counter = open_counter(request["counter"], request["stem"])
    empty, measured = passes.InstructionPass(counter), passes.InstructionPass(counter)
    run_once(_empty, {}, empty)
    b = run_once(function, params, measured)
    samples = [max(0.0, reading - empty.per_op) for reading in measured.readings]
    return {"instructions": {"samples": samples, "ops": measured.ops, "path": sys.path}, **_said(b, measured.guard)}


def _said(b: Benchmark, guard: passes.Guard) -> Answer:
    size = b.bytes_processed
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
        raise BenchmarkFileError(f"b.bytes_processed must be a number of bytes, not {size!r}")
    return {"bytes_processed": size, "changes_gc": guard.changes_gc}


TASKS: dict[str, Function] = {
    "time": _time,
    "allocations": _allocations,
    "objects": _objects,
    "state": _state,
    "collections": _collections,
    "initialisation": _initialisation,
    "instructions": _instructions,
}


def _told(error: BaseException, path: str) -> str:
    """Return one line that says what was raised and where in the benchmark's own file."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    if isinstance(error, SyntaxError) and error.filename == path:
        lines.append(error.lineno)
    where = f" (line {lines[-1]})" if lines else ""
    what = " ".join(str(error).split())
    return f"raises {type(error).__name__}{': ' + what[:200] if what else ''}{where}"


if __name__ == "__main__":
    main(sys.argv[1])
