"""Reports as a user sees them: golden texts of tables, remarks and Markdown."""

import io
from pathlib import Path

import pytest
from bench_results import NEW, OLD, benchmark, run

from tallymark.bench.compare.compare import compare
from tallymark.bench.show.markdown import comparison_markdown, run_markdown
from tallymark.bench.show.tables import show_cold, show_comparison, show_run

GOLDEN = Path(__file__).with_name("golden")


def shown(show, what):
    stream = io.StringIO()
    show(what, stream)
    return stream.getvalue()


TEXTS = {
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


def test_in_a_terminal_the_table_is_drawn(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    show_run(OLD, stream)
    assert "─" in stream.getvalue()
    assert "bench_order" in stream.getvalue()


def test_names_with_brackets_are_kept_in_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    show_run(run(benchmark("bench_a.py::bench_x[bold]")), stream)
    assert "bench_x[bold]" in stream.getvalue()


def test_without_rich_the_table_is_plain(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rich.table", None)
    stream = Terminal()
    show_run(OLD, stream)
    assert stream.getvalue() == TEXTS["run.txt"]()


def test_markdown_shows_hostile_names_as_they_are():
    text = run_markdown(run(benchmark("a|b<script>*x*[1]")))
    assert "a\\|b\\<script>\\*x\\*\\[1\\]" in text


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, text in TEXTS.items():
        (GOLDEN / name).write_text(text().rstrip() + "\n", encoding="utf-8")
