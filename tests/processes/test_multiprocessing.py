"""The ways in which Python starts workers: all of them share one registry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import multiprocessing, sys
import tallymark as tm

def work(path, number):
    registry = tm.Registry(engine="native", shared=path)
    for _ in range(1000):
        registry.counter("done").inc(kind="work")
    registry.gauge("number", aggregate="max").set(number)

if __name__ == "__main__":
    method, path = sys.argv[1:]
    context = multiprocessing.get_context(method)
    with context.Pool(3) as pool:
        pool.starmap(work, [(path, number) for number in range(6)])
    workers = [context.Process(target=work, args=(path, number)) for number in range(6, 9)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    snapshot = tm.Registry(engine="native", shared=path).snapshot()
    print(snapshot.find("done", kind="work").value, snapshot.find("number").value)
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing(method: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-W", "error", str(program), method, str(tmp_path / "metrics")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert (ran.stdout.strip(), ran.returncode) == ("9000.0 8.0", 0), ran.stderr
