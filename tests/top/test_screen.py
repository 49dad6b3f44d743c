"""What a terminal shows: text that came from elsewhere, keys, and tables that fit."""

from __future__ import annotations

from io import StringIO
from unicodedata import bidirectional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

import tallymark as tm
from tallymark.top.controls import SORTS, Controls, press
from tallymark.top.fit import FURNITURE, GAP, fit_columns, share_lines
from tallymark.top.plain import plain_reading, plain_table
from tallymark.top.screen import draw, rich_table
from tallymark.top.shown import cut, shown, width
from tallymark.top.table import Table, traffic_table
from tallymark.top.view import read_view
from tallymark.top.watcher import Reading

ALL = Controls("rate", "", False, False)

HOSTILE = [
    "\x1b[31mred", "\x1b]0;title\x07", "a\nb", "a\rb", "\x9b31m", "[red]no markup[/red]", ":smile:", "\u202eevil", "\u2066x",
    "\u05e9\u05dc\u05d5\u05dd", "\u0645\u0631\u062d\u0628\u0627", "\u0661", "\ud800", "\x00", "\u200b", "<script>", "日本語",
    "🦀", "x" * 10_000,
]  # fmt: skip


# Text


@given(st.text())
def test_what_is_shown_is_printable_and_runs_from_left_to_right(text: str) -> None:
    found = shown(text)
    assert found.isprintable()
    assert not any(bidirectional(one) in ("R", "AL", "AN", "RLE", "RLO", "RLI", "LRO") for one in found)


@pytest.mark.parametrize("text", ["auth", "GET /users/{id}", "[red]", ":smile:", "<script>", "日本語", "é", "🦀"])
def test_what_is_harmless_is_shown_as_it_is(text: str) -> None:
    assert shown(text) == text


def test_right_to_left_is_escaped() -> None:
    assert shown("a\u202eb\u05e9") == "a\\u202eb\\u05e9"


LETTERS = ["a", "b", "日", "é", "🦀", "e\u0301", "a\u0301\u0302\u20dd", "❤\ufe0f"]


@given(st.lists(st.sampled_from(LETTERS)).map("".join), st.integers(1, 12))
def test_a_text_is_cut_to_so_many_columns(text: str, columns: int) -> None:
    assert width(text) == cell_len(text)
    assert width(cut(text, columns)) <= columns
    if width(text) <= columns:
        assert cut(text, columns) == text


# Keys


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", ALL), ("s", Controls("errors", "", False, False)), ("ssss", ALL), ("q", Controls("rate", "", False, True)),
        ("\x04", Controls("rate", "", False, True)), ("/", Controls("rate", "", True, False)),
        ("/qs", Controls("rate", "qs", True, False)), ("/ab\x7f", Controls("rate", "a", True, False)),
        ("/\x7f\x7fa\r", Controls("rate", "a", False, False)), ("/ab\x15c\r", Controls("rate", "c", False, False)),
        ("/ab\x1b", ALL), ("/ab\r\x1b", ALL), ("/é日\n", Controls("rate", "é日", False, False)),
        ("\x1b[A\x1b[B\x1bOC\x1b[5~\x1b[1;5D", ALL), ("/a\x1b[Ab\r", Controls("rate", "ab", False, False)),
        ("\x00\x01xyz?", ALL), ("/\x00\x01\r", ALL),
    ],
)  # fmt: skip
def test_keys(keys: str, expected: Controls) -> None:
    assert press(ALL, keys) == expected


@given(st.text())
def test_no_keys_break_it(keys: str) -> None:
    controls = press(ALL, keys)
    assert controls.sort in SORTS
    assert controls.filter.isprintable()


# Tables that fit


TABLE = Table(
    ("operation", "kind", "per s", "p99 ms"), 2, [("a" * 40, "operation", "1,234.5", "17.0")] * 9, "", ("kind", "per s")
)


@given(st.integers(0, 120))
def test_numbers_are_whole_or_left_out(columns: int) -> None:
    table, widths = fit_columns(TABLE, columns)
    assert len(table.headings) == len(widths) == len(table.rows[0])
    for cells, room in list(zip(zip(table.headings, *table.rows, strict=True), widths, strict=True))[table.left :]:
        assert max(map(len, cells)) == room
    if columns >= 16 + 6 + 2 * GAP:
        assert sum(widths) + GAP * len(widths) <= columns


def test_columns_are_left_out_in_their_order() -> None:
    left = [fit_columns(TABLE, columns)[0].headings for columns in (80, 40, 24)]
    assert left == [TABLE.headings, ("operation", "per s", "p99 ms"), ("operation", "p99 ms")]


@given(st.lists(st.integers(0, 40), max_size=5), st.integers(-5, 80))
def test_rows_share_the_lines_that_there_are(counts: list[int], lines: int) -> None:
    shares = share_lines(counts, lines)
    assert all(0 <= share <= count for share, count in zip(shares, counts, strict=True))
    used = sum([share + FURNITURE for share in shares if share])
    assert used <= max(0, lines)
    if used + FURNITURE < lines:  # lines are left, so all that could be shown is
        assert shares == counts


@pytest.mark.parametrize("trouble", ["", "http://localhost/metrics cannot be reached"])
def test_a_low_terminal_shows_a_row(trouble: str) -> None:
    lines = picture(reading("auth", trouble=trouble, pids=(17, 18)), ALL, 20, 5)
    assert len(lines) == 5
    assert lines[-1].startswith("auth ")
    assert any("cannot be" in line for line in lines) == bool(trouble)


@pytest.mark.parametrize(("columns", "height"), [(1, 1), (5, 3), (20, 6), (40, 10), (80, 24), (200, 60)])
def test_a_picture_fits_the_terminal(columns: int, height: int) -> None:
    shown_lines = picture(reading(*HOSTILE), ALL, columns, height)
    assert len(shown_lines) <= height
    assert all(cell_len(line) <= columns for line in shown_lines)


def picture(reading: Reading, controls: Controls, columns: int, height: int) -> list[str]:
    console = Console(file=StringIO(), width=columns, height=height, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(draw(reading, controls, columns, height))
    return captured.get().splitlines()


def reading(*names: str, trouble: str = "", pids: tuple[int, ...] = ()) -> Reading:
    """Return a reading of a service whose operations, tags and rejected data have these names."""
    registry = tm.Registry()
    durations, hits = registry.timer("operation_duration"), registry.counter("hits")
    for number, name in enumerate(names):
        registry.gauge(f"g{number}").set(1, tag=name)
        hits.inc(name=name)
        durations.record(0.1, operation=name, status="success")
    tm.process_metrics(registry)
    return Reading("http://localhost/metrics", read_view(None, registry.snapshot()), trouble, pids, 1.0)


def test_hostile_names_are_shown_and_never_interpreted() -> None:
    for text in ("\n".join(picture(reading(*HOSTILE), ALL, 200, 200)), plain_reading(reading(*HOSTILE), ALL)):
        assert not any(one in text for one in ("\x1b", "\x9b", "\x07", "\r", "\x00", "\u202e", "\u05e9", "\u0645"))
        assert "\\x1b[31mred" in text
        assert "[red]no markup[/red]" in text
        assert ":smile:" in text
        assert "a\\nb" in text


def test_the_head_says_what_is_wrong_and_which_keys_there_are() -> None:
    found = reading("auth", trouble="http://localhost/metrics cannot be reached", pids=(17, 18))
    text = "\n".join(picture(found, Controls("p99", "au", False, False), 100, 30))
    assert "cannot be read, trying again every 1 s: http://localhost/metrics cannot be reached" in text
    assert "processes 2" in text
    assert "pids 17 18" in text
    assert "sort: p99" in text
    assert "filter: au" in text
    assert "filter: au" in "\n".join(picture(found, Controls("p99", "au", True, False), 100, 30))


def test_plain_lines_are_aligned() -> None:
    lines = plain_table(traffic_table(reading("a", "日本語" * 20).view, ALL)).splitlines()
    assert len(lines) == 3
    assert len(set(map(width, lines))) == 1
    assert all(width(line) <= 60 + 80 for line in lines)


def test_zeros_are_dim_and_errors_are_not() -> None:
    console = Console(file=StringIO(), force_terminal=True, color_system="standard", width=80)
    with console.capture() as captured:
        console.print(rich_table(Table(("operation", "errors"), 1, [("a", "0.0%"), ("b", "5.0%")], "", ()), 80))
    _, zero, some = captured.get().splitlines()
    assert "\x1b[2" in zero
    assert "\x1b[31m" in some
