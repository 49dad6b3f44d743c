"""Benchmarks that misbehave: one clear line each, the others still run, the exit status tells."""

import pytest

QUICK = ("--quick", "--processes", "1", "--values", "1", "--timeout", "4")
GOOD = "def bench_good(b):\n    for _ in b.loop():\n        [].copy()\n"

BAD = {
    "raises ValueError: bad thing (line 3)": "for _ in b.loop():\n        raise ValueError('bad\\nthing')",
    "never loops: it needs `for _ in b.loop():` around the operation": "pass",
    "loops twice": "list(b.loop())\n    list(b.loop())",
    "leaves its loop early": "for _ in b.loop():\n        break",
    "takes too long: killed after 4 s; make the operation smaller, or raise --timeout": (
        "import time\n    for _ in b.loop():\n        time.sleep(100)"
    ),
    "forks: the child came back into b.loop()": "import os\n    for _ in b.loop():\n        os.fork()",
    "ends the process: SystemExit(3)": "import sys\n    for _ in b.loop():\n        sys.exit(3)",
    "ends with status 4": "import os\n    for _ in b.loop():\n        os._exit(4)",
    "killed by SIGKILL": "import os, signal\n    for _ in b.loop():\n        os.kill(os.getpid(), signal.SIGKILL)",
    "b.bytes_processed must be a number of bytes, not 'many'": "b.bytes_processed = 'many'\n    list(b.loop())",
}


@pytest.mark.parametrize("said", BAD)
def test_one_line_and_the_others_still_run(bench, said):
    bench.write("bench_bad.py", f"def bench_bad(b):\n    {BAD[said]}\n")
    bench.write("bench_good.py", GOOD)
    output = bench("run", *QUICK, status=1)
    (line,) = [line for line in output.splitlines() if line.startswith("FAILED")]
    assert line.startswith("FAILED bench_bad.py::bench_bad: ")
    assert said in line
    assert any(line.startswith("bench_good.py::bench_good ") for line in output.splitlines())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "import no_such",
            "does not import: raises ModuleNotFoundError: No module named 'no_such' (line 1)",
        ),
        ("def f(:", "does not import: raises SyntaxError"),
        ("import sys; sys.exit()", "does not import: ends the process: SystemExit(None)"),
        ("import time; time.sleep(100)", "does not import: takes too long"),
    ],
)
def test_a_file_that_does_not_import(bench, source, said):
    bench.write("bench_bad.py", source)
    bench.write("bench_good.py", GOOD)
    output = bench("run", *QUICK, status=1)
    assert f"FAILED bench_bad.py: {said}" in output
    assert "bench_good.py::bench_good " in output


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("print('x' * 100_000)", "prints ("),
        ("import gc; gc.disable()", "changes the garbage collector's settings"),
        ("kept.append(object())", "retains "),
    ],
)
def test_what_is_odd_is_measured_with_a_warning(bench, body, said):
    bench.write("bench_odd.py", f"kept = []\ndef bench_odd(b):\n    for _ in b.loop():\n        {body}\n")
    output = bench("run", *QUICK)
    assert f"WARN bench_odd.py:2 bench_odd {said}" in output


def test_a_child_that_ends_within_the_operation_is_fine(bench):
    child = "pid = os.fork()\n        if not pid: os._exit(0)\n        os.waitpid(pid, 0)"
    bench.write("bench_fork.py", f"import os\ndef bench_fork(b):\n    for _ in b.loop():\n        {child}\n")
    assert "FAILED" not in bench("run", *QUICK)
