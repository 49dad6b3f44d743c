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
    "raises E (line 3)": "class E(Exception): __str__ = None\n    for _ in b.loop(): raise E",
    "raises EOFError": "for _ in b.loop(): input()",
    "raises RecursionError": "f = lambda: f()\n    for _ in b.loop(): f()",
    "raises KeyboardInterrupt": "import os\n    for _ in b.loop(): os.kill(os.getpid(), 2)",
    "cannot write its answer, as it closes or limits what it did not open: Bad file": (
        "import os\n    os.closerange(3, 100)\n    list(b.loop())"
    ),
    "closes a file descriptor that it did not open": (
        "import os\n    os.closerange(3, 100)\n    kept = [os.open(os.devnull, 1) for _ in range(9)]\n    list(b.loop())"
    ),
    "ends with status 1: no message; does it close files that it did not open?": (
        "import os\n    os.closerange(0, 100)\n    list(b.loop())"
    ),
    "cannot write its answer, as it closes or limits what it did not open: File too large": (
        "import resource\n    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n    list(b.loop())"
    ),
    "the answer of its process makes no sense": (
        "import os\n    for one in range(3, 9):\n        try: os.write(one, b'{\"allocations\": 1}\\n')\n"
        "        except OSError: pass\n    list(b.loop())"
    ),
    "damages the answer of its process: it must not write to what it did not open": (
        "import os\n    for one in range(3, 9):\n        try: os.write(one, b'[[')\n        except OSError: pass\n"
        "    list(b.loop())"
    ),
    "b.bytes_processed must be a number of bytes, not 'many'": "b.bytes_processed = 'many'\n    list(b.loop())",
}
NOT_IMPORTED = {
    "does not import: raises ModuleNotFoundError: No module named 'no_such' (line 1)": "import no_such",
    "does not import: raises SyntaxError": "def f(:",
    "does not import: ends the process: SystemExit(None)": "import sys; sys.exit()",
    "does not import: raises SyntaxError: (unicode error) 'utf-8' codec can't decode byte 0xe9": b"x = '\xe9'",
    "does not import: raises": b"x = 1\0",
    "does not import: takes too long": "import time; time.sleep(100)",
}
ODD = {
    "prints (": "print('x' * 100_000)",
    "changes the garbage collector's settings": "import gc; gc.disable()",
    "retains ": "kept.append(object())",
}

#: Each with a line above the loop.
FINE = {
    "thread": "import threading, time; threading.Thread(target=time.sleep, args=(1000,)).start()",
    "child": "import subprocess; subprocess.Popen(['sleep', '1000'])",
    "modules": "import gc, json, sys, threading; [sys.modules.pop(one) for one in ('gc', 'json', 'threading')]",
    "replaces": "import json, time; time.perf_counter = json.dumps = json.loads = None",
    "changes": "import os, sys; os.chdir('/'); sys.setrecursionlimit(60); sys.settrace(lambda *_: None); sys.stdin.read()",
}


def name(said):
    """Return the name of the file that has what is said of it."""
    return f"bench_{[*BAD, *NOT_IMPORTED, *ODD].index(said)}.py"


@pytest.fixture(scope="module")
def output(benches):
    for said, body in BAD.items():
        benches.write(f"bad/{name(said)}", f"def bench_bad(b):\n    {body}\n")
    for said, source in NOT_IMPORTED.items():
        benches.write(f"bad/{name(said)}", "").write_bytes(source if isinstance(source, bytes) else source.encode())
    benches.write("bad/bench_good.py", GOOD)
    differs = (
        "import random\nfrom tallymark.bench import parametrize\n@parametrize(x=[random.random()])\ndef bench_x(b, x): ...\n"
    )
    benches.write("bad/bench_differs.py", differs)
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
    assert len([line for line in output.splitlines() if line.startswith("FAILED")]) == len(BAD) + len(NOT_IMPORTED) + 1


def test_parameters_that_differ_between_processes(output):
    (line,) = [line for line in output.splitlines() if line.startswith("FAILED bad/bench_differs.py::bench_x[x=0.")]
    assert "has parameters that differ between processes" in line


@pytest.fixture(scope="module")
def odd_output(benches):
    for said, body in ODD.items():
        source = f"kept = []\ndef bench_odd(b):\n    for _ in b.loop():\n        {body}\n"
        benches.write(f"odd/{name(said)}", source)
    child = "pid = os.fork()\n        if not pid: os._exit(0)\n        os.waitpid(pid, 0)"
    benches.write("odd/bench_fork.py", f"import os\ndef bench_fork(b):\n    for _ in b.loop():\n        {child}\n")
    for said, setup in FINE.items():
        benches.write(f"odd/bench_{said}.py", f"def bench_fine(b):\n    {setup}\n    for _ in b.loop(): [].copy()\n")
    return benches("run", *QUICK, "--timeout", "20", "--explain", "odd")


@pytest.mark.parametrize("said", ODD)
def test_an_odd_benchmark_is_measured_with_a_warning(odd_output, said):
    assert f"WARN odd/{name(said)}:2 bench_odd {said}" in " ".join(odd_output.split())


def test_a_child_that_ends_within_the_op_is_fine(odd_output):
    assert "FAILED" not in odd_output
    assert any(line.split()[:1] == ["bench_fork"] for line in odd_output.splitlines())


@pytest.mark.parametrize("said", FINE)
def test_what_harms_nobody_is_measured(odd_output, said):
    assert f"] odd/bench_{said}.py::bench_fine  " in odd_output
