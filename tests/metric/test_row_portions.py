"""Rows in portions: all of them, once, with pauses in which other threads run."""

import threading
import time

import pytest

from tallymark.metric.portions import portions


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 9])
def test_each_row_is_in_one_portion(rows: int) -> None:
    assert [row for some in portions(rows, 4) for row in range(rows)[some]] == list(range(rows))


@pytest.mark.parametrize(("threads", "pauses"), [(1, 0), (2, 2)])
def test_others_run_between_two_portions_if_there_are_any(monkeypatch: pytest.MonkeyPatch, threads: int, pauses: int) -> None:
    slept: list[float] = []
    monkeypatch.setattr(threading, "active_count", lambda: threads)
    monkeypatch.setattr(time, "sleep", slept.append)
    assert len(list(portions(9, 4))) == 3
    assert len(slept) == pauses
    assert all(seconds > 0 for seconds in slept)  # with 0, nobody else may wake up in time
