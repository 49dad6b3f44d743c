"""The command that measures the toolkit itself: its page has what is known beside what was measured."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import trust
from tallymark.bench.measure.count_instructions import count_instructions
from trusted.counts import counted


@pytest.mark.slow
def test_what_is_counted_is_what_is_known() -> None:
    for one in counted():
        assert [value for value, known in zip(one.counted, one.known, strict=True) if known is not None] == [
            known for known in one.known if known is not None
        ], one.op


@pytest.mark.slow
@pytest.mark.once
def test_the_page_tells_each_comparison_and_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = sys.modules[count_instructions.__module__]
    monkeypatch.setattr(counting, "SEEDS", (0,))  # of more hash seeds, tests/bench/test_instructions.py tells
    page = tmp_path / "trust.md"
    arguments = ["--quick", "--equal", "0", "--slower", "1", "--more", "100", "--rounds", "0", "-o", str(page)]
    trust.main(arguments)
    text = page.read_text(encoding="utf-8")
    assert "| 100 % more work, by time | 1 | **1** | 0 | +" in text
    assert f"written by `python benchmarks/trust.py {' '.join(arguments)}`" in text
    assert "| `d.copy()` | 1 | 1 | 120 | 120 |" in text
    assert "pyperf" not in text
    assert sys.version.split()[0] in text


@pytest.mark.slow
@pytest.mark.once
def test_pyperf_runs_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trusted.pyperf.OPS", {"sum": ("items = [1.5] * 1000", "sum(items)")})
    table = trust.pyperf_table(1, trust.QUICK)
    assert table.splitlines()[2].startswith("| `sum(items)` | ")
