"""Whatever an endpoint sends, twice: it is numbers that can be shown, or one line about what is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tallymark as tm
from tallymark.read import ReadError
from tallymark.read.text import TextReader
from tallymark.top.controls import Controls
from tallymark.top.screen import draw
from tallymark.top.table import process_text, tables_of
from tallymark.top.view import read_view
from tallymark.top.watcher import Reading

ALL = Controls("p99", "", False, False)

NAMES = [
    "a_seconds", "a_seconds_bucket", "a_seconds_count", "a_seconds_sum", "a_seconds_total", "a_seconds_created", "a_info",
    "process_cpu_seconds_total", "process_start_time_seconds", "process_open_fds", "tallymark_rejected_total",
    "operation_duration_seconds_bucket", "http_server_request_duration_seconds_bucket",
]  # fmt: skip
LABELS = [
    "", "{}", '{le="1"}', '{le="+Inf"}', '{le="-1"}', '{le="NaN"}', '{quantile="0.5"}', '{operation="x",le="1"}',
    '{status="500"}', '{operation="\u202e",status="error",le="2"}', '{http_request_method="GET",le="0"}', '{a="} 5 # {"}',
]  # fmt: skip
VALUES = ["0", "1", "17", "-3", "1e308", "-1e308", "NaN", "+Inf", "-Inf", "1e-320", "5 1700000000000", '1 # {t="u"} 2']
TYPES = ["counter", "gauge", "histogram", "summary", "untyped", "info", "stateset", "gaugehistogram", "nonsense", ""]
JUNK = ["x", "x{a=b} 5", 'x{a="b"', "x five", "\x1b[31m", "<html>", '{__name__="x"} 5', "# TYPE", "\0"]

samples = st.builds(lambda name, labels, value: f"{name}{labels} {value}", *map(st.sampled_from, (NAMES, LABELS, VALUES)))
headers = st.builds(lambda name, told: f"# TYPE {name} {told}", *map(st.sampled_from, (NAMES, TYPES)))
good = st.lists(samples | headers, max_size=12)
junk = st.lists(samples | st.sampled_from(JUNK) | st.text(max_size=20), max_size=5)
pages = (good | junk).map("\n".join)


def read(reader: TextReader, page: str, time: float) -> tm.Snapshot | None:
    try:
        return tm.Snapshot(reader.families(page), time)
    except ReadError as error:
        if not str(error).isprintable():
            raise
    return None


@pytest.mark.slow
@settings(max_examples=100)
@given(pages, pages, st.floats(0.0, 10.0))
def test_any_page(before: str, now: str, seconds: float) -> None:
    reader = TextReader()
    earlier, later = read(reader, before, 100.0), read(reader, now, 100.0 + seconds)
    if later is None:
        return
    for view in (read_view(None, later), read_view(earlier, later)):
        assert not any(row.rate < 0 or row.error_rate < 0 for row in view.traffic)
        assert all(cell.isprintable() for table in tables_of(view, ALL) for row in table.rows for cell in row)
        assert all(process_text(process).isprintable() for process in view.processes)
        draw(Reading("x", view, "", (), 1.0), ALL, 80, 24)
