"""Instructions per op: by callgrind in processes of its own, and by the processor's counter, which is faked here."""

import contextlib
import errno
import gc
import os
import shutil
import struct
import sys
import threading

import pytest
from bench_results import benchmark, run

from tallymark.bench import instructions
from tallymark.bench.benchmark import run_once
from tallymark.bench.compare.compare import compare
from tallymark.bench.compare.gate import parse_gate
from tallymark.bench.compare.instructions import RESOLUTION
from tallymark.bench.errors import BenchError
from tallymark.bench.instructions import ProcessorCounter, choose_counter
from tallymark.bench.measure.count_instructions import count_instructions
from tallymark.bench.measure.passes import InstructionPass
from tallymark.bench.measure.run_worker import run_worker
from tallymark.bench.measure.target import Target
from tallymark.bench.result.result import InstructionResult, load_run

_perf = pytest.importorskip("tallymark.bench._perf", reason="the extension was not built")

KNOWN = """
def bench_one(b):
    x, y = 1.5, 2.5
    for _ in b.loop():
        x + y

def bench_ten(b):
    x, y = 1.5, 2.5
    for _ in b.loop():
        x + y; x + y; x + y; x + y; x + y; x + y; x + y; x + y; x + y; x + y

def bench_sum(b):
    items = list(range(1000 if SIDE == "old" else 1010))
    for _ in b.loop():
        sum(items)
"""


counting = sys.modules[count_instructions.__module__]


@pytest.fixture
def valgrind(tmp_path, monkeypatch):
    """Valgrind, one hash seed, and links that no other run waits for. Skipped without it, unless it is required."""
    monkeypatch.setattr(counting, "SEEDS", (0,))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if shutil.which("valgrind") is None and not os.environ.get("TALLYMARK_REQUIRE_VALGRIND"):
        pytest.skip("needs valgrind (TALLYMARK_REQUIRE_VALGRIND makes this a failure)")


def count(root, function, source=KNOWN, wanted="callgrind", name="bench_known.py"):
    """Count the instructions of one benchmark of a file in a directory."""
    root.mkdir(exist_ok=True)
    (root / name).write_text(source)
    request = {"task": "instructions", "file": str((root / name).resolve()), "function": function, "index": 0}
    return count_instructions(Target(root=str(root)), request, 100, wanted)


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.usefixtures("valgrind")
def test_equal_code_in_two_directories_counts_equally(tmp_path, monkeypatch):
    monkeypatch.setattr(counting, "SEEDS", (0, 1))
    source = f"SIDE = 'old'\n{KNOWN}"
    old, new = (count(tmp_path / name, "bench_sum", source)["instructions"] for name in ("old", "another_name"))
    assert old["per_op"] == pytest.approx(new["per_op"], rel=RESOLUTION)
    assert old["counter"] == "callgrind"


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.usefixtures("valgrind")
def test_one_per_cent_more_work_is_one_per_cent_more_instructions(tmp_path):
    sides = [count(tmp_path / side, "bench_sum", f"SIDE = {side!r}\n{KNOWN}") for side in ("old", "new")]
    old, new = (InstructionResult(**{**one["instructions"], "path": ()}) for one in sides)
    assert new.per_op / old.per_op == pytest.approx(1.01, abs=0.001)
    comparison = compare(run(benchmark(instructions=old)), run(benchmark(instructions=new)))
    assert len(parse_gate("instr:1%").check(comparison)) == 1
    assert parse_gate("instr:2%").check(comparison) == []


@pytest.mark.slow
@pytest.mark.usefixtures("valgrind")
def test_ten_statements_count_ten_times_one(tmp_path):
    one, ten = (count(tmp_path / "known", f"bench_{name}")["instructions"]["per_op"] for name in ("one", "ten"))
    assert one > 0
    assert ten == pytest.approx(10 * one, rel=0.1)  # the first shares the loop's registers


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.usefixtures("valgrind")
def test_all_that_names_a_path_is_the_same_on_both_sides(tmp_path):
    """The benchmark raises what it sees: its file, its code's file, and the import path."""
    source = """
import sys, helper
def bench_paths(b):
    raise ValueError([__file__, bench_paths.__code__.co_filename, helper.__file__, sys.path[:2]])
"""
    said = []
    for side in ("old", "a_longer_name"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "helper.py").touch()
        said.append(count(tmp_path / side, "bench_paths", source)["failed"])
    assert said[0] == said[1]
    assert "a_longer_name" not in said[0]


def test_without_any_counter_a_gate_is_refused_before_anything_is_measured(bench):
    measured = "import pathlib\npathlib.Path('measured').touch()\ndef bench_a(b):\n    for _ in b.loop(): pass\n"
    bench.write("bench_a.py", measured)
    bench.write("sitecustomize.py", "import sys\nsys.modules['tallymark.bench._perf'] = None\n")
    said = bench("ab", ".", ".", "--gate", "instr:1%", status=2, PYTHONPATH=os.fspath(bench.root))
    assert "gate: instructions cannot be counted here: the extension tallymark.bench._perf was not built" in said
    assert not (bench.root / "measured").exists()


class FakePerf:
    """A module `_perf` without a processor's counter."""

    CAN_ASK_VALGRIND = True

    def __init__(self, number):
        self._number = number

    def Counter(self):
        raise OSError(self._number, os.strerror(self._number))


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.ENOENT, "(ENOENT): this machine offers no counter"),
        (errno.EACCES, "(EACCES): the system forbids it: set /proc/sys/kernel/perf_event_paranoid"),
        (errno.EPERM, "(EPERM): the system forbids it: a container"),
        (errno.ENOSYS, "(ENOSYS): only Linux"),
        (errno.EMFILE, "(EMFILE): Too many open files"),
    ],
)
def test_a_counter_that_cannot_be_read_is_told_with_its_cause(monkeypatch, number, why):
    monkeypatch.setattr(instructions, "_perf", FakePerf(number))
    assert choose_counter("auto")[0] == ""
    assert why in choose_counter("auto")[1]
    monkeypatch.setattr(instructions.shutil, "which", lambda name: "/usr/bin/valgrind")
    assert choose_counter("count")[0] == "callgrind"
    monkeypatch.setattr(instructions.shutil, "which", lambda name: None)
    name, reason = choose_counter("count")
    assert name == ""
    assert "apt-get install valgrind" in reason


def test_where_the_processor_counts_callgrind_is_not_used(monkeypatch):
    class Counts(FakePerf):
        def Counter(self):
            return _perf.Counter(fd=os.open(os.devnull, os.O_RDONLY))

    monkeypatch.setattr(instructions, "_perf", Counts(0))
    assert choose_counter("auto") == ("perf", "")
    assert choose_counter("count") == ("perf", "")
    assert choose_counter("callgrind")[0] in ("callgrind", "")


def test_a_machine_without_a_counter_leaves_the_column_out_unasked(tmp_path, monkeypatch):
    monkeypatch.setattr(instructions, "_perf", FakePerf(errno.ENOENT))
    assert count(tmp_path, "bench_one", wanted="auto") == {}


def kernel(*readings):
    """A descriptor that answers with these readings, as the kernel's do."""
    reader, writer = os.pipe()
    os.write(writer, b"".join(struct.pack("QQQ", *one) for one in readings))
    os.close(writer)
    return reader


def test_the_processors_counter_is_read_and_closed():
    fd = kernel((100, 5, 5), (350, 9, 9))
    counter = _perf.Counter(fd=fd)
    measured = ProcessorCounter(counter.read)
    measured.start()
    assert measured.stop() == 250
    with pytest.raises(OSError, match="answered 0 bytes"):
        counter.read()
    counter.close()
    counter.close()
    with pytest.raises(ValueError, match="the counter is closed"):
        counter.read()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_counter_that_shared_the_processors_is_not_believed():
    readings = iter([(100, 5, 5), (350, 9, 8)])
    counter = ProcessorCounter(lambda: next(readings))
    counter.start()
    with pytest.raises(BenchError, match="counted 3 of 4 ns, as other programs use the counters too"):
        counter.stop()


def test_a_counter_of_a_thread_that_ended_is_not_read_by_a_later_one():
    counters, read = [], []  # a later thread often gets the identifier of one that ended

    def make():
        counters.append(_perf.Counter(fd=kernel((1, 1, 1))))

    def use():
        with contextlib.suppress(RuntimeError):
            read.append(counters[-1].read())

    for _ in range(20):
        for target in (make, use):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert not read


def test_a_counter_belongs_to_its_thread_and_process():
    counter = _perf.Counter(fd=kernel((1, 1, 1), (2, 2, 2)))
    said = []

    def read():
        try:
            counter.read()
        except RuntimeError as error:
            said.append(str(error))

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    child = os.fork()
    if child == 0:
        read()
        os._exit(len(said))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert said == ["a counter counts the thread that made it: make one in this thread"]
    assert counter.read() == (1, 1, 1)


def test_counters_that_are_dropped_leave_no_descriptor():
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(200):
        _perf.Counter(fd=kernel((1, 1, 1)))
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_descriptor_that_is_not_one_is_an_error():
    counter = _perf.Counter(fd=987_654)
    with pytest.raises(OSError, match="Bad file descriptor"):
        counter.read()
    with pytest.raises(OSError, match="Bad file descriptor"):
        counter.close()
    counter.close()
    with pytest.raises(TypeError):
        _perf.Counter("text")


def test_outside_of_valgrind_its_requests_do_nothing():
    assert _perf.on_valgrind() is False
    for request in (_perf.start_instrumentation, _perf.zero_stats, _perf.dump_stats, _perf.stop_instrumentation):
        assert request() is None
    with pytest.raises(BenchError, match="does not run under Valgrind"):
        instructions.Callgrind("stem")


class Ledger:
    """A counter that counts 1,000 for each op of a benchmark that reports to it, and 500 for each reading."""

    name = "ledger"

    def __init__(self, per_op=1000):
        self.per_op, self.total, self.ops, self.paused = per_op, 0, 0, True

    def op(self):
        self.ops += 1
        self.total += 0 if self.paused else self.per_op

    def start(self):
        self.total = 500

    def stop(self):
        return self.total

    def pause(self):
        self.paused = True

    def resume(self):
        self.paused = False


@pytest.mark.parametrize("per_op", [1, 1000, 1_000_000, 15_000_000])
def test_what_a_reading_costs_cancels_out(per_op):
    ledger = Ledger(per_op)

    def bench_ledger(b):
        for _ in b.loop():
            ledger.op()

    measured = InstructionPass(ledger)
    run_once(bench_ledger, {}, measured)
    assert set(measured.readings) == {per_op}
    assert gc.isenabled()
    assert ledger.ops <= 500 + 1000 + 4 * 8 * 1000 + 20


def test_an_op_of_seconds_runs_a_few_times():
    ledger = Ledger(10**9)

    def bench_ledger(b):
        for _ in b.loop():
            ledger.op()

    measured = InstructionPass(ledger)
    run_once(bench_ledger, {}, measured)
    assert measured.per_op == pytest.approx(10**9, rel=1e-6)
    assert ledger.ops <= 6


def counted(*medians, counter="callgrind", spread=0.0, path=("/side",)):
    samples = tuple((one * (1 - spread), one, one * (1 + spread)) for one in medians)
    seeds = tuple(range(len(medians)))
    return InstructionResult(sum(medians) / len(medians), counter, seeds, samples, 1000, path)


def judged(gate, old, new):
    comparison = compare(run(benchmark(instructions=old)), run(benchmark(instructions=new)))
    return parse_gate(gate).check(comparison), comparison


def test_a_gate_fails_from_its_limit_on():
    old = counted(10_000, 10_100, 10_050)
    assert judged("instr:1%", old, old)[0] == []
    assert judged("instr:0%", old, counted(10_004, 10_104, 10_054))[0] == []
    assert judged("instr:1%", old, counted(10_090, 10_190, 10_140))[0] == []
    said = judged("instr:1%", old, counted(10_100, 10_201, 10_150))[0]
    assert said == ["bench_shop.py::bench_order: instr 10,050 -> 10,150, but the gate allows 1.0% more"]
    assert len(judged("instr:50", old, counted(10_100, 10_201, 10_150))[0]) == 1
    assert len(judged("instr:0%", old, counted(10_030, 10_130, 10_080))[0]) == 1
    assert judged("instr:0%", counted(10_030, 10_130, 10_080), old)[0] == []


def test_only_hash_seeds_that_both_sides_have_are_compared():
    old, new = counted(10_000, 12_000), counted(10_000)
    assert judged("instr:1%", new, old)[0] == []
    assert judged("instr:1%", old, new)[1].benchmarks[0].instr.delta == 0


def test_counts_that_vary_by_themselves_do_not_fail_a_gate():
    old, new = counted(10_000, 10_000, spread=0.05), counted(10_150, 10_150, spread=0.05)  # quartiles lie 5 % apart
    assert judged("instr:1%", old, new)[0] == []
    assert not judged("instr:1%", old, new)[1].benchmarks[0].instr.apart


def test_counts_of_two_kinds_of_counter_are_not_compared():
    violations, comparison = judged("instr:1%", counted(10_000), counted(10_000, counter="perf"))
    one = comparison.benchmarks[0]
    assert one.instr is None
    assert [finding.kind for finding in one.findings] == ["counters-differ"]
    assert "instr cannot be checked against the limit of 1.0%" in violations[0]


def test_sides_that_import_from_different_paths_are_told_apart():
    one = judged("instr:1%", counted(10_000), counted(10_000, path=("/elsewhere",)))[1].benchmarks[0]
    assert "the sides import from different paths, /side and /elsewhere" in one.findings[0].message


def test_a_result_keeps_its_instructions(tmp_path):
    run(benchmark(instructions=counted(10_000, 10_100))).save(tmp_path / "one.json")
    assert load_run(tmp_path / "one.json").benchmarks[0].instructions == counted(10_000, 10_100)


def test_a_side_whose_tallymark_is_older_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(counting, "choose_counter", lambda wanted: ("perf", ""))
    monkeypatch.setattr(counting, "run_worker", lambda *_, **__: {"failed": "raises KeyError: 'instructions'"})
    assert "the tallymark on this side is older" in count(tmp_path, "bench_one")["failed"]


@pytest.mark.parametrize(("counts", "seeds"), [((5000, 5004), (0, 1)), ((5000, 5020, 5010), (0, 1, 2))])
def test_a_third_hash_seed_is_counted_where_two_differ(tmp_path, monkeypatch, counts, seeds):
    answers = [{"instructions": {"samples": [float(one)] * 3, "ops": 9, "path": []}} for one in counts]
    monkeypatch.setattr(counting, "choose_counter", lambda wanted: ("perf", ""))
    monkeypatch.setattr(counting, "run_worker", lambda _target, request, *_, **__: answers[request["seed"]])
    found = count(tmp_path, "bench_one")["instructions"]
    assert found["seeds"] == seeds
    assert found["per_op"] == sum(counts) / len(counts)


def test_a_reading_far_off_does_not_hide_a_change():
    def side(count):
        readings = (1.1 * count, *(count * (1 + step / 10_000) for step in (-9, -4, 0, 1, 5, 9)))
        return InstructionResult(count, "callgrind", (0, 1), (readings, readings))

    assert len(judged("instr:1%", side(141_000), side(142_410))[0]) == 1


def test_a_processors_counter_is_used_in_workers(tmp_path):
    """A worker whose `_perf` is faked: what it counts is what its op reports."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, types\n"
        "fake = types.ModuleType('tallymark.bench._perf')\n"
        "fake.count = 0\n"
        "fake.Counter = lambda: types.SimpleNamespace(read=lambda: (fake.count, 1, 1))\n"
        "sys.modules['tallymark.bench._perf'] = fake\n"
    )
    source = "import sys\nfake = sys.modules['tallymark.bench._perf']\n"
    source += "def bench_a(b):\n    for _ in b.loop():\n        fake.count += 7\n"
    (tmp_path / "bench_a.py").write_text(source)
    request = {"task": "instructions", "file": str(tmp_path / "bench_a.py"), "function": "bench_a", "index": 0}
    request |= {"counter": "perf", "stem": "", "seed": 0}
    answer = run_worker(Target(root=str(tmp_path), path=(str(tmp_path),)), request, 60)
    assert set(answer["instructions"]["samples"]) == {7.0}
