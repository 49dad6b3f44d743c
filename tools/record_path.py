"""Check that nothing on the record path can reach an allocator but through a slow exit: `python tools/record_path.py`.

The compiler tells which function calls which, as it compiles the native engine with the flags of a build (it inlines as
there). From each call that records, this follows all calls, and stops at the slow exits below. What else is called must be
code of the engine, or be known not to allocate. That no exit is taken in a steady state, tests/engine/test_allocations.py
counts; this adds that nothing allocates between them, whatever the data.

`with_tags()` and `time()` return an object, and so are not here: the engine keeps objects for them, as the same test counts.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

NATIVE = Path(__file__).parents[1] / "src/tallymark/engine/native"
FLAGS = ("-std=c11", "-O3", "-fPIC", "-fvisibility=hidden", "-DNDEBUG")  # as a build: setup.py, and Python's own

RECORDS = (
    "counter_inc", "counter_add", "counter_set_from_callback",
    "gauge_set", "gauge_inc", "gauge_dec", "gauge_add", "gauge_set_from_callback",
    "expiring_set", "expiring_inc", "expiring_dec", "expiring_add", "expiring_set_from_callback",
    "histogram_observe", "timer_record", "timer_record_since", "recorder_call",
    "timing_call",  # enters, and exits, a `with` block
    "exemplar_consider",  # after each record, where the registry is asked for exemplars
)  # fmt: skip

EXITS = {
    "takes_one": "raises: a wrong number of arguments",
    "recorder_wrong_arguments": "raises, as well",
    "timing_misused": "raises, as well",
    "family_decide": "tells the policy of the first move of a shared gauge",
    "number_by_policy": "reads a number that is neither float nor a small int",
    "seconds_of_object": "reads a timedelta, or what is no number",
    "reject_number": "counts a number that is rejected",
    "record_slowly": "makes or wakes the series",
    "record_given_slowly": "makes or wakes the series",
    "record_no_exemplar": "wakes the series",
    "exemplar_ask": "asks for an exemplar, once a second",
    "timing_grow": "makes space for entries of one timing within another",
    "timing_decorate": "makes a timed function",
}

ALLOCATE_NOTHING = {
    "clock_gettime",
    "memcmp",
    "memcpy",
    "memset",
    "PyErr_Occurred",
    "PyLong_AsDouble",  # of an exact int; one that is too large raises OverflowError, before an exit
    "PyObject_Hash",  # of an exact str, which keeps its hash
    "PyThread_get_thread_ident",
    "PyUnicode_CompareWithASCIIString",
    "_Py_Dealloc",  # frees: of a str, which runs no code
    "raise",  # for tests: kills the process amid its changes
    "*fstat64",
    "*fcntl64",  # of a file that another process has made longer
}


class Call(NamedTuple):
    """A call of one function by another, at a place in the sources."""

    caller: str
    callee: str
    place: str


_EDGE = re.compile(r'edge: { sourcename: "(.*?)" targetname: "(.*?)"(?: label: "(.*?)")? }')
_NODE = re.compile(r'node: { title: "(.*?)" label: "[^"]*" }')  # of a function that is only declared, the node has a shape


def plain(title: str) -> str:
    """Return a function's name without its file, and without what the compiler adds for a part or a copy of it."""
    return title.rpartition(":")[2].partition(".")[0]


def read_calls(directory: Path) -> tuple[set[str], list[Call]]:
    """Compile the engine; return the functions that it defines, and all calls."""
    include = sysconfig.get_path("include")
    functions: set[str] = set()
    calls: list[Call] = []
    for source in sorted(NATIVE.glob("*.c")):
        made = directory / f"{source.stem}.o"
        command = ["gcc", *FLAGS, "-fcallgraph-info", "-isystem", include, "-c", source.name, "-o", str(made)]
        subprocess.run(command, cwd=NATIVE, check=True)
        graph = made.with_suffix(".ci").read_text()
        functions |= {plain(title) for title in _NODE.findall(graph)}
        calls += [Call(plain(caller), plain(callee), place) for caller, callee, place in _EDGE.findall(graph)]
    return functions, calls


def walk(functions: set[str], calls: list[Call]) -> tuple[list[str], set[str]]:
    """Return what is wrong, a line each; and the exits that are reached."""
    wrong = [f"there is no function {name}: see the list RECORDS" for name in RECORDS if name not in functions]
    ways = {name: name for name in RECORDS}  # how each function is reached
    waiting, exits = list(RECORDS), set()
    while waiting:
        caller = waiting.pop()
        for call in (one for one in calls if one.caller == caller):
            if call.callee in EXITS:
                exits.add(call.callee)
            elif call.callee in functions:
                if call.callee not in ways:
                    ways[call.callee] = f"{ways[caller]} -> {call.callee}"
                    waiting.append(call.callee)
            elif call.callee not in ALLOCATE_NOTHING:
                wrong.append(f"{call.place}: {ways[caller]} -> {call.callee}")
    return wrong, exits


def problems() -> Iterator[str]:
    """Yield what is wrong, a line each."""
    with tempfile.TemporaryDirectory() as directory:
        functions, calls = read_calls(Path(directory))
    wrong, exits = walk(functions, calls)
    yield from wrong
    for name in sorted(EXITS.keys() - exits):
        yield f"the exit {name} is not reached: take it out of the list EXITS"


def main() -> int:
    """Check, and return the exit status."""
    found = list(problems())
    for one in found:
        print(one, file=sys.stderr)
    if found:
        print(
            "A record must not allocate. Move what does to a slow exit, a function that is not inlined, and add its name to"
            " EXITS in tools/record_path.py; or add what certainly allocates nothing to ALLOCATE_NOTHING.",
            file=sys.stderr,
        )
        return 1
    print(f"record path: {len(RECORDS)} calls reach no allocator but through {len(EXITS)} slow exits")
    return 0


if __name__ == "__main__":
    sys.exit(main())
