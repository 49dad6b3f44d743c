"""Reading again and again: over a window, at no great cost, and on when a source cannot be read."""

from __future__ import annotations

import pytest

import tallymark as tm
from tallymark.read import ReadError
from tallymark.top.watcher import Watcher


class Script:
    """A source that answers as a test tells it to: with a total at a time, or an error."""

    name = "script"
    processes = ()

    def __init__(self, *answers: tuple[float, float] | ReadError) -> None:
        self._answers = list(answers)

    def snapshot(self) -> tm.Snapshot:
        answer = self._answers.pop(0)
        if isinstance(answer, ReadError):
            raise answer
        time, total = answer
        return tm.Snapshot((tm.family("counter", "c", [({}, total)]),), time)


class Clock:
    """Processor time: each look at it costs as much as the test says."""

    def __init__(self, cost: float) -> None:
        self._now, self._cost = 0.0, cost

    def __call__(self) -> float:
        self._now += self._cost
        return self._now


def rates(*answers: tuple[float, float], window: float = 10.0) -> list[float]:
    watcher = Watcher(Script(*answers), 1.0, window)
    found = []
    for _ in answers:
        series = watcher.read().view.series
        found.append(series[0].rate if series else 0.0)
    return found[1:]


def test_rates_are_told_over_the_window() -> None:
    answers = [(float(second), 1.0 if second < 5 else 101.0) for second in range(18)]
    found = rates(*answers)
    assert found[0] == 0.0
    assert found[4] == 20.0  # 100 in 5 seconds
    assert found[12] == 10.0  # in 10 seconds
    assert found[15] == 0.0  # the leap has left the window


def test_readings_that_are_further_apart_than_the_window() -> None:
    assert rates((0.0, 1.0), (60.0, 61.0), (120.0, 181.0)) == [1.0, 2.0]


def test_a_clock_that_is_set_back_begins_anew() -> None:
    found = rates((5000.0, 1.0), (100.0, 2.0), (101.0, 4.0))
    assert found[0] != found[0]
    assert found[1] == 2.0


def test_snapshots_are_not_kept_without_end() -> None:
    watcher = Watcher(Script(*[(second / 1000, 1.0) for second in range(2000)]), 0.001)
    for _ in range(2000):
        watcher.read()
    assert len(watcher._snapshots) <= 22


@pytest.mark.parametrize(("cost", "every"), [(0.001, 1.0), (0.2, 1.0), (0.5, 2.5), (4.0, 20.0)])
def test_the_interval_is_stretched_so_that_reading_takes_a_fifth_of_a_processor_at_most(cost: float, every: float) -> None:
    watcher = Watcher(Script((0.0, 1.0)), 1.0, cpu_clock=Clock(cost))
    assert watcher.read().every == pytest.approx(every)


def test_a_source_that_cannot_be_read_at_all_is_an_error() -> None:
    with pytest.raises(ReadError, match="gone"):
        Watcher(Script(ReadError("gone")), 1.0).read()


def test_one_that_cannot_be_read_any_more_says_so_and_goes_on() -> None:
    watcher = Watcher(Script((0.0, 1.0), (1.0, 3.0), ReadError("gone"), (11.0, 24.0)), 1.0)
    readings = [watcher.read() for _ in range(4)]
    assert [reading.trouble for reading in readings] == ["", "", "gone", ""]
    assert readings[2].view is readings[1].view
    assert readings[3].view.series[0].rate == pytest.approx(21 / 10)
