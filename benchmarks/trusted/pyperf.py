"""Times of operations as this toolkit and pyperf measure them, in processes that alternate."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tallymark.bench import Settings, Target, load_run, measure
from tallymark.bench.result.result import ProcessTimes, TimeResult

OPS = {
    "sum": ("items = [1.5] * 1000", "sum(items)"),
    "sort": ("items = [i * 7919 % 1000 for i in range(1000)]", "sorted(items)"),
    "json": ("import json; items = {'numbers': list(range(100)), 'name': 'ada'}", "json.dumps(items)"),
    "join": ("words = [f'w{i}' for i in range(200)]", "','.join(words)"),
    "regex": ("import re; find = re.compile('[0-9]+').findall; text = 'a1 b22 c333 ' * 20", "find(text)"),
    "dict": ("words = [f'w{i * 7919}' for i in range(200)]", "dict.fromkeys(words, 1)"),
}


@dataclass(frozen=True)
class Beside:
    """The time of an op in seconds, by each toolkit."""

    op: str
    ours: float
    theirs: float


def beside_pyperf(rounds: int, settings: Settings) -> Iterator[Beside]:
    """Yield the times of each op. In a round, each op runs in a process of each toolkit, in random order."""
    ours: dict[str, list[ProcessTimes]] = {name: [] for name in OPS}
    theirs: dict[str, list[ProcessTimes]] = {name: [] for name in OPS}
    with tempfile.TemporaryDirectory() as directory:
        for name, (setup, op) in OPS.items():
            source = f"def bench_{name}(b):\n    {setup}\n    for _ in b.loop():\n        {op}\n"
            (Path(directory) / f"bench_{name}.py").write_text(source, encoding="utf-8")
        for _ in range(rounds):
            for name in random.sample(list(OPS), len(OPS)):
                ours[name] += _ours(directory, name, settings)
                theirs[name] += _theirs(directory, name, ours[name][0].loops, settings)
    for name, (_, op) in OPS.items():
        yield Beside(op, *(TimeResult(tuple(one)).median for one in (ours[name], theirs[name])))


def _ours(directory: str, name: str, settings: Settings) -> tuple[ProcessTimes, ...]:
    once = replace(settings, processes=1, passes=("time",))
    (run,) = measure([f"bench_{name}.py"], targets=[Target(root=directory)], settings=once)
    time = run.benchmarks[0].time
    assert time is not None, run.benchmarks[0].reason
    return time.processes


def _theirs(directory: str, name: str, loops: int, settings: Settings) -> tuple[ProcessTimes, ...]:
    setup, op = OPS[name]
    output = Path(directory) / "pyperf.json"
    output.unlink(missing_ok=True)
    how = ["--processes=1", f"--values={settings.values}", "--warmups=5", f"--loops={loops}", "--quiet", "-o", str(output)]
    command = [sys.executable, "-m", "pyperf", "timeit", *how, "-s", setup, op]
    subprocess.run(command, capture_output=True, check=True)
    time = load_run(output).benchmarks[0].time
    assert time is not None
    return time.processes
