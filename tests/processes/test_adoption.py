"""What a process that comes later finds in shared memory: each series, with its tags, at little cost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import tallymark as tm

READER = """
import json, sys
import tallymark.engine.text as text
calls, read = [], text.text_tags
text.text_tags = lambda given: calls.append(given) or read(given)
import tallymark as tm
registry = tm.Registry(shared=sys.argv[1])
series = [[dict(one.tags), one.value] for one in registry.snapshot()["n"]]
registry.snapshot()
print(json.dumps([series, len(calls)]))
"""


def read_elsewhere(path: Path) -> tuple[list[tuple[dict[str, str], float]], int]:
    """Return the series that a new process reads, and how many of their texts took Python code to read."""
    done = subprocess.run([sys.executable, "-c", READER, path], check=True, capture_output=True, text=True)
    series, calls = json.loads(done.stdout)
    return [(tags, value) for tags, value in series], calls


def test_a_new_process_reads_series_of_all_forms(path: Path) -> None:
    registry = tm.Registry(engine="native", shared=path, limits=tm.TagLimits(max_tags=50))
    tags: list[dict[str, str]] = [
        {},
        {"a": ""},
        {"a": "x" * 200},
        {"a": "é", "b": "\U0001f600", "Ключ": "значение"},
        {"z": "1", "a": "2", "m": "\x00\n"},
        {f"k{i:02}": str(i) for i in range(32)},
        {f"k{i:02}": str(i) for i in range(40)},
        {"a": "lone \udc80"},
    ]
    for i, one in enumerate(tags):
        registry.counter("n").with_tags(one).inc(i + 1)
    here = [(dict(one.tags), one.value) for one in registry.snapshot()["n"]]
    there, _ = read_elsewhere(path)
    assert len(here) == len(tags)
    assert sorted(there, key=repr) == sorted(here, key=repr)


def test_texts_are_read_in_c_once_their_keys_are_known(path: Path) -> None:
    registry = tm.Registry(engine="native", shared=path, limits=tm.TagLimits(max_series=5000))
    for i in range(2500):  # more than one hold of the lock takes
        registry.counter("n").inc(user=str(i), method="GET")
        registry.counter("n").inc(user=str(i))
    series, calls = read_elsewhere(path)
    assert len(series) == 5000
    assert calls == 2  # once for each set of keys


def test_series_that_come_and_go_between_two_readings_are_seen(path: Path) -> None:
    first, second = (tm.Registry(engine="native", shared=path) for _ in range(2))
    for i in range(3):
        first.counter("n").inc(i=i)
    assert len(second.snapshot()["n"]) == 3
    first.counter("n").with_tags(i=1).remove()
    first.counter("n").inc(i=7)
    assert sorted(one.tags["i"] for one in second.snapshot()["n"]) == ["0", "2", "7"]
