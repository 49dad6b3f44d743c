"""Lines of distributions that the native engine writes are, byte for byte, those that Python code writes."""

from __future__ import annotations

import math
from itertools import product
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tallymark as tm
from odd_readings import BOUNDS, READINGS, WORDS_OF_SERIES, readings, readings_of_words, registry
from tallymark.engine import load_engine
from tallymark.export import statsd
from tallymark.export.statsd import parts
from tallymark.export.statsd_dialects import DIALECTS, DOGSTATSD, Dialect, TagTexts

ALL: dict[str, Dialect] = {**DIALECTS, "dogstatsd": DOGSTATSD}
COLUMNS = ("bucket_counts", "sums", "mins", "maxs")
EXPONENTIAL = ("scales", "zero_counts", "positives", "negatives", "sums", "mins", "maxs")
FORM = ("n", "ms", "", False, False, 1000.0, 1432)
SIZES = st.sampled_from([64, 100, 1432, 65507])


def written(snapshot: tm.Snapshot, dialect: str, most: int, engine: str) -> tuple[list[bytes], list[tuple[str, str]]]:
    """Return what is told, and what was left out or changed."""
    dropped: list[tuple[str, str]] = []
    with mock.patch.object(statsd, "observation_lines", load_engine(engine).observation_lines):
        found = parts(snapshot, TagTexts(ALL[dialect], {}), most_bytes=most, dropped=lambda *what: dropped.append(what))
        return list(found), dropped


def check(snapshot: tm.Snapshot, dialect: str, most: int = 1432) -> list[bytes]:
    found = written(snapshot, dialect, most, "native")
    assert found == written(snapshot, dialect, most, "reference")
    return found[0]


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ALL)
@settings(max_examples=50)
@given(READINGS, SIZES)
@example([[("observe", "a", value) for value in (0.001, 0.001, 0.3, 7.0, -1e-310, 0.0)]], 64)
def test_lines_are_those_of_python(dialect: str, steps: list[Any], most: int) -> None:
    found = readings(steps)
    for after in found:
        check(after, dialect, most)
        check(tm.delta(found[0], after), dialect, most)


@pytest.mark.slow
@settings(max_examples=80)
@given(WORDS_OF_SERIES, SIZES)
def test_lines_of_whatever_memory_holds_are_those_of_python(series: list[list[Any]], most: int) -> None:
    with readings_of_words(series) as [before, after]:
        for dialect in ALL:
            check(after, dialect, most)
            check(tm.delta(before, after), dialect, most)


def words_of(value: float, count: int) -> tuple[Any, ...]:
    """Return words of a row that has some observations, all of the same value."""
    place = sum([bound < value for bound in BOUNDS])
    return tuple([count if i == place else 0 for i in range(len(BOUNDS) + 1)]), math.nan, value, value


NUMBERS = [0.0, 1.0, 0.1, 1e16, 9999999999999998.0, 1e-4, 9.999999999999999e-05, 1.5e22, 123456789012345680.0, 5e-324, 1e-5,
           1.7976931348623157e308, 2.2250738585072014e-308, 2.0**53, 2.0**63, 1e23, 100.0, 1.25e-7]  # fmt: skip


@pytest.mark.slow
@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.sampled_from(NUMBERS), st.floats(allow_nan=False, allow_infinity=False)),
            st.one_of(st.integers(1, 100), st.sampled_from([2**32, 2**32 + 1, 2**32 - 1]), st.integers(1, 2**33)),
        ),
        min_size=1,
        max_size=4,
    )
)
@example([(number, 1) for number in NUMBERS[:4]])
def test_numbers_and_rates_are_those_of_python(rows: list[tuple[float, int]]) -> None:
    with readings_of_words([[words_of(*row)] * 2 for row in rows]) as [snapshot, _]:
        for dialect in ("none", "dogstatsd"):
            check(snapshot, dialect)


def many(series: int, text: str = "x") -> tm.Registry:
    made = registry()
    limits = tm.TagLimits(max_series=series, max_value_length=100_000)
    for kind, options in (("timer", {}), ("histogram", {"exponential": True})):
        instrument = getattr(made, kind)(kind, limits=limits, **options)
        for i in range(series):
            record = instrument.record if kind == "timer" else instrument.observe
            for _ in range(1 + i % 3):
                record(0.001 * (1 + i % 900), a=text + str(i))
            record(0.3, a=text + str(i))
            if kind == "histogram" and i % 5 == 0:
                instrument.observe(-1.0, a=text + str(i))  # which most servers cannot be told
    return made


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize("text", ["x", "é|b中", "y" * 300, "z" * 66_000], ids=["short", "odd", "long", "too long"])
def test_many_rows_are_told_in_their_order(dialect: str, text: str) -> None:
    found = check(many(700 if len(text) < 1000 else 5, text).snapshot(), dialect)
    assert (len(found) > 5) is (len(text) < 1000)


@pytest.mark.parametrize("dialect", ALL)
def test_many_buckets_share_lines(dialect: str) -> None:
    made = registry()
    for name, n in (("some", 200), ("most", 511), ("more", 512), ("many", 700)):
        histogram = made.histogram(name, buckets=range(1, n + 1))
        for value in range(n + 2):
            for _ in range(1 + value % 3):
                histogram.observe(value)
    assert len(b"".join(check(made.snapshot(), dialect))) > 4000


@pytest.mark.parametrize("dialect", ["influxdb", "dogstatsd"])
def test_values_share_a_line_up_to_its_last_byte(dialect: str) -> None:
    made = registry()
    histogram = made.histogram("n", buckets=range(1, 30))
    for value in range(30):
        histogram.observe(value, a="é")
    snapshot = made.snapshot()
    lines = [max(map(len, check(snapshot, dialect, most))) - most for most in range(30, 80)]
    assert max(lines) == 0


def test_an_unchanged_series_has_no_line_and_needs_no_text() -> None:
    made = registry()
    histogram = made.histogram("n", buckets=BOUNDS)
    histogram.observe(1, a="1")
    histogram.observe(1, a="2")
    before = made.snapshot()
    histogram.observe(2.5, a="2")
    data = tm.delta(before, made.snapshot())["n"].data
    columns = tuple([getattr(data, name) for name in COLUMNS])
    write: Any = load_engine("native").observation_lines
    assert write(columns, BOUNDS, 0, [None, ";a=2"], 0, FORM) == (b"n;a=2:2500|ms", 2)


def test_what_is_no_reading_is_left_to_python(engine: Any) -> None:
    made = registry()
    for value in (0.5, 7.0):
        made.histogram("n", buckets=BOUNDS).observe(value)
        made.histogram("e", exponential=True).observe(value)
    before, after = made.snapshot(), made.snapshot()
    whole, later = [tuple([getattr(one["n"].data, name) for name in COLUMNS]) for one in (before, after)]
    changed = tuple([getattr(tm.delta(before, after)["n"].data, name) for name in COLUMNS])
    spread = tuple([getattr(after["e"].data, name) for name in EXPONENTIAL])
    write: Any = load_engine("native").observation_lines
    for columns, bounds in ((whole, BOUNDS), (changed, BOUNDS), (spread, ())):
        assert write(columns, bounds, 0, [], 0, FORM) == (b"", 0)
    for columns, bounds in [
        (tuple(map(tuple, whole)), BOUNDS), ((), ()), (whole, BOUNDS[1:]), (whole, (0, 1, 2)), (whole, ()), (spread, BOUNDS),
        ((*whole[:3], later[3]), BOUNDS), ((*whole[:3], changed[3]), BOUNDS), (whole[::-1], BOUNDS), (whole[:3], BOUNDS),
        ((None,) * 4, BOUNDS), (spread[::-1], ()),
    ]:  # fmt: skip
        assert engine.observation_lines(columns, bounds, 0, ["x"], 0, FORM) is None
    for form in (("n" * 70_000, *FORM[1:]), ("n", "m" * 17, *FORM[2:])):
        assert engine.observation_lines(whole, BOUNDS, 0, ["x"], 0, form) is None


@pytest.mark.parametrize(
    ("first", "texts", "at", "form", "error"),
    [
        (0, ["x", "y"], 0, FORM, IndexError), (1, ["x"], 0, FORM, IndexError), (2, [], 0, FORM, IndexError),
        (-1, ["x"], 0, FORM, IndexError), (0, ["x"], -1, FORM, IndexError), (2**62, ["x"], 0, FORM, IndexError),
        (0, ("x",), 0, FORM, TypeError), (0, [b"x"], 0, FORM, TypeError), (0, [None], 0, FORM, TypeError),
        (0, ["x"], 0, FORM[1:], TypeError), (0, ["x"], 0, None, TypeError), (0, ["x"], 0, (1, *FORM[1:]), TypeError),
        (0, ["x"], 0, list(FORM), TypeError),  # which would not keep its texts
        (0, ["\ud800"], 0, FORM, UnicodeEncodeError), (2**64, ["x"], 0, FORM, OverflowError),
    ],
)  # fmt: skip
def test_a_wrong_call_is_an_error(first: Any, texts: Any, at: Any, form: Any, error: type[Exception]) -> None:
    made = registry()
    made.histogram("n", buckets=BOUNDS).observe(1)
    data = made.snapshot()["n"].data
    columns = tuple([getattr(data, name) for name in COLUMNS])
    write: Any = load_engine("native").observation_lines
    with pytest.raises(error):
        write(columns, BOUNDS, first, texts, at, form)
    assert write(columns, BOUNDS, 0, ["x"], 1, FORM) == (b"", 1)
    assert write(columns, BOUNDS, 0, ["x"], 5, FORM) == (b"", 5)


def test_texts_may_be_of_a_subclass_of_str() -> None:
    class Text(str):
        __slots__ = ()

    made = registry()
    made.histogram("n", buckets=BOUNDS).observe(1)
    data = made.snapshot()["n"].data
    columns = tuple([getattr(data, name) for name in COLUMNS])
    for text, last in product((";a=é", Text(";a=é")), (False, True)):
        write: Any = load_engine("native").observation_lines
        lines, _ = write(columns, BOUNDS, 0, [text], 0, (*FORM[:3], last, *FORM[4:]))
        assert lines.decode() == ("n:1000|ms;a=é" if last else "n;a=é:1000|ms")
