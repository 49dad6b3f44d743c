"""Sessions: what is found, in which order it is measured, and what an interruption leaves. The workers are made up."""

import pytest

from tallymark.bench.errors import BenchmarkFileError
from tallymark.bench.measure import measure as module
from tallymark.bench.measure.session import find, measure
from tallymark.bench.measure.target import Target
from tallymark.bench.settings import Settings

COUNTED = {"allocations": {"allocs": 1.0, "bytes": 8.0, "arenas": 0.0}}
COLLECTED = {"collections": {"per_1000": 0.0, "pause": 0.0, "time_on": 1e-6, "time_off": 1e-6}}
PASSES = Settings(passes=("allocations", "collections"))


class Workers:
    """Answers instead of a process. `answers` has an answer, or what is raised, by target, benchmark and task."""

    def __init__(self, *functions):
        self.listed = [
            {"function": name, "index": 0, "line": 1, "params": {}, "name": name}
            for name in functions or ("bench_a", "bench_b")
        ]
        self.answers = {}
        self.ran = []

    def __call__(self, target, request, timeout):
        if request["task"] == "list":
            return self.answers.get("list", {"benchmarks": self.listed, "environment": {"python": "3.13.0"}})
        key = (target.name, request["function"], request["task"])
        self.ran.append(key)
        answer = self.answers.get(key, COUNTED if request["task"] == "allocations" else COLLECTED)
        if isinstance(answer, type):
            raise answer
        return answer


@pytest.fixture
def workers(tmp_path, monkeypatch):
    (tmp_path / "bench_x.py").touch()
    made = Workers()
    monkeypatch.setattr(module, "run_worker", made)
    monkeypatch.setattr(module, "CALM", 1.0, raising=False)
    return made


def sides(tmp_path, *names):
    return [Target(name, root=str(tmp_path)) for name in names]


def test_a_benchmark_is_finished_on_all_sides_before_the_next_begins(workers, tmp_path):
    told = []
    measure(targets=sides(tmp_path, "old", "new"), settings=PASSES, finished=told.append, one_by_one=True)
    assert workers.ran == [
        (side, name, task)
        for name in ("bench_a", "bench_b")
        for task in ("allocations", "collections")
        for side in ("old", "new")
    ]
    assert [[one.name for one in results] for results in told] == [[f"bench_x.py::bench_{name}"] * 2 for name in "ab"]


def test_by_default_all_benchmarks_are_interleaved(workers, tmp_path):
    measure(targets=sides(tmp_path, "this"), settings=PASSES)
    assert workers.ran == [("this", name, task) for task in PASSES.passes for name in ("bench_a", "bench_b")]


@pytest.mark.parametrize("answer", [{"allocations": 5}, {"allocations": {"allocs": "x"}}, {}, {"warmup": [1]}, []])
def test_a_damaged_answer_fails_its_benchmark_alone(workers, tmp_path, answer):
    workers.answers["this", "bench_a", "allocations"] = answer
    (run,) = measure(targets=sides(tmp_path, "this"), settings=PASSES, one_by_one=True)
    a, b = run.benchmarks
    assert (a.status, b.status) == ("failed" if answer else a.status, "ok")
    if answer:
        assert a.reason.startswith("the answer of its process makes no sense (")
    assert b.allocations.allocs == 1
    assert run.complete


def test_a_damaged_list_fails_its_file(workers, tmp_path):
    workers.answers["list"] = {"benchmarks": [{"name": "x"}], "environment": 3}
    (run,) = measure(targets=sides(tmp_path, "this"), settings=PASSES)
    (one,) = run.benchmarks
    assert one.name == "bench_x.py"
    assert one.reason.startswith("does not import: the answer of its process makes no sense")


def test_an_interruption_leaves_what_is_finished_and_what_was_begun(workers, tmp_path):
    workers.listed.append({**workers.listed[0], "function": "bench_c", "name": "bench_c"})
    workers.answers["this", "bench_b", "collections"] = KeyboardInterrupt
    told = []
    (run,) = measure(targets=sides(tmp_path, "this"), settings=PASSES, finished=told.append, one_by_one=True)
    a, b = run.benchmarks
    assert not run.complete
    assert (a.collections.per_1000, a.reasons) == (0, {})
    assert (b.allocations.allocs, b.collections) == (1, None)
    assert b.reasons == {"collections": "interrupted before it was measured"}
    assert told == [[a]]


def test_what_is_found_is_known_before_it_is_measured(workers, tmp_path):
    (tmp_path / "bench_y.py").touch()
    session = find(targets=sides(tmp_path, "old", "new"), settings=PASSES)
    assert session.names == [f"bench_{file}.py::bench_{name}" for file in "xy" for name in "ab"]
    assert session.files == ["bench_x.py", "bench_y.py"]
    assert session.seconds > 0
    assert [run.environment["python"] for run in session.runs] == ["3.13.0"] * 2
    assert workers.ran == []


def test_a_text_that_no_name_has_is_an_error_that_names_those_that_are_near(workers, tmp_path):
    workers.listed = Workers(*[f"bench_{name}" for name in ("copy", "dumps", "loads", "merge", "split", "strip")]).listed
    with pytest.raises(BenchmarkFileError) as raised:
        measure(targets=sides(tmp_path, "this"), select="dump_s")
    assert "no benchmark has 'dump_s' in its name: there are bench_x.py::bench_dumps" in str(raised.value)
    assert "more, see --list" in str(raised.value)
    with pytest.raises(BenchmarkFileError, match="no benchmark is selected"):
        measure(targets=sides(tmp_path, "this"), select=lambda name: False)


def test_files_without_benchmarks(workers, tmp_path):
    workers.listed = []
    with pytest.raises(BenchmarkFileError, match=r"no benchmark in bench_x.py: define a function `bench_\.\.\.\(b\)`"):
        find(["bench_x.py"], targets=sides(tmp_path, "this"))


def test_a_side_on_which_no_file_imports_is_an_error_before_measuring(workers, tmp_path):
    workers.answers["list"] = {"failed": "raises ImportError"}
    with pytest.raises(BenchmarkFileError, match=r"old: bench_x.py does not import: raises ImportError"):
        measure(targets=sides(tmp_path, "old", "new"), settings=PASSES)
    (run,) = measure(targets=sides(tmp_path, "this"), settings=PASSES)  # alone, it is a result
    assert [one.status for one in run.benchmarks] == ["failed"]
