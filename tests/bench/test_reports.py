"""Reports as a user sees them: golden texts of tables, remarks and Markdown."""

import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from bench_results import NEW, OLD, benchmark, counted, run, times

from tallymark.bench.compare.compare import compare
from tallymark.bench.result.findings import judge
from tallymark.bench.result.result import ColdResult, CollectionResult, Finding
from tallymark.bench.show.html import run_html
from tallymark.bench.show.markdown import comparison_markdown, run_markdown
from tallymark.bench.show.tables import show_cold, show_comparison, show_run

GOLDEN = Path(__file__).with_name("golden")


def shown(show, what):
    stream = io.StringIO()
    show(what, stream)
    return stream.getvalue()


def explained(show, what):
    return shown(lambda result, stream: show(result, stream, explain=True), what)


FOLDER = "examples/benchmarks"
MANY = "bench_serialise_a_large_document_of_many_parts[items=1000]"
LONG = (
    benchmark(f"{FOLDER}/bench_json.py::bench_dumps[items=10]", objects=None),
    benchmark(f"{FOLDER}/bench_json.py::{MANY}", allocations=counted(3, 4176, reallocs=10.0), objects=None),
    benchmark(f"{FOLDER}/bench_text.py::{MANY}", objects=None),
)

TEXTS = {
    "names-shortened.txt": lambda: shown(show_run, run(*LONG)),
    "names-on-lines-of-their-own.txt": lambda: shown(show_run, run(*LONG, benchmark(bytes_processed=139))),
    "explained.txt": lambda: explained(show_run, NEW),
    "run.txt": lambda: shown(show_run, OLD),
    "run-warnings.txt": lambda: shown(show_run, NEW),
    "cold.txt": lambda: shown(show_cold, OLD),
    "comparison.txt": lambda: shown(show_comparison, compare(OLD, NEW, noise=0.01)),
    "run.md": lambda: run_markdown(OLD),
    "comparison.md": lambda: comparison_markdown(compare(OLD, NEW, noise=0.01)),
}


@pytest.mark.parametrize("name", TEXTS)
def test_golden(name):
    """What a change is meant to change is written anew by `python tests/bench/test_reports.py`, and read before it is kept."""
    assert TEXTS[name]().rstrip() == (GOLDEN / name).read_text(encoding="utf-8").rstrip()


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _no_wishes_about_colours(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns, which shows colours unless a variable of the environment is against it."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    return Terminal()


def without_colours(text):
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def comparison():
    worse = replace(NEW.benchmarks[1], allocations=counted(1, 32))
    return compare(OLD, replace(NEW, benchmarks=(NEW.benchmarks[0], worse)), noise=0.01)


def test_a_terminal_shows_the_same_in_colour(terminal):
    show_comparison(comparison(), terminal)
    said = terminal.getvalue()
    assert without_colours(said) == shown(show_comparison, comparison())
    assert "\x1b[32m-97.3% [-97.3, -97.2]\x1b[0m" in said  # less is better: green
    assert "\x1b[31m+0.857\x1b[0m" in said  # and the sign says the same
    assert "\x1b[33mWARN\x1b[0m" in said


def test_what_is_within_the_noise_is_neither_better_nor_worse(terminal):
    show_comparison(compare(OLD, NEW, noise=0.99), terminal)
    assert "\x1b[32m-97.3%" not in terminal.getvalue()
    assert "within the noise of ±99.0%" in terminal.getvalue()


@pytest.mark.parametrize("changed", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}])
def test_a_terminal_without_colours(terminal, monkeypatch, changed):
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    show_comparison(comparison(), terminal)
    assert terminal.getvalue() == shown(show_comparison, comparison())


def test_colours_can_be_forced(terminal, monkeypatch):
    assert "\x1b" not in shown(show_comparison, comparison())
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b[32m-97.3%" in shown(show_comparison, comparison())


def test_without_rich_nothing_but_colour_is_missing(terminal, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    show_comparison(comparison(), terminal)
    assert terminal.getvalue() == shown(show_comparison, comparison())


def test_a_terminal_has_whole_names_if_it_is_wide_enough(terminal, monkeypatch):
    name = f"bench_a.py::bench_{'x' * 60}[size=[bold]]"
    show_run(run(benchmark(name)), terminal)
    assert "xx…xx" in without_colours(terminal.getvalue())
    assert "[size=[bold]]" in without_colours(terminal.getvalue())
    monkeypatch.setenv("COLUMNS", "140")
    assert name.partition("::")[2] not in shown(show_run, run(benchmark(name)))  # COLUMNS is of a terminal
    wide = Terminal()
    show_run(run(benchmark(name)), wide)
    assert name.partition("::")[2] in without_colours(wide.getvalue())


def test_text_that_the_output_cannot_encode_is_escaped():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "ascii")
    show_run(run(benchmark("bench_a.py::bench_é[a=\udcff,b=\x1b[2J]")), stream)
    stream.flush()
    said = raw.getvalue().decode("ascii")
    assert "bench_\\xe9[a=\\udcff,b=\\x1b[2J]" in said
    assert "1.39 \\xb5s" in said


# Columns.


@pytest.mark.parametrize(
    ("column", "empty", "full"),
    [
        ("objects", {"objects": None}, {"objects": {}}),
        ("GC/1000 ops", {"collections": CollectionResult(0.0, 0.0, 1e-6, 1e-6)}, {}),
        ("reallocs", {}, {"allocations": counted(3, 920, reallocs=0.5)}),
        ("throughput", {}, {"bytes_processed": 7}),
        ("allocs", {"allocations": None}, {"allocations": counted(0, 0)}),  # that there are none is news
    ],
)
def test_a_column_is_left_out_if_it_is_empty_for_all(column, empty, full):
    def columns(show, *benchmarks):
        return {part.strip() for part in re.split(r"  +|[|<>\n]", show(run(*benchmarks)))}

    for show in (lambda result: shown(show_run, result), run_markdown, run_html):
        assert column not in columns(show, benchmark(cold=None, **empty), benchmark("b", cold=None, **empty))
        assert column in columns(show, benchmark(cold=None, **empty), benchmark("b", cold=None, **full))


def test_reallocations_are_compared():
    grown = run(benchmark(allocations=counted(9, 920, reallocs=10.0)))
    (row,) = [line for line in shown(show_comparison, compare(OLD, grown)).splitlines() if "reallocs" in line]
    assert row.split() == ["reallocs", "0", "10", "+10", "exact"]
    assert "reallocs" not in shown(show_comparison, compare(OLD, OLD))


# Warnings.


def noisy(*names, file="bench_shop.py"):
    return [
        benchmark(f"{file}::{name}", file=file, findings=judge(benchmark(time=times(1e-6, step=0.1 + 0.01 * i))))
        for i, name in enumerate(names)
    ]


def warnings(text):
    return [line for line in text.splitlines() if line.startswith("WARN")]


def test_a_warning_is_one_line_and_explained_on_request():
    said = shown(show_run, NEW)
    (line,) = warnings(said)
    assert len(line) <= 80
    assert line.startswith("WARN bench_order:17: measures initialisation: `registry.coun")
    assert "Move" not in said
    assert said.splitlines()[-1] == "--explain tells where each warning is from, and what to do about it."
    full = explained(show_run, NEW)
    assert max(map(len, full.splitlines())) <= 80
    assert "--explain" not in full
    whole = " ".join(full.split())
    assert "WARN bench_shop.py:17 bench_order measures initialisation: `registry.counter('x')` costs 14 allocations" in whole
    assert "repeated Remedy: Move `registry = Registry()` above b.loop()." in whole


def test_the_cold_tables_have_no_word_on_columns_of_others():
    reasons = {"objects": "objects by type need CPython 3.13", "allocations": "no compiler"}
    said = shown(show_cold, run(benchmark(reasons=reasons)))
    assert [line for line in said.splitlines() if line.startswith("EMPTY")] == ["EMPTY allocs, reallocs, bytes: no compiler"]


def test_nothing_more_to_say_is_not_told():
    assert "--explain" not in shown(show_run, OLD)


def test_warnings_that_say_the_same_are_one():
    (line,) = warnings(shown(show_run, run(*noisy("bench_a", "bench_b", "bench_c", "bench_d"))))
    assert line == "WARN bench_a and 3 more: too noisy: half the processes lie more than 22 to 29% …"
    (line,) = warnings(shown(show_run, run(*noisy("bench_a", "bench_b"))))
    assert line.startswith("WARN bench_a and bench_b: too noisy: half the processes lie more than 22 to")
    full = explained(show_run, run(*noisy("bench_a", "bench_b")))
    assert len(warnings(full)) == 2
    assert full.count("Stop what else runs on the machine, or raise --processes.") == 1


def test_warnings_of_different_statements_are_not_one():
    found = [
        benchmark(name, findings=(Finding("measures-initialisation", f"`{code}` costs 4 allocations"),))
        for name, code in (("bench_a", "one(1)"), ("bench_b", "one(2)"))
    ]
    assert len(warnings(shown(show_run, run(*found)))) == 2


def test_names_in_warnings_are_told_apart_by_their_files():
    text = shown(show_run, run(*noisy("bench_a", file="a.py"), *noisy("bench_a", file="b.py")))
    assert "WARN a.py::bench_a and b.py::bench_a: too noisy" in text


def test_a_dear_first_use_is_told_where_first_use_is_shown():
    dear = benchmark(cold=ColdResult(0.01, 1e-6, 2e-6, 60e-6))
    told = run(replace(dear, findings=judge(dear)))
    assert warnings(shown(show_cold, told)) == [
        "WARN bench_order: the first op on fresh state costs 60 µs, 43 times a later one",
    ]
    assert warnings(shown(show_run, told)) == []
    assert "first op on fresh state" not in run_markdown(told)
    assert "first op on fresh state" in run_html(told)
    assert [finding.kind for finding in told.benchmarks[0].findings] == ["dear-first-use"]


def test_markdown_shows_hostile_names_as_they_are():
    text = run_markdown(run(benchmark("a|b<script>*x*[1]")))
    assert "a\\|b\\<script>\\*x\\*\\[1\\]" in text


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, text in TEXTS.items():
        (GOLDEN / name).write_text(text().rstrip() + "\n", encoding="utf-8")
