"""Nothing that was measured is lost: checks come first, results are written as they come, and signals end a run in order."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tallymark.bench.result.result import load_run
from tallymark.bench.show.progress import SlowNotice

pytestmark = pytest.mark.slow

QUICK = ("--quick", "--processes", "1", "--values", "1")

WAITS = """
import os, pathlib, time
def bench_b(b):
    for _ in b.loop():
        pathlib.Path(f"{os.environ['REACHED']}.new").write_text(str(os.getpid()))
        os.rename(f"{os.environ['REACHED']}.new", os.environ["REACHED"])
        time.sleep(100)
"""
FAST = "def bench_a(b):\n    for _ in b.loop():\n        [].copy()\n"


@contextlib.contextmanager
def reached(bench, *arguments):
    """Start a run, and wait until a benchmark waits in its op; give the run's process, and the worker's id."""
    command = [sys.executable, "-m", "tallymark", "bench", *arguments]
    where = bench.root / "reached"
    process = subprocess.Popen(
        command,
        cwd=bench.root,
        env={**os.environ, "REACHED": str(where)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not where.exists() and process.poll() is None:
        time.sleep(0.05)
    worker = int(where.read_text())
    try:
        yield process, worker
    finally:
        process.kill()
        process.communicate()
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)


def is_alive(process):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return False


def test_a_terminated_comparison_is_shown_written_and_cleaned_up(bench):
    bench.git("init", "-q")
    bench.write("bench_a.py", FAST)
    bench.write("bench_b.py", WAITS)
    bench.git("add", ".")
    bench.git("commit", "-q", "-m", "a")
    with reached(bench, "ab", "HEAD", "HEAD", *QUICK, "-o", "ab", "--gate", "allocs:0") as (process, worker):
        partial = [load_run(bench.root / f"ab-{side}.json") for side in ("old", "new")]
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
        assert not is_alive(worker)
    assert process.returncode == 143, errors
    assert "Traceback" not in errors
    assert "[1/2] bench_a.py::bench_a  " in errors
    assert "GATE the new run was interrupted: it lacks some results" in errors
    assert "\nbench_a\n  time  " in output
    for run in (*partial, *(load_run(bench.root / f"ab-{side}.json") for side in ("old", "new"))):
        assert not run.complete
        assert run["bench_a.py::bench_a"].time is not None
    assert len(bench.git("worktree", "list").splitlines()) == 1


def test_a_killed_run_loses_the_benchmark_in_progress_alone(bench):
    bench.write("bench_a.py", FAST)
    bench.write("bench_b.py", WAITS)
    with reached(bench, "run", *QUICK, "-o", "part.json") as (process, _):
        process.kill()
        process.communicate(timeout=60)
    run = load_run(bench.root / "part.json")
    assert [one.name for one in run.benchmarks] == ["bench_a.py::bench_a"]
    assert run.benchmarks[0].time is not None
    assert not run.complete


def test_a_set_up_that_is_terminated_leaves_no_checkout(bench):
    bench.git("init", "-q")
    bench.write("setup.sh", "echo $$ > $REACHED.new; mv $REACHED.new $REACHED; sleep 100\n")
    bench.write("bench_a.py", FAST)
    bench.git("add", ".")
    bench.git("commit", "-q", "-m", "a")
    with reached(bench, "ab", "HEAD", "HEAD", *QUICK, "--setup", "sh setup.sh") as (process, shell):
        process.terminate()
        _, errors = process.communicate(timeout=60)
        assert not is_alive(shell)
    assert process.returncode == 143
    assert "interrupted before anything was measured" in errors
    assert len(bench.git("worktree", "list").splitlines()) == 1


def test_each_benchmark_that_is_finished_is_a_line_on_standard_error(bench):
    bench.write("bench_a.py", FAST)
    bench.write("bench_b.py", "def bench_b(b): b.skip('no disk')\n")
    bench.write("bench_helpers.py", "")
    said = bench("run", *QUICK)
    first, none, *lines = [line for line in said.splitlines() if re.match(r"\[|\d+ bench|bench_helpers", line)]
    assert re.fullmatch(r"2 benchmarks in 2 files; about \d+ seconds?", first)
    assert none == "bench_helpers.py defines no benchmark: one is a function `bench_...(b)`"
    assert re.fullmatch(r"\[1/2\] bench_a.py::bench_a  -?[\d.]+ [µnm]?s, 0 allocs", lines[0])
    assert lines[1:] == ["[2/2] bench_b.py::bench_b  SKIPPED: no disk"]


MARKS = "import pathlib\ndef bench_a(b):\n    pathlib.Path('ran').touch()\n    list(b.loop())\ndef bench_b(b): bench_a(b)\n"


def test_a_benchmark_whose_op_is_slow_is_told_while_it_is_measured(bench):
    bench.write("bench_b.py", WAITS)
    with reached(bench, "run", "bench_b.py", *QUICK) as (process, _):
        lines = [process.stderr.readline() for _ in range(2)]  # the op never ends: this comes before
    assert lines[0].startswith("1 benchmark in 1 file; about ")
    assert lines[1] == "bench_b.py::bench_b takes longer than that, as its op does: it gets the time that it needs\n"


def test_a_benchmark_is_told_once_and_not_after_its_end(capsys):
    with SlowNotice(0.0) as slow:
        for _ in range(2):
            slow.watch("a")
            slow._timer.join()
        slow.watch("")
    with SlowNotice(60.0) as slow:
        slow.watch("b")
        timer = slow._timer
        slow.stop()
        timer.join()
    assert capsys.readouterr().err.count("takes longer") == 1


def test_the_names_are_listed_and_nothing_is_measured(bench):
    bench.write("bench_a.py", MARKS)
    bench.write("bench_bad.py", "1 / 0")
    said = bench("run", "--list", status=1)
    assert said.splitlines()[:2] == ["bench_a.py::bench_a", "bench_a.py::bench_b"]
    assert said.splitlines()[2].startswith("FAILED bench_bad.py: does not import: raises ZeroDivisionError")
    assert bench("run", "--list", "-k", "_b", "bench_a.py").splitlines() == ["bench_a.py::bench_b"]
    assert not (bench.root / "ran").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("run", "-k", "bench_z"), 1, "no benchmark has 'bench_z' in its name: there are bench_a.py::bench_"),
        (("run", "-o", "no/a.json"), 1, "no/a.json: cannot be written: there is no directory no: make it first"),
        (("run", "--html", "."), 1, ".: cannot be written: is a directory: name a file in it"),
        (("run", "--pyperf", "a", "-o", "a"), 1, "a: two results cannot be written to one file"),
        (("ab", ".", ".", "-o", "no/a"), 1, "no/a-old.json: cannot be written: there is no directory no"),
        (("ab", ".", ".", "--gate", "time:3"), 2, "gate: time:3 needs a percentage"),
        (("ab", ".", "nowhere"), 1, "nowhere: not an environment, a directory or a git revision"),
        (("ab", ".", ".", "--setup", "make '"), 1, """--setup "make '" is not valid: No closing quotation"""),
        (("ab", ".", ".", "--setup", "no-such-program"), 1, ".: `no-such-program` does not start: No such file"),
        (("ab", ".", ".", "none.py"), 1, ".: none.py: no such file or directory"),
        (("ab", ".", ".", "--gate", "allocs:0,objects:0"), 2, "gate: objects cannot be checked: "),
    ],
)
def test_what_can_be_known_is_known_before_anything_is_measured(bench, arguments, status, said):
    if "objects" in said and sys.version_info >= (3, 13):
        pytest.skip("objects are counted here")
    bench.write("bench_a.py", MARKS)
    assert f"tallymark bench: {said}" in bench(*arguments, status=status).replace(f"{bench.root}/", "")
    assert not (bench.root / "ran").exists()


def test_a_comparison_without_scipy_is_rejected_before_anything_is_measured(bench):
    bench.write("sitecustomize.py", "import sys\nsys.modules['scipy'] = None\n")
    bench.write("bench_a.py", MARKS)
    for command in (("ab", ".", "."), ("compare", "a.json", "b.json")):
        assert "comparing needs SciPy: pip install" in bench(*command, status=1, PYTHONPATH=os.fspath(bench.root))
    assert not (bench.root / "ran").exists()


def test_a_set_up_that_fails_shows_its_last_lines(bench):
    bench.write("setup.sh", "for i in $(seq 100); do echo out $i; done; echo 'no compiler' >&2; exit 3\n")
    said = bench("ab", ".", ".", "--setup", "sh setup.sh", status=1)
    assert ".: `sh setup.sh` failed with status 3:\n" in said
    assert said.splitlines()[-2:] == ["  out 100", "  no compiler"]
    assert len(said.splitlines()) == 11


def test_what_cannot_be_written_in_the_end_is_told_and_the_rest_is_shown(bench):
    bench.write("bench_a.py", "import shutil\ndef bench_a(b):\n    shutil.rmtree('out', True)\n    list(b.loop())\n")
    (bench.root / "out").mkdir()
    said = bench("run", *QUICK, "-o", "out/a.json", "--pyperf", "a.json", status=1)
    assert "bench_a.py::bench_a " in said
    assert "out/a.json: cannot be written: No such file or directory" in said
    assert (bench.root / "a.json").exists()


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_a_standard_file_that_is_closed_harms_nothing(bench, closed):
    bench.write("bench_a.py", FAST)
    command = f'exec "$0" -m tallymark bench run {" ".join(QUICK)} {closed}'
    done = subprocess.run(["sh", "-c", command, sys.executable], cwd=bench.root, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0
    assert "\nbench_a  " in done.stdout


def test_progress_that_nobody_reads_does_not_end_the_run(bench):
    bench.write("bench_a.py", FAST)
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "tallymark", "bench", "run", *QUICK]
    done = subprocess.run(command, cwd=bench.root, stdout=subprocess.PIPE, stderr=writer, text=True, check=False)
    os.close(writer)
    assert done.returncode == 0
    assert "\nbench_a  " in done.stdout


def test_names_that_the_output_cannot_encode_are_escaped(bench):
    (bench.root / os.fsdecode(b"bench_\xff.py")).write_text(FAST)
    assert bench("run", "--list").strip() == "bench_\\udcff.py::bench_a"
    said = bench("run", *QUICK, "-o", "a.json", "--html", "a.html", "--pyperf", "p.json", PYTHONIOENCODING="ascii")
    assert "bench_\\udcff.py\n" in said
    assert load_run(bench.root / "a.json").benchmarks[0].status == "ok"
