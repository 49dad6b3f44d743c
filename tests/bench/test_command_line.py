"""`tallymark bench`, in processes of its own: runs, results, comparisons, gates and exit status."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from bench_results import NEW, OLD

from tallymark.bench.result.result import load_run

pytestmark = pytest.mark.slow

QUICK = ("--quick", "--processes", "2", "--values", "2")

SHOP = """
import shop
from tallymark.bench import parametrize

@parametrize(size=[1, 3])
def bench_order(b, size):
    items = list(range(size))
    b.bytes_processed = 8 * size
    for _ in b.loop():
        shop.order(items)

def bench_refund(b):
    b.skip("no money back")
"""


@pytest.fixture
def shop(bench):
    bench.write("bench_shop.py", SHOP)
    bench.write("shop.py", "def order(items):\n    return items.copy()\n")
    return bench


@pytest.fixture
def results(tmp_path):
    OLD.save(tmp_path / "old.json")
    NEW.save(tmp_path / "new.json")


def test_a_run_measures_writes_and_shows(shop):
    said = shop("run", *QUICK, "-o", "new.json", "--html", "new.html", "--pyperf", "pyperf.json")
    assert said.startswith("bench_shop.py\n")
    assert "\nbench_order[size=3] " in said
    assert max(len(line) for line in said.splitlines() if line.startswith("bench_order")) <= 80
    assert "SKIPPED bench_shop.py::bench_refund: no money back" in said
    run = load_run(shop.root / "new.json")
    one = run["bench_shop.py::bench_order[size=3]"]
    assert (one.allocations.allocs, one.allocations.exact) == (1, True)  # the items; the list itself is reused
    assert len(one.time.processes) == 2
    assert one.cold.allocs >= 1
    assert one.params == {"size": "3"}
    assert one.warmup.steady
    assert run.complete
    assert "<svg" in (shop.root / "new.html").read_text()
    assert len(json.loads((shop.root / "pyperf.json").read_text())["benchmarks"]) == 2
    assert said.startswith(shop("show", "new.json"))  # and then how far it was
    assert "fresh process" in shop("cold", "new.json")


def test_select_and_markdown(shop):
    said = shop("run", *QUICK, "-k", "size=1", "--markdown")
    assert said.startswith("| ")
    assert "size=3" not in said


def test_a_comparison_and_its_gate(bench, bench_here, results):
    said = bench_here("compare", "old.json", "new.json", "--html", "c.html")
    assert "-97.3%" in said
    said = bench("compare", "old.json", "new.json", "--gate", "time:3%,allocs:0,bytes:0", status=1)
    assert [line for line in said.splitlines() if line.startswith("GATE")] == [
        "GATE bench_shop.py::bench_mail: gone: only the old side has it",
        "GATE bench_shop.py::bench_sold_out: failed on the new side: raises KeyError: 'x' (line 43)",
    ]
    assert "<svg" in (bench.root / "c.html").read_text()
    said = bench_here("compare", "new.json", "old.json", "--gate", "time:3%,allocs:0", status=1)
    assert "GATE bench_shop.py::bench_order: allocs 0 -> 9, but the gate allows 0 more" in said
    assert "bench_shop.py::bench_order: time +" in said
    assert bench_here("compare", "old.json", "new.json", "--markdown").startswith("| ")
    assert "Remedy: Move `registry = Registry()`" in bench_here("compare", "old.json", "new.json", "--explain")
    assert "Remedy: Move `registry = Registry()`" in bench_here("show", "new.json", "--explain", status=1)
    assert bench_here("cold", "old.json", "--explain") == bench_here("cold", "old.json")
    assert "'speed:1' is not one of" in bench("compare", "old.json", "new.json", "--gate", "speed:1", status=2)


def test_two_directories_side_by_side(bench):
    for side, work in (("a", "items.copy()"), ("b", "[items.copy(), items.copy()]")):
        bench.write(f"{side}/bench_shop.py", SHOP)
        bench.write(f"{side}/shop.py", f"def order(items):\n    return {work}\n")
    said = bench("ab", "a", "b", *QUICK, "-k", "size=1", "--gate", "allocs:0", "-o", "ab", status=1)
    assert "GATE bench_shop.py::bench_order[size=1]: allocs 1 -> 3" in said
    old, new = (load_run(bench.root / f"ab-{side}.json") for side in ("old", "new"))
    assert (old.environment["side"], new.environment["side"]) == ("a", "b")
    assert old.benchmarks[0].allocations.allocs == 1


def test_two_revisions_side_by_side(bench):
    bench.git("init", "-q")
    bench.write("bench_shop.py", SHOP)
    for work in ("items.copy()", "[items.copy(), items.copy()]"):
        bench.write("shop.py", f"def order(items):\n    return {work}\n")
        bench.git("add", ".")
        bench.git("commit", "-q", "-m", work)
    said = bench("ab", "HEAD~1", "HEAD", *QUICK, "-k", "size=1", "--setup", "git status")
    assert "+" in next(line for line in said.splitlines() if "allocs" in line)
    assert len(bench.git("worktree", "list").splitlines()) == 1
    assert "nowhere: not an environment, a directory or a git revision" in bench("ab", "nowhere", "HEAD", *QUICK, status=1)
    assert "`false` failed" in bench("ab", "HEAD", "HEAD", *QUICK, "--setup", "false", status=1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "missing.py"), "missing.py: no such file or directory"),
        (("run", "."), "no bench_*.py in .: name a file or a directory"),
        (("show", "missing.json"), "missing.json: No such file or directory"),
        (("show", "text.json"), "text.json: not JSON"),
        (("compare", "other.json", "other.json"), "other.json: not a result of `tallymark bench run`"),
    ],
)
def test_an_unreadable_file_is_one_line(bench, arguments, said):
    bench.write("text.json", "hello")
    bench.write("other.json", "{}")
    output = bench(*arguments, status=1)
    assert said in output
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("run", "--processes", "0"), ("run", "--timeout", "nan"), ("run", "--values", "x"), ()])
def test_a_command_line_that_is_not_valid(bench, arguments):
    assert "usage:" in bench(*arguments, status=2)


def test_an_interrupted_run_keeps_what_was_measured(bench):
    bench.write("bench_a.py", "def bench_a(b):\n    for _ in b.loop():\n        [].copy()\n")
    wait = "pathlib.Path('reached').touch(); time.sleep(100)"
    bench.write("bench_b.py", f"import pathlib, time\ndef bench_b(b):\n    for _ in b.loop():\n        {wait}\n")
    command = [sys.executable, "-m", "tallymark", "bench", "run", "-o", "part.json"]
    process = subprocess.Popen(command, cwd=bench.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (bench.root / "reached").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "INTERRUPTED" in output
    assert "Traceback" not in errors
    run = load_run(bench.root / "part.json")
    assert not run.complete
    assert run["bench_a.py::bench_a"].allocations.allocs == 0


def test_without_the_extension_there_are_times_and_a_reason(shop):
    shop.write("sitecustomize.py", "import sys\nsys.modules['tallymark.bench._allocs'] = None\n")
    said = shop("run", *QUICK, "-k", "size=1", "-o", "time.json", PYTHONPATH=os.fspath(shop.root))
    assert "EMPTY allocs, reallocs, bytes: the extension tallymark.bench._allocs was not built: install a C compiler" in said
    one = load_run(shop.root / "time.json").benchmarks[0]
    assert one.allocations is None
    assert one.time is not None
    assert one.cold.allocs is None


@pytest.mark.parametrize("place", range(4))
def test_options_may_stand_anywhere_among_names(bench, place):
    bench.write("bench_a.py", "def bench_a(b):\n    for _ in b.loop(): pass\n")
    arguments = [".", ".", "bench_a.py"]
    arguments[place:place] = ["-k", "other", "--quick"]
    assert "no benchmark has 'other' in its name" in bench("ab", *arguments, status=1)
