"""Tables in so many columns, whatever the names: nothing is wider, nothing is lost, and no two names look alike."""

import pytest
from bench_results import OLD, benchmark, counted, run
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tallymark.bench.compare.compare import compare
from tallymark.bench.result.result import Finding
from tallymark.bench.show.layout import fitted, width_of
from tallymark.bench.show.remarks import told, warning
from tallymark.bench.show.report import cold_tables, comparison_table, run_table
from tallymark.bench.show.shorten import cells, chunks, cut, middle, printable, shortened
from tallymark.bench.show.table import Table
from tallymark.bench.show.terminal import NARROWEST

characters = st.characters(codec=None) | st.sampled_from("表🎉é[]=,:/…")
texts = st.text(characters, min_size=1, max_size=120)
paths = st.sampled_from(["bench_a.py", "examples/benchmarks/bench_json.py", "表" * 70 + ".py"]) | texts
names = st.builds("{}::bench_{}[{}]".format, paths, texts, texts) | texts.map("bench_a.py::bench_{}".format) | texts
widths = st.integers(NARROWEST, 200)
quick = settings(max_examples=60, derandomize=True)


def lines(table, width):
    found = fitted(table, width)
    assert max(map(width_of, found), default=0) <= width
    return ["".join(text for text, _ in line) for line in found]


def of_run(names):
    """The widest figures that a run may have."""
    wide = {"allocations": counted(123456.78, 9999.99, reallocs=1234.56), "bytes_processed": 10**9}
    return run(*(benchmark(name, median=1234.0, **wide) for name in names))


@quick
@given(st.lists(names, min_size=1, max_size=5, unique=True), widths)
@example(["a.py::bench_" + "x" * 200 + str(i) + "y" * 200 for i in range(3)], 80)
def test_no_line_of_a_run_is_wider(found, width):
    tables = [run_table(of_run(found)), *cold_tables(of_run(found))]
    assert len(tables) == 5
    for table in tables:
        lines(table, width)


@pytest.fixture(scope="module")
def compared():
    """Comparisons of wide figures: a thousand times slower, and faster, and within the noise."""
    old, new = of_run(["name"]), run(benchmark("name", median=1.234, objects={"kind": 12345.5}))
    return [comparison_table(compare(*sides, noise=noise)) for noise in (0.01, 9.0) for sides in ((old, new), (new, old))]


@quick
@given(st.lists(names, min_size=1, max_size=3, unique=True), widths, st.text(characters, max_size=100))
def test_no_line_of_a_comparison_is_wider(compared, found, width, kind):
    for table in compared:
        rows = [(name if cell == "name" else cell for cell in row) for name in found for row in table.rows]
        rows = [tuple(kind if "kind" in cell else cell for cell in row) for row in rows]
        lines(Table(table.headers, tuple(rows)), width)


@quick
@given(st.lists(names, min_size=1, max_size=5, unique=True), widths)
def test_no_warning_is_wider(found, width):
    warned = [warning(one, made) for name in found for made in [benchmark(name)] for one in _findings()]
    for line in told(warned, width):
        assert width_of(line) <= max(width, 68)  # the line about --explain has words of its own


def _findings():
    return [Finding("a", f"`{'x' * 100}` costs {i} allocations", 7, remedy="Move it.") for i in range(3)]


@quick
@given(st.lists(texts.map(printable), min_size=1, max_size=8), st.integers(1, 100))
@example(["bench_" + "a" * 90 + "1" + "b" * 90, "bench_" + "a" * 90 + "2" + "b" * 90], 20)
def test_shortened_names_are_distinct_and_fit(found, width):
    short = shortened(found, width)
    if short is None:
        assert len(set(found)) > 1
        return
    assert max(map(cells, short)) <= width
    assert len(set(short)) == len(set(found))
    assert [one for one, name in zip(short, found, strict=True) if cells(name) <= width and one != name] == []


@quick
@given(st.lists(texts.map(lambda text: printable(text).replace(" ", "_")), min_size=1, max_size=6, unique=True), widths)
@example([f"bench_{'x' * 90}{i}{'y' * 90}" for i in range(3)], 80)
def test_names_look_different_in_a_table(found, width):
    table = Table(("", "=" * 25), tuple((f"a.py::{name}", "\0") for name in found))
    text = "".join("".join(lines(table, width)[2:]).split())  # a name may be on several lines of its own
    shown = text.split("\0")[:-1]
    assert len(shown) == len(set(shown)) == len(found)


@quick
@given(texts.map(printable), st.integers(1, 100), st.sampled_from([0.0, 0.35, 0.5, 1.0]))
def test_what_is_cut_fits_and_what_is_in_pieces_is_whole(text, width, share):
    assert cells(middle(text, width, share)) <= width
    assert cells(cut(text, width)) <= width
    assert "".join(chunks(text, width)) == text
    assert all(cells(piece) <= max(width, 2) for piece in chunks(text, max(width, 2)))


@given(st.text(characters))
def test_nothing_moves_the_cursor(text):
    assert printable(text).isprintable()
    printable(text).encode("utf-8")


def test_wide_characters_take_two_columns():
    assert [cells(text) for text in ("", "ab", "é…µ", "表計算", "a🎉")] == [0, 2, 3, 6, 3]


# How names are shortened.


def test_a_function_is_shortened_before_its_parameters():
    name = "bench_serialise_a_large_document[items=1000,indent=2]"
    assert shortened([name], 60) == [name]
    assert shortened([name], 40) == ["bench_ser…_document[items=1000,indent=2]"]
    assert shortened([name], 30) == ["benc…ment[items=1000,indent=2]"]
    assert shortened([name], 24) == ["benc…ent[items=1…dent=2]"]


@pytest.mark.parametrize("width", range(30, 60))
def test_names_that_differ_in_the_middle_keep_what_tells_them_apart(width):
    found = [f"bench_serialise_{size}_documents_with_many_parts_of_{kind}" for size in ("large", "small") for kind in "ab"]
    assert len(set(shortened(found, width) or found)) == 4


# What is where.


def test_the_path_of_all_is_said_once():
    two = (benchmark("some/bench_a.py::bench_x"), benchmark("some/bench_a.py::bench_y"))
    shown = lines(run_table(run(*two)), 80)
    assert shown[0] == "some/bench_a.py"
    assert [line.split()[0] for line in shown[2:]] == ["bench_x", "bench_y"]
    shown = lines(run_table(run(*two, benchmark("bench_b.py::bench_x"))), 80)
    assert [line.split()[0] for line in shown[1:]] == ["some/bench_a.py", "bench_x", "bench_y", "bench_b.py", "bench_x"]


def test_the_header_of_the_names_is_kept():
    table = Table(("100,000 live series", "memory each"), (("a dict", "7 B"),))
    assert lines(table, 80) == ["100,000 live series  memory each", "a dict                       7 B"]
    assert lines(table, 40)[0] == "100,000 live series  memory each"
    many = Table((table.headers[0], *(f"figure {i}" for i in range(4))), (("a dict", *"1234"),))
    assert lines(many, 50)[0] == "100,000 l…  figure 0  figure 1  figure 2  figure 3"
    assert lines(Table(table.headers, (("a dict" * 9, "7 B"),)), 40)[0].startswith("100,000 live series ")
    own = [line.split() for line in lines(Table((*many.headers[:4], "figure " * 2), (("a dict" * 9, *"1234"),)), 50)]
    assert own[0] == ["100,000", "live", "series"]


def test_names_without_a_path_have_no_heading():
    assert lines(run_table(run(benchmark("pickle"))), 80)[1].startswith("pickle ")


def test_columns_that_do_not_fit_follow_below():
    headers = ("", *(f"column {i}" for i in range(5)))
    table = Table(headers, (("one", *"abcde"), ("two", *"12345")))
    assert lines(table, 40) == [
        "     column 0  column 1  column 2",
        "one         a         b         c",
        "two         1         2         3",
        "",
        "     column 3  column 4",
        "one         d         e",
        "two         4         5",
    ]


def test_a_note_stands_at_the_end_of_its_line_or_below_it():
    table = Table(("", "figure", ""), (("one", "7", "a short note"), ("two", "8", "a note that is longer " * 3)))
    assert lines(table, 40) == [
        "     figure",
        "one       7  a short note",
        "two       8",
        "    a note that is longer a note that is",
        "    longer a note that is longer",
    ]


def test_a_note_of_a_row_without_figures_stands_below_its_name():
    assert lines(Table(("", "figure", ""), (("one", "", "a note"), ("two", "8", ""))), 40)[1:3] == ["one", "  a note"]


def test_metrics_stay_below_their_benchmark():
    shown = lines(comparison_table(compare(OLD, OLD, noise=0.01)), 80)
    assert [line.split()[0] for line in shown[2:]][:3] == ["bench_order", "time", "minimum"]
