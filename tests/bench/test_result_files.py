"""Result files: what is written can be read again, and a wrong file is rejected in one line."""

import json

import pyperf
import pytest
from bench_results import ENVIRONMENT, NEW, OLD, benchmark, run, times
from hypothesis import given, settings
from hypothesis import strategies as st

from tallymark.bench.errors import ResultFileError
from tallymark.bench.result.pyperf import from_pyperf, to_pyperf
from tallymark.bench.result.result import load_run, run_from_json


def plain(result):
    return json.loads(json.dumps(result.to_json()))


@pytest.mark.parametrize("result", [OLD, NEW, run()])
def test_a_run_is_read_as_it_was_written(result, tmp_path):
    result.save(tmp_path / "run.json")
    assert load_run(tmp_path / "run.json") == result
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def paths(data, at=()):
    """Yield the path to every value in a document."""
    yield at
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from paths(value, (*at, key))


PLACES = [at for at in paths(plain(OLD)) if at]
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.sampled_from([[], {}, [{}], [[]]])
)


def rejection(read, data, origin):
    """Return the error with which a reader rejects data, or None if it accepts them."""
    try:
        read(data, origin)
    except ResultFileError as rejected:
        return str(rejected)
    return None


def changed(data, at, value):
    data = json.loads(json.dumps(data))
    inner = data
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    return data


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PLACES), ANYTHING)
def test_a_damaged_run_is_read_or_rejected_in_one_line(at, value):
    said = rejection(run_from_json, changed(plain(OLD), at, value), "a.json")
    assert said is None or (said.startswith("a.json: ") and "\n" not in said)


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        (("version",), 2, "version 2, and this toolkit reads version 1: upgrade tallymark"),
        (("format",), "other", "not a result of `tallymark bench run`"),
        (("benchmarks",), {}, "run.benchmarks must be a list"),
        (("benchmarks", 0, "name"), 3, "run.benchmarks[0].name must be str, not int"),
        (("benchmarks", 0, "time", "processes", 1, "values", 0), "x", "processes[1].values[0] must be float, not str"),
        (("benchmarks", 0, "allocations", "samples", 0), [1], "samples[0] must have 2 items"),
        (("benchmarks", 0, "allocations", "allocs"), float("nan"), "allocs must be finite"),
        (("complete",), 1, "run.complete must be bool, not int"),
    ],
)
def test_what_is_wrong_is_named(at, value, said):
    with pytest.raises(ResultFileError) as rejected:
        run_from_json(changed(plain(OLD), at, value), "a.json")
    assert said in str(rejected.value)


def test_files_that_are_no_results_are_rejected(tmp_path):
    for text in (b"", b"{", b"[]", b"\xff\xfe", b"null", b"[" * 100_000):
        path = tmp_path / "a.json"
        path.write_bytes(text)
        with pytest.raises(ResultFileError):
            load_run(path)
    with pytest.raises(ResultFileError):
        load_run(tmp_path)


TIMED = run(benchmark("a", 1e-6), benchmark("b", 2e-6, time=times(2e-6, processes=3)))


def test_pyperf_reads_what_is_written_for_it(tmp_path):
    path = tmp_path / "pyperf.json"
    path.write_text(json.dumps(to_pyperf(TIMED)))
    suite = pyperf.BenchmarkSuite.load(str(path))
    assert suite.get_benchmark_names() == ["a", "b"]
    a = suite.get_benchmark("a")
    assert list(a.get_values()) == [value for process in TIMED["a"].time.processes for value in process.values]
    assert len(suite.get_benchmark("b").get_runs()) == 3
    assert load_run(path)["a"].time.medians == TIMED["a"].time.medians
    assert load_run(path).environment["python"] == ENVIRONMENT["python"]


def test_what_pyperf_writes_is_read(tmp_path):
    runs = [
        pyperf.Run([1.0, 1.5, 2.0], metadata={"name": "x", "loops": 4}, warmups=[(4, 3.0)], collect_metadata=False)
        for _ in range(2)
    ]
    path = tmp_path / "pyperf.json"
    pyperf.BenchmarkSuite([pyperf.Benchmark(runs)]).dump(str(path))
    (one,) = load_run(path).benchmarks
    assert one.name == "x"
    assert [process.values for process in one.time.processes] == [(1.0, 1.5, 2.0)] * 2
    assert {process.loops for process in one.time.processes} == {4}


def test_pyperf_benchmarks_that_hold_no_times_are_skipped():
    data = to_pyperf(TIMED)
    data["benchmarks"][0]["metadata"]["unit"] = "byte"
    data["benchmarks"][1]["runs"] = []
    first, second = from_pyperf(data).benchmarks
    assert (first.status, first.reason) == ("skipped", "its unit is 'byte', and only times are read")
    assert (second.status, second.reason) == ("skipped", "it has no values")


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([at for at in paths(to_pyperf(TIMED)) if at]), ANYTHING)
def test_a_damaged_pyperf_file_is_read_or_rejected_in_one_line(at, value):
    said = rejection(from_pyperf, changed(to_pyperf(TIMED), at, value), "p.json")
    assert said is None or (said.startswith("p.json: ") and "\n" not in said)
