"""The benchmark plan: every benchmark runs, criteria tell good figures from bad, and the pages show the committed figures."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import prometheus_client  # noqa: F401 - before a benchmark file sets the variable by which it chooses its mode
import pytest

from plan import figures as measured
from plan import lifetimes, memory, original, publish, scrapes, tables
from plan.criteria import criteria
from plan.figures import Figure, Figures
from plan.ratios import RATIOS, Ratio
from tallymark.bench.benchmark import run_once, variants
from tallymark.bench.discover import functions, load_file
from tallymark.bench.measure.passes import CheckPass
from tallymark.bench.names import variant_names

pytestmark = [pytest.mark.slow, pytest.mark.once]

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FILES = sorted(BENCHMARKS.rglob("bench_*.py"))


@pytest.fixture(scope="module")
def committed() -> Figures:
    return measured.load(publish.FIGURES)


@pytest.fixture
def path_and_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loading a benchmark file puts it among the modules, and its directory first on the path; one sets a variable."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")  # so that it is as before in the end: not set
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR")
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("bench_"):
            del sys.modules[name]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_benchmark_runs(file: Path, path_and_modules: None) -> None:
    for function in functions(load_file(str(file))).values():
        for params in variants(function):
            if params.get("series", 0) <= 10_000:
                run_once(function, params, CheckPass())


def test_every_benchmark_has_a_figure(committed: Figures, path_and_modules: None) -> None:
    for file in FILES:
        for function in functions(load_file(str(file))).values():
            for variant, _ in variant_names(function.__name__, variants(function)):
                if "client=promrs" in variant:  # there is none for the Python of the committed figures
                    continue
                name = f"{measured.short(str(file))}::{variant}"
                assert name in committed.benchmarks


@pytest.mark.parametrize("name", [name for name, _ in original.COUNTERPARTS.values()])
def test_every_counterpart_is_a_benchmark(name: str, committed: Figures) -> None:
    assert name in committed.benchmarks


def test_the_recorded_figures_of_the_original() -> None:
    found = original.recorded()
    assert len(found) == 20
    assert set(original.COUNTERPARTS) <= set(found)
    assert found["CounterWith"] == {"bytes": 416, "allocs": 3}
    assert found["MetricsBuilder_RecordWithContext"]["allocs"] == 29


def fake_go(directory: Path, script: str) -> str:
    path = directory / "go"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


LINE = "BenchmarkCounterWith-2   \t 3000000\t       400.5 ns/op\t     416 B/op\t       3 allocs/op"


def test_the_original_runs_in_turns_with_ours(tmp_path: Path) -> None:
    go = fake_go(tmp_path, f'echo "goos: linux"; echo "{LINE}"; echo PASS; pwd >&2')
    times = iter([100e-9, 200e-9])
    theirs, ratios = original.in_turns(tmp_path, lambda: {original.COUNTERPARTS["CounterWith"][0]: next(times)}, 2, go)
    assert theirs == {"CounterWith": {"time": pytest.approx(400.5e-9), "bytes": 416, "allocs": 3}}
    assert ratios == {"CounterWith": [pytest.approx(4.005), pytest.approx(2.0025)]}


def test_what_a_checkout_lacks_is_not_filled_from_another_machine(tmp_path: Path, committed: Figures) -> None:
    go = fake_go(tmp_path, f'echo "{LINE}"')
    ours = {name: one.time for name, one in committed.benchmarks.items()}
    theirs, ratios = original.in_turns(tmp_path, lambda: ours, 6, go)
    figures = replace(committed, original=theirs, original_ratios=ratios)
    assert [row[0] for row in tables.original_table(figures).rows] == ["CounterWith"]
    left_out = tables.original_left_out(figures)
    assert "HighFrequencyOperations" in left_out
    assert "CounterWith" not in left_out
    verdicts = {one.text: one.verdict for one in criteria(figures) if "Go original" in one.text}
    assert verdicts == {
        ">= 4 times cheaper than the Go original: With, Tags, chained": "pass",
        ">= 3 times cheaper than the Go original: RecordError, RecordOperation": "-",
    }


def test_without_a_checkout_only_what_holds_on_any_machine_is_shown(committed: Figures) -> None:
    figures = replace(committed, original=original.recorded(), original_ratios={})
    assert not any("time" in one for one in figures.original.values())
    table = tables.original_table(figures)
    assert table.headers == ("allocs, bytes", "Go original", "native")
    assert table.rows[0] == ("CounterWith", "3, 416 B", "0, 0 B")
    assert "--go DIR" in tables.original_left_out(figures)
    assert {one.verdict for one in criteria(figures) if "Go original" in one.text} == {"-"}


def test_an_original_that_runs_nothing_is_rejected(tmp_path: Path) -> None:
    go = fake_go(tmp_path, "echo 'go: cannot find main module' >&2; exit 1")
    with pytest.raises(ValueError, match=r"--go .*: ran no benchmark|cannot find main module"):
        original.run(tmp_path, go)
    with pytest.raises(ValueError, match="No such file"):
        original.run(tmp_path, str(tmp_path / "missing"))


def test_the_committed_figures_meet_every_criterion(committed: Figures) -> None:
    not_there = re.compile("Go original|promrs|a request of")  # the last: they are newer than the committed figures
    others = [one for one in criteria(committed) if not not_there.search(one.text)]
    assert [one.text for one in others if one.verdict != "pass"] == []
    assert not committed.failed


OURS = "peers/bench_tallymark.py::bench_"
WORSE = [
    ("tag_strategies/bench_strategies.py::bench_with_after[kind=timer]", {"allocs": 2}, "With()"),
    ("tag_strategies/bench_strategies.py::bench_chained[strategy=native]", {"bytes": 500}, "chained"),
    ("tag_strategies/bench_strategies.py::bench_record_error_after", {"allocs": 2}, "allocations in the operational"),
    ("tag_strategies/bench_strategies.py::bench_record_error_after", {"bytes": 200}, "bytes in the operational"),
    (f"{OURS}set[engine=native]", {"allocs": 1}, "0 allocations"),
    ("document/bench_steady.py::bench_observe", {"bytes": 0.01}, "0 allocations"),
]


@pytest.mark.parametrize(("name", "change", "culprit"), WORSE)
def test_a_criterion_fails_when_its_figure_is_worse(
    name: str, change: dict[str, Any], culprit: str, committed: Figures
) -> None:
    worse = replace(committed, benchmarks={**committed.benchmarks, name: replace(committed.benchmarks[name], **change)})
    assert any(culprit in one.text for one in criteria(worse) if one.verdict == "FAIL")


def verdict_of(text: str, figures: Figures) -> str:
    (found,) = [one.verdict for one in criteria(figures) if text == one.text]
    return found


@pytest.mark.parametrize("one", RATIOS, ids=lambda one: one.text.partition(":")[2].strip() + " " + one.text.partition(":")[0])
def test_a_ratio_fails_only_where_its_interval_excludes_the_limit(one: Ratio, committed: Figures) -> None:
    limit = one.least or one.most or 0.0
    for ratios, verdict in (
        ([limit * 1.1] * 6, "pass" if one.least else "FAIL"),
        ([limit * 0.9] * 6, "FAIL" if one.least else "pass"),
        ([limit * factor for factor in (0.5, 0.9, 0.9, 1.1, 1.1, 2.0)], "undecided"),
    ):
        assert verdict_of(one.text, replace(committed, ratios={one.name: ratios})) == verdict


def test_rows_measured_at_different_moments_are_not_judged(committed: Figures) -> None:
    dearer = {one.dearer: replace(committed.benchmarks[one.dearer], time=1.0) for one in RATIOS if not one.needs}
    assert criteria(replace(committed, benchmarks={**committed.benchmarks, **dearer})) == criteria(committed)


@pytest.mark.parametrize("one", [one for one in RATIOS if not one.needs], ids=lambda one: one.name)
def test_both_rows_of_a_ratio_are_benchmarks(one: Ratio, committed: Figures) -> None:
    assert {one.dearer, one.cheaper} <= set(committed.benchmarks)
    assert one.quick == all(measured._is_quick(name) for name in (one.dearer, one.cheaper))


def test_a_ratio_whose_package_is_not_installed_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = replace(RATIOS[0], needs="no_such_package")
    monkeypatch.setattr(measured, "RATIOS", (absent, RATIOS[1]))
    monkeypatch.setattr(measured, "_ratios_of", lambda one, progress: [1.0])
    assert measured.take_ratios(True, lambda done, total, name: None) == {RATIOS[1].name: [1.0]}


class Sides:
    """Stands in for the jobs of a ratio, and for processes that take turns."""

    side = None

    def __init__(self, ratios: list[float]) -> None:
        self.ratios, self.duets = ratios, 0

    def __getitem__(self, name: str) -> Sides:
        return self

    def duet(self, *_: Any) -> list[Any]:
        self.duets += 1
        return [{"time": {"values": [one] * 3}} for one in (self.ratios[(self.duets - 1) % len(self.ratios)], 1.0)]


@pytest.mark.parametrize(("ratios", "duets"), [([30.0], 6), ([10.0], 6), ([10.0, 30.0], 18)])
def test_a_verdict_that_is_open_takes_more_processes(ratios: list[float], duets: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = Sides(ratios)
    monkeypatch.setattr(measured, "_jobs", lambda names: sides)
    monkeypatch.setattr(measured, "run_duet", sides.duet)
    assert measured._ratios_of(RATIOS[0], lambda done, total, name: None) == (ratios * 18)[:duets]


def test_what_is_undecided_is_measured_again_on_the_same_machine_alone(
    committed: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = RATIOS[0].name
    monkeypatch.setattr(measured, "_ratios_of", lambda one, progress: [99.0] * 6)
    monkeypatch.setattr(measured, "describe", lambda directory: committed.environment)
    still = replace(committed, ratios={**committed.ratios, name: [10.0, 30.0] * 9})
    again = measured.decide(still, lambda done, total, name: None)
    assert again.ratios == {**committed.ratios, name: [99.0] * 6}
    other = replace(still, environment={**committed.environment, "cpu": "another"})
    with pytest.raises(ValueError, match="another machine"):
        measured.decide(other, lambda done, total, name: None)


def test_scrapes_that_differ_too_much_fail(committed: Figures) -> None:
    text = "flat in workers that ever lived, 10 to 1,000: a scrape, and the disk"
    for change, verdict in (
        ({"scrape_ratios": [1.0] * 7}, "pass"),
        ({"scrape_ratios": [3.0] * 7}, "FAIL"),
        ({"scrape_ratios": [1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0]}, "undecided"),
        ({"scrape_ratios": [1.0] * 7, "disk_many": 1e9}, "FAIL"),
    ):
        one = {**committed.lifetimes["tallymark"], **change}
        assert verdict_of(text, replace(committed, lifetimes={"tallymark": one})) == verdict


def test_a_suite_that_fails_is_a_criterion_not_met(committed: Figures) -> None:
    assert any("suite" in one.text for one in criteria(replace(committed, suite="1 failed")) if one.verdict == "FAIL")


def test_a_criterion_that_was_not_measured_is_neither_met_nor_missed() -> None:
    nothing = Figures("make bench", {}, "", {})
    assert {one.verdict for one in criteria(nothing)} == {"-"}
    assert all(not table.rows for table in (tables.peers_table(nothing), tables.document_table(nothing)))


def test_quick_measures_what_most_criteria_need(committed: Figures) -> None:
    kept = {name: one for name, one in committed.benchmarks.items() if measured._is_quick(name)}
    ratios = {one.name: committed.ratios[one.name] for one in RATIOS if one.quick}
    quick = criteria(
        replace(committed, benchmarks=kept, ratios=ratios, lifetimes={}, scrapes={}, event_loops={}, middlewares={})
    )
    assert [one.text for one in quick if one.verdict == "-"] == [
        one.text for one in quick if re.search("flat in|Go|a scrape of|in protobuf|a request of", one.text)
    ]


def test_the_figure_of_an_op_with_many_records_is_of_one() -> None:
    one = measured.condense([_result("benchmarks/growth/bench_threads.py::bench_tallymark[threads=2]", 4.0, 80_000)])[0]
    assert one == {"growth/bench_threads.py::bench_tallymark[threads=2]": Figure(0.0001, 0.0, 2.0, 0.0)}


def _result(name: str, seconds: float, allocs: float) -> Any:
    from tallymark.bench.result.result import AllocationResult, BenchmarkResult, ProcessTimes, TimeResult

    time = TimeResult((ProcessTimes(1, (seconds,)),))
    return BenchmarkResult(name, time=time, allocations=AllocationResult(allocs, 0.0))


@pytest.mark.parametrize("page", publish.PAGES)
def test_pages_show_the_committed_figures(page: str, committed: Figures) -> None:
    text = publish.pages()[page].read_text(encoding="utf-8")
    assert publish.fill(text, committed) == text
    assert re.search(r"<!-- begin \w+ -->", text)


def test_charts_are_drawn(tmp_path: Path, committed: Figures) -> None:
    from plan.charts import draw_growth, draw_records

    for draw in (draw_records, draw_growth):
        draw(committed, tmp_path / "chart.svg")
        text = (tmp_path / "chart.svg").read_text(encoding="utf-8")
        assert ElementTree.fromstring(text).tag.endswith("svg")
        assert committed.command in text


def test_the_chart_of_records_shows_the_committed_figures(committed: Figures) -> None:
    chart = publish.FIGURES.with_name("records.svg").read_text(encoding="utf-8")
    for op in ("inc", "inc_two_tags", "observe"):
        for name, label in (
            ("native", "Tallymark"),
            ("prometheus_client", "prometheus_client"),
            ("OpenTelemetry", "OpenTelemetry"),
        ):
            found = tables.client(committed, name, op)
            assert found is not None
            assert f">{label} {found.time * 1e9:,.0f} ns<" in chart


@pytest.mark.parametrize("name", ["floor", "strategy native"])
def test_the_cost_of_held_series(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SERIES", 500)
    found = memory.hold(name)
    assert set(found) == {"bytes", "tracked", "collect", "create"}
    assert found["tracked"] < 1.5


@pytest.mark.parametrize("client", lifetimes.CLIENTS)
def test_the_cost_of_workers_that_have_ended(client: str) -> None:
    program = f"from plan.lifetimes import *; print(json.dumps(live({client!r}, 12)))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=BENCHMARKS, check=True, capture_output=True, text=True)
    found = json.loads(ran.stdout)
    assert set(found) == {"scrape_few", "scrape_many", "scrape_ratios", "disk_few", "disk_many"}
    assert (found["disk_many"] > found["disk_few"]) == (client == "prometheus_client")


@pytest.mark.parametrize("body", scrapes.BODIES)
def test_the_cost_of_a_scrape_over_http(body: str) -> None:
    program = f"from plan.scrapes import *; print(json.dumps(live({body!r}, 300, 3)))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=BENCHMARKS, check=True, capture_output=True, text=True)
    found = json.loads(ran.stdout)
    assert set(found) == {"held_up", "memory", "body"}
    assert found["body"] > 300 * 40


@pytest.mark.parametrize("body", scrapes.BODIES)
def test_the_cost_of_a_scrape_under_uvicorn(body: str) -> None:
    program = f"from plan.event_loops import *; print(json.dumps(asyncio.run(live({body!r}, '*/*', 300, 3))))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=BENCHMARKS, check=True, capture_output=True, text=True)
    found = json.loads(ran.stdout)
    assert set(found) == {"held_up", "body"}
    assert found["body"] > 300 * 40


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_the_cost_of_a_request(framework: str) -> None:
    program = f"from plan.middlewares import *; print(json.dumps(in_turns({framework!r}, 20)))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=BENCHMARKS, check=True, capture_output=True, text=True)
    found = json.loads(ran.stdout)
    assert set(found) == {"without", "without again", "tallymark", "peer"}
    assert all(value > 0 for value in found.values())


def test_a_request_that_costs_too_much_fails(committed: Figures) -> None:
    for ours, verdict in ((1.0e-5, "pass"), (1.2e-5, "FAIL")):
        found = {"without": 1e-4, "without again": 2e-4, "tallymark": 1e-4 + ours, "peer": 2.1e-4}
        judged = criteria(replace(committed, middlewares={"fastapi": found}))
        assert [one.verdict for one in judged if "a request of" in one.text] == [verdict, "-"]


def test_a_scrape_that_holds_up_an_event_loop_fails(committed: Figures) -> None:
    for held_up, verdict in ((0.002, "pass"), (0.0021, "FAIL")):
        loops = {"live": {"held_up": held_up, "body": 1.0}, "constant": {"held_up": 0.001, "body": 1.0}}
        found = criteria(replace(committed, event_loops=loops))
        assert [one.verdict for one in found if "event loop" in one.text] == [verdict]


def test_scrapes_that_hold_up_others_or_need_much_memory_fail(committed: Figures) -> None:
    constant = {"held_up": 0.001, "memory": 0.0, "body": 100.0}
    for held_up, memory_used, verdicts in ((0.003, 190.0, ["pass", "pass"]), (0.005, 210.0, ["FAIL", "FAIL"])):
        live = {"held_up": held_up, "memory": memory_used, "body": 100.0}
        found = criteria(replace(committed, scrapes={"live": live, "constant": constant}))
        assert [
            one.verdict for one in found if "a scrape of 100,000 series" in one.text and "event loop" not in one.text
        ] == verdicts


def test_figures_survive_a_file(tmp_path: Path, committed: Figures) -> None:
    committed.save(tmp_path / "figures.json")
    assert measured.load(tmp_path / "figures.json") == committed
