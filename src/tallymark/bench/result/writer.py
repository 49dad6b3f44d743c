"""Writes a run's file again after each benchmark: whoever ends the run loses at most the benchmark in progress."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

from tallymark.bench.result.files import is_special, write_whole
from tallymark.bench.result.result import BenchmarkResult, RunResult


class RunWriter:
    """A run's file, which grows by a benchmark at a time. It is a result of an interrupted run, until the run itself is saved.

    Each benchmark becomes text once. To write the file again then costs what a copy of it costs.

    Args:
        path: the file. What is no regular file, such as `/dev/stdout`, cannot be written twice, and is left to the end.
        run: the run before it measures: its environment, its settings, and files that do not import.
    """

    def __init__(self, path: str | os.PathLike[str], run: RunResult) -> None:
        self._path = Path(path)
        self._head = json.dumps(replace(run, benchmarks=(), complete=False).to_json())
        self._texts = [json.dumps(asdict(one)) for one in run.benchmarks]

    def add(self, benchmark: BenchmarkResult) -> None:
        """Add a benchmark, and write the file. Raises OSError."""
        self._texts.append(json.dumps(asdict(benchmark)))
        if not is_special(self._path):
            inner = ",\n".join(self._texts)
            write_whole(self._path, self._head.replace('"benchmarks": []', f'"benchmarks": [\n{inner}\n]', 1) + "\n")
