"""A process that runs one pass of one benchmark, and answers with one line of JSON on a descriptor of its own.

`python -m tallymark.bench.measure.worker REQUEST`. What the benchmark prints goes elsewhere: it is not mistaken for the answer.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable
from json import dumps  # by name: a benchmark may replace it in its module
from typing import Any

from tallymark.bench import allocations
from tallymark.bench.benchmark import Benchmark, Skipped, run_once, variants
from tallymark.bench.discover import functions, listing, load_file
from tallymark.bench.errors import BenchError, BenchmarkFileError
from tallymark.bench.measure import passes
from tallymark.bench.names import variant_names

Function = Callable[..., Any]
Answer = dict[str, Any]


def main(text: str) -> None:
    """Run a request and write the answer. An error is an answer too."""
    request = json.loads(text)
    owner, same = os.getpid(), os.fstat(request["answer"])
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
        answer = {"failed": "raises KeyboardInterrupt"}
    except BaseException as error:
        answer = {"failed": _told(error, request["file"])}
    _write(request["answer"], same, (dumps(answer) + "\n").encode())
    if os.getpid() != owner:
        os._exit(0)  # a child that came back must not go on as a second worker
    _leave()


def _write(descriptor: int, same: os.stat_result, data: bytes) -> None:
    """Write all data, unless the benchmark closed the descriptor, or opened another file that got its number."""
    try:
        if not os.path.samestat(os.fstat(descriptor), same):
            raise SystemExit("closes a file descriptor that it did not open")
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError as error:
        raise SystemExit(f"cannot write its answer, as it closes or limits what it did not open: {error.strerror}") from None


def _leave() -> None:
    """End the process, if threads of the benchmark would keep it for ever. What it registered with atexit is run."""
    if any(one is not threading.main_thread() and not one.daemon for one in threading.enumerate()):
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(0)


def _answer(request: dict[str, Any]) -> Answer:
    module = load_file(request["file"])
    if request["task"] == "list":
        from tallymark.bench.measure.environment import describe  # it imports much, and each other worker would pay

        return {"benchmarks": listing(module), "environment": describe(os.path.dirname(request["file"]))}
    function = functions(module)[request["function"]]
    params = _params(request["function"], variants(function), request)
    answer: Answer = _deeper(request.get("depth", 0), TASKS[request["task"]], function, params, request)
    return answer


def _params(function: str, found: list[dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of the variant that was asked for. Raises BenchmarkFileError if this process has another one."""
    names = [name for name, _ in variant_names(function, found)]
    index: int = request["index"]
    if "name" in request and names[index : index + 1] != [request["name"]]:
        raise BenchmarkFileError(f"has parameters that differ between processes: {request['name']!r} is not in {names[:5]}")
    return found[index]


def _deeper(depth: int, run: Function, *arguments: Any) -> Any:
    """Run at a greater depth of the stack: at some depths each call allocates a chunk for frames, and frees it."""
    if depth > 0:
        return _deeper(depth - 1, run, *arguments)
    return run(*arguments)


class _Told:
    """Turns that another process gives over a pipe."""

    def __init__(self, reader: int, writer: int) -> None:
        self._reader, self._writer, self._owner = reader, writer, os.getpid()

    def next(self) -> bool:
        if os.getpid() != self._owner:  # it would take its parent's turns
            raise BenchmarkFileError("forks: the child came back into b.loop(); end it with os._exit() within the op")
        os.write(self._writer, b"r")
        return os.read(self._reader, 1) == b"g"


def _time(function: Function, params: dict[str, Any], request: dict[str, Any]) -> Answer:
    measured = passes.TimePass(_Told(*request["turns"]), request["shortest"], request["warmup"])
    b = run_once(function, params, measured)
    times = {
        "loops": measured.loops,
        "values": measured.values[1:] or measured.values,  # the first filled the caches, after another side's
        "overhead": passes.median(measured.empty),
        "warmup": measured.warmup,
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


def _kept(function: Function, params: dict[str, Any], request: dict[str, Any]) -> Answer:
    from tallymark.bench.measure.passes.kept import KeptPass

    measured = KeptPass(request["budget"])
    run_once(function, params, measured)
    kept = measured.kept
    return {"kept": kept.told(), "retained": kept.confirm(request["retained"])}


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
    answer: Answer = {"state": max(0.0, passes.median(seconds[1:] or seconds) - min(empty or [0.0]))}
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


def _lines(function: Function, params: dict[str, Any], request: dict[str, Any]) -> Answer:
    from tallymark.bench.measure.passes.lines import LinesPass
    from tallymark.bench.measure.places import counted_tree
    from tallymark.bench.stacks import why_no_stacks

    if reason := why_no_stacks():
        return {"unavailable": reason}
    measured = LinesPass(request["budget"])
    with allocations.counting():
        run_once(function, params, measured)
    return {**counted_tree(measured, request["root"]), "exact": measured.result()["allocations"]["exact"]}


def _samples(function: Function, params: dict[str, Any], request: dict[str, Any]) -> Answer:
    from tallymark.bench.measure.passes.samples import SamplePass
    from tallymark.bench.measure.places import sampled_tree
    from tallymark.bench.stacks import why_no_stacks

    if reason := why_no_stacks():
        return {"unavailable": reason}
    measured = SamplePass(request["seconds"])
    run_once(function, params, measured)
    return {"unavailable": measured.problem} if measured.problem else sampled_tree(measured, request["root"])


def _instructions(function: Function, params: dict[str, Any], request: dict[str, Any]) -> Answer:
    from tallymark.bench.instructions import open_counter

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
    "kept": _kept,
    "objects": _objects,
    "state": _state,
    "collections": _collections,
    "initialisation": _initialisation,
    "lines": _lines,
    "samples": _samples,
    "instructions": _instructions,
}


def _told(error: BaseException, path: str) -> str:
    """Return one line that says what was raised and where in the benchmark's own file."""
    import traceback

    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    if isinstance(error, SyntaxError) and error.filename == path:
        lines.append(error.lineno)
    where = f" (line {lines[-1]})" if lines else ""
    try:
        what = " ".join(str(error).split())
    except Exception:  # of a class of the user's
        what = ""
    return f"raises {type(error).__name__}{': ' + what[:200] if what else ''}{where}"


if __name__ == "__main__":
    main(sys.argv[1])
