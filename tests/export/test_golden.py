"""Each text format of one snapshot that has one of everything: bytes that must not change unless a format does.

To write them anew, after looking at the difference: `GOLDEN=write pytest tests/export/test_golden.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from openmetrics_grammar import read
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

import tallymark as tm
from everything import everything

GOLDEN = Path(__file__).parent / "golden"
FORMATS: dict[str, Callable[[tm.Snapshot], bytes]] = {
    "text-0.0.4.txt": tm.render_prometheus,
    "text-1.0.0-utf-8.txt": partial(tm.render_prometheus, escaping="allow-utf-8"),
    "text-1.0.0-dots.txt": partial(tm.render_prometheus, escaping="dots"),
    "openmetrics-1.0.0.txt": tm.render_openmetrics,
    "openmetrics-1.0.0-created.txt": partial(tm.render_openmetrics, created=True),
    "openmetrics-1.0.0-utf-8.txt": partial(tm.render_openmetrics, escaping="allow-utf-8"),
    "openmetrics-1.0.0-values.txt": partial(tm.render_openmetrics, escaping="values"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_bytes_of_a_format_are_these(name: str) -> None:
    rendered = FORMATS[name](everything())
    if os.environ.get("GOLDEN") == "write":
        (GOLDEN / name).write_bytes(rendered)
    assert rendered == (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_a_parser_of_others_reads_them(name: str) -> None:
    text = (GOLDEN / name).read_bytes().decode()
    if name.startswith("text"):
        assert [family.type for family in parse_text(text)].count("histogram") == 3
        return
    assert [family.type for family in read(text)].count("stateset") == 1
    # It takes a quote in an exemplar for the end of it.
    families = list(parse_openmetrics(text.replace(r"0\"\\\n{} # é", "0")))
    assert [family.type for family in families].count("histogram") == 3
    assert sum(sample.exemplar is not None for family in families for sample in family.samples) == 5


def test_the_files_are_those_of_the_formats() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(FORMATS)
