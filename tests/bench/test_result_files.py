"""Result files: what is written can be read again, and a wrong file is rejected in one line."""

import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pyperf
import pytest
from bench_results import ENVIRONMENT, NEW, OLD, benchmark, run, times
from hypothesis import given, settings
from hypothesis import strategies as st

from tallymark.bench.compare.compare import compare
from tallymark.bench.compare.gate import parse_gate
from tallymark.bench.errors import BenchError, ResultFileError
from tallymark.bench.result.files import check_writable
from tallymark.bench.result.pyperf import from_pyperf, to_pyperf
from tallymark.bench.result.result import load_run, run_from_json
from tallymark.bench.result.writer import RunWriter
from tallymark.bench.show.html import comparison_html, run_html
from tallymark.bench.show.markdown import comparison_markdown, run_markdown
from tallymark.bench.show.tables import show_cold, show_comparison, show_run


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
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from([[], {}, [{}], [[]], 0, -1, 10**400, -(10**400), 1e308, 5e-324, {"a": {"b": [1]}}, "\ud800"]),
)


def rejection(read, data, origin):
    """Return the error with which a reader rejects data, or None if it accepts them."""
    try:
        read(data, origin)
    except ResultFileError as rejected:
        return str(rejected)
    return None


def use(result):
    """Show a result in all ways, and compare it."""
    for show in (show_run, show_cold):
        show(result, io.StringIO())
    run_markdown(result), run_html(result), to_pyperf(result), result.to_json()
    comparison = compare(OLD, result, noise=0.01)
    show_comparison(comparison, io.StringIO())
    comparison_markdown(comparison), comparison_html(comparison)
    parse_gate("time:3%,allocs:0,bytes:0,objects:0").check(comparison)


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
    data = changed(plain(OLD), at, value)
    said = rejection(run_from_json, data, "a.json")
    if said is None:
        use(run_from_json(data))
    else:
        assert said.startswith("a.json: ")
        assert "\n" not in said


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
        (("benchmarks", 0, "allocations", "allocs"), 10**310, "allocs must be finite"),
        (("benchmarks", 0, "time", "processes"), [], "benchmarks[0].time has no values: 'bench_shop.py::bench_order'"),
        (("benchmarks", 0, "time", "processes", 3, "values"), [], "benchmarks[0].time has no values"),
        (("benchmarks", 1, "name"), "bench_shop.py::bench_order", "two benchmarks have the name 'bench_shop.py::bench_order'"),
        (("benchmarks", 1, "status"), "fine", "benchmarks[1].status must be ok, skipped or failed, not 'fine'"),
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
    with pytest.raises(ResultFileError, match="Is a directory"):
        load_run(tmp_path)


def test_a_file_without_end_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr("tallymark.bench.result.result.LARGEST", 1000)
    OLD.save(tmp_path / "a.json")
    with pytest.raises(ResultFileError, match="larger than 1,000 bytes"):
        load_run(tmp_path / "a.json")


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    OLD.save(tmp_path / "a.json")
    path = tmp_path / "b.json"
    path.write_bytes(b"\xef\xbb\xbf" + (tmp_path / "a.json").read_bytes())
    assert load_run(path) == OLD


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    OLD.save(path)
    monkeypatch.setattr(Path, "replace", raises_no_space)
    with pytest.raises(OSError, match="No space"):
        NEW.save(path)
    assert load_run(path) == OLD
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def raises_no_space(self, target):
    raise OSError(28, "No space left on device")


def test_what_is_no_regular_file_is_not_replaced(tmp_path):
    (tmp_path / "a.json").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a.json")
    OLD.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert load_run(tmp_path / "a.json") == OLD
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDWR)
    run().save(tmp_path / "pipe")
    assert run_from_json(json.loads(os.read(reader, 65536))) == run()
    os.close(reader)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.json", "link", "pipe"]


def test_the_file_of_a_run_grows_by_each_benchmark(tmp_path):
    path = tmp_path / "a.json"
    writer = RunWriter(path, replace(OLD, benchmarks=OLD.benchmarks[:1]))
    for count, one in enumerate(OLD.benchmarks[1:], 2):
        writer.add(one)
        assert load_run(path) == replace(OLD, benchmarks=OLD.benchmarks[:count], complete=False)
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no/a.json", "there is no directory .*no: make it first"),
        (".", "is a directory: name a file in it"),
        ("file/a.json", "there is no directory .*file: make it first"),
        ("x" * 300, "File name too long"),
    ],
)
def test_where_nothing_can_be_written_is_known_before(tmp_path, name, said):
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match=said):
        check_writable([tmp_path / name])


def test_a_check_leaves_nothing_behind(tmp_path):
    (tmp_path / "old.json").write_text("old")
    check_writable([tmp_path / "old.json", tmp_path / "new.json", "/dev/null", "/dev/null"])  # only looks at these
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("old.json", "old")]
    with pytest.raises(BenchError, match="two results cannot be written to one file"):
        check_writable([tmp_path / "a.json", f"{tmp_path}/./a.json"])


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
