"""Benchmarks that misbehave: one clear line each, the others still run, and the exit status is 1.

All of them are in one run, with a good one: a bad one that harms others would harm one of these.
"""

from dataclasses import replace

import pytest

from tallymark.bench.result.result import load_run
from tallymark.cli import main

pytestmark = pytest.mark.slow

QUICK = ("--quick", "--processes", "1", "--values", "1")
GOOD = "def bench_good(b):\n    for _ in b.loop():\n        [].copy()\n"

BAD = {
    "raises ValueError: bad thing (line 3)": "for _ in b.loop():\n        raise ValueError('bad\\nthing')",
    "never loops: it needs `for _ in b.loop():` around the op": "pass",
    "loops twice": "list(b.loop())\n    list(b.loop())",
    "leaves its loop early": "for _ in b.loop():\n        break",
    "takes too long: killed after 4 s; make the op smaller, or raise --timeout": (
        "import time\n    for _ in b.loop():\n        time.sleep(100)"
    ),
    "forks: the child came back into b.loop()": "import os\n    for _ in b.loop():\n        os.fork()",
    "ends the process: SystemExit(3)": "import sys\n    for _ in b.loop():\n        sys.exit(3)",
    "ends with status 4": "import os\n    for _ in b.loop():\n        os._exit(4)",
    "killed by SIGKILL": "import os, signal\n    for _ in b.loop():\n        os.kill(os.getpid(), signal.SIGKILL)",
    "b.bytes_processed must be a number of bytes, not 'many'": "b.bytes_processed = 'many'\n    list(b.loop())",
}
NOT_IMPORTED = {
    "does not import: raises ModuleNotFoundError: No module named 'no_such' (line 1)": "import no_such",
    "does not import: raises SyntaxError": "def f(:",
    "does not import: ends the process: SystemExit(None)": "import sys; sys.exit()",
    "does not import: takes too long": "import time; time.sleep(100)",
}
ODD = {
    "prints (": "print('x' * 100_000)",
    "changes the garbage collector's settings": "import gc; gc.disable()",
    "retains ": "kept.append(object())",
}


def name(said):
    """Return the name of the file that has what is said of it."""
    return f"bench_{[*BAD, *NOT_IMPORTED, *ODD].index(said)}.py"


@pytest.fixture(scope="module")
def output(benches):
    for said, body in BAD.items():
        benches.write(f"bad/{name(said)}", f"def bench_bad(b):\n    {body}\n")
    for said, source in NOT_IMPORTED.items():
        benches.write(f"bad/{name(said)}", source)
    benches.write("bad/bench_good.py", GOOD)
    return benches("run", *QUICK, "--timeout", "4", "bad", "-o", "bad.json", status=1)


def check_status(benches, directory, *names):
    """Check that a run of these alone, and of the good one, is told to have failed."""
    run = load_run(benches.root / "bad.json")
    (good,) = [one for one in run.benchmarks if one.name == "bad/bench_good.py::bench_good"]
    replace(run, benchmarks=(good,)).save(directory / "good.json")
    assert main(["bench", "show", str(directory / "good.json")]) == 0
    alone = tuple(one for one in run.benchmarks if one.name in names)
    assert len(alone) == len(names)
    replace(run, benchmarks=(*alone, good)).save(directory / "alone.json")
    assert main(["bench", "show", str(directory / "alone.json")]) == 1


@pytest.mark.parametrize("said", BAD)
def test_one_line_and_the_others_still_run(benches, output, said, tmp_path):
    (line,) = [line for line in output.splitlines() if line.startswith(f"FAILED bad/{name(said)}")]
    assert line.startswith(f"FAILED bad/{name(said)}::bench_bad: ")
    assert said in line
    assert any(line.split()[:1] == ["bench_good"] for line in output.splitlines())
    check_status(benches, tmp_path, f"bad/{name(said)}::bench_bad")


@pytest.mark.parametrize("said", NOT_IMPORTED)
def test_a_file_that_does_not_import(benches, output, said, tmp_path):
    (line,) = [line for line in output.splitlines() if line.startswith(f"FAILED bad/{name(said)}")]
    assert line.startswith(f"FAILED bad/{name(said)}: {said}")
    assert any(line.split()[:1] == ["bench_good"] for line in output.splitlines())
    check_status(benches, tmp_path, f"bad/{name(said)}")


def test_nothing_else_fails(output):
    assert len([line for line in output.splitlines() if line.startswith("FAILED")]) == len(BAD) + len(NOT_IMPORTED)


@pytest.fixture(scope="module")
def odd_output(benches):
    for said, body in ODD.items():
        source = f"kept = []\ndef bench_odd(b):\n    for _ in b.loop():\n        {body}\n"
        benches.write(f"odd/{name(said)}", source)
    child = "pid = os.fork()\n        if not pid: os._exit(0)\n        os.waitpid(pid, 0)"
    benches.write("odd/bench_fork.py", f"import os\ndef bench_fork(b):\n    for _ in b.loop():\n        {child}\n")
    return benches("run", *QUICK, "--explain", "odd")


@pytest.mark.parametrize("said", ODD)
def test_an_odd_benchmark_is_measured_with_a_warning(odd_output, said):
    assert f"WARN odd/{name(said)}:2 bench_odd {said}" in " ".join(odd_output.split())


def test_a_child_that_ends_within_the_op_is_fine(odd_output):
    assert "FAILED" not in odd_output
    assert any(line.split()[:1] == ["bench_fork"] for line in odd_output.splitlines())
