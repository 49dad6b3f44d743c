"""The rounds of timing: which benchmarks are timed together, how often, and when it is enough.

A round times each benchmark in a fresh process of each target, in turns (see duet.py), and the benchmarks in random order.
One round is one observation in the statistics. After some rounds a question looks at the results, and says which benchmarks
need more.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Protocol

from tallymark.bench.measure.duet import run_duet
from tallymark.bench.measure.run_worker import Answer
from tallymark.bench.measure.target import Target
from tallymark.bench.result.result import RunResult
from tallymark.bench.settings import Settings

LEAST = 3  # rounds, however long they take


class Timed(Protocol):
    """A benchmark on a target, to be timed."""

    name: str
    ended: bool

    @property
    def side(self) -> tuple[Target, dict[str, Any]]:
        """The target, and the request that its worker gets."""
        ...

    def take(self, answer: Answer, duet: str) -> None:
        """Take what one process measured, or why it did not; and the name that it shares with those that it took turns with."""
        ...


class Question(Protocol):
    """What the timing is to find out; see `compare.question`."""

    def looks(self, benchmarks: int, processes: int) -> Sequence[int]:
        """Return after how many rounds to look, if `processes` are wanted at least."""
        ...

    def undecided(self, runs: Sequence[RunResult], benchmarks: int) -> Collection[str]:
        """Look at the results until now, of some of the benchmarks. Return the names of those that need more rounds."""
        ...


def time_rounds(
    jobs: Iterable[Timed], settings: Settings, looks: Sequence[int], undecided: Callable[[], Collection[str]]
) -> Iterator[str]:
    """Time benchmarks; yield the name of each before its round. Those of the same name on several targets are timed together.

    No more rounds are run for a benchmark once each of its sides took `settings.most` seconds, but for the first look.
    """
    groups: dict[str, list[Timed]] = {}
    for job in jobs:
        groups.setdefault(job.name, []).append(job)
    run, spent = uuid.uuid4().hex[:12], dict.fromkeys(groups, 0.0)
    least = LEAST if all(len(group) == 1 for group in groups.values()) else looks[0]
    for done in range(looks[-1]):
        if done in looks:
            wanted = undecided()
            groups = {name: group for name, group in groups.items() if name in wanted}
        for name in random.sample(list(groups), len(groups)):
            live = [job for job in groups[name] if not job.ended]
            if live and (done < least or spent[name] <= settings.most):
                yield name
                began = time.perf_counter()
                _play(live, settings, f"{run}-{done}")
                spent[name] += (time.perf_counter() - began) / len(live)


def _play(jobs: Sequence[Timed], settings: Settings, name: str) -> None:
    """Time jobs in turns. If one fails, the others are timed without it."""
    answers = run_duet([job.side for job in jobs], settings.values, settings.budget, settings.timeout)
    for job, answer in zip(jobs, answers, strict=True):
        if answer is not None:
            job.take(answer, name)
    if left := [job for job, answer in zip(jobs, answers, strict=True) if answer is None]:
        _play(left, settings, name)
