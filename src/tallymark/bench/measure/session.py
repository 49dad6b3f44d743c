"""A session: finds what there is to measure on each target, and measures it, group by group."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

from tallymark.bench.discover import PREFIX
from tallymark.bench.errors import BenchmarkFileError
from tallymark.bench.measure.measure import Job, OnTarget, Progress, tasks
from tallymark.bench.measure.rounds import Question, time_rounds
from tallymark.bench.measure.schedule import estimate, grouped, no_match
from tallymark.bench.measure.target import Target
from tallymark.bench.result.result import BenchmarkResult, RunResult
from tallymark.bench.settings import Settings

Finished = Callable[[Sequence[BenchmarkResult | None]], None]


def measure(
    paths: Sequence[str] = (),
    *,
    targets: Sequence[Target] = (Target(),),
    settings: Settings | None = None,
    select: str | Callable[[str], bool] = "",
    progress: Progress = lambda done, total, name: None,
    finished: Finished = lambda results: None,
    one_by_one: bool = False,
    question: Question | None = None,
) -> list[RunResult]:
    """Measure the benchmarks in files, and in `bench_*.py` below directories, on each target; return a run for each.

    Args:
        paths: files and directories, from each target's root; the default is that root.
        targets: interpreters with their directories of code. The processes of several targets are interleaved.
        settings: how much to measure.
        select: a text that a benchmark's name must contain, or a function that returns True for each name to measure.
        progress: called with the number done, the total, and the next name.
        finished: called when a benchmark is finished, with its result on each target, None where a target lacks it.
        one_by_one: finish a benchmark, on all targets, before the next begins. By default all benchmarks are interleaved, so
            that they may be compared with each other; an interruption then leaves all of them unfinished.
        question: what a comparison is to find out, which decides how many processes are timed; without it, as many as
            `settings` say.

    A benchmark that fails has a result with the status `failed` and the reason. Ctrl-C ends the run with what was measured
    until then (`complete` is False). Raises BenchmarkFileError when there is nothing to measure.
    """
    session = find(paths, targets=targets, settings=settings, select=select, question=question)
    return session.measure(progress=progress, finished=finished, one_by_one=one_by_one)


def find(
    paths: Sequence[str] = (),
    *,
    targets: Sequence[Target] = (Target(),),
    settings: Settings | None = None,
    select: str | Callable[[str], bool] = "",
    question: Question | None = None,
) -> Session:
    """Find what `measure` would measure, and measure nothing. Raises BenchmarkFileError when there is nothing."""
    wanted = select if callable(select) else partial(_has, select)
    sides = [OnTarget(target, settings or Settings()) for target in targets]
    for one in sides:
        try:
            one.find(paths, wanted)
        except BenchmarkFileError as error:
            where = f"{one.target.name}: " if len(sides) > 1 else ""
            raise BenchmarkFileError(where + str(error).replace(f"{one.target.root}/", "")) from None
    session = Session(sides, question)
    session.check_names(paths, select)
    return session


class Session:
    """The benchmarks that there are to measure, on each target. `runs` are their results so far.

    Attributes:
        names: of the benchmarks that were selected, each once.
        files: that were looked at.
        without: files that define no benchmark.
    """

    def __init__(self, sides: Sequence[OnTarget], question: Question | None = None) -> None:
        self._sides, self._question = sides, question
        self.names = list(dict.fromkeys(job.name for one in sides for job in one.jobs))
        processes = sides[0].settings.processes
        self._looks = tuple(question.looks(len(self.names), processes)) if question else (processes,)
        for one in sides:
            one.settings = replace(one.settings, looks=self._looks)
        self.files = list(dict.fromkeys(name.partition("::")[0] for name in self.names))
        self.without = list(dict.fromkeys(file for one in sides for file in one.without))

    @property
    def runs(self) -> list[RunResult]:
        return [one.result() for one in self._sides]

    @property
    def seconds(self) -> float:
        """About how long measuring takes, if ops are fast."""
        return sum(estimate(one.settings) * len(one.jobs) for one in self._sides)

    def check_names(self, paths: Sequence[str], select: str | Callable[[str], bool]) -> None:
        """Raise BenchmarkFileError if there is nothing to measure, unless a file that does not import is all there is.

        A side of several on which no file imports is an error too: nothing could be compared with it.
        """
        for side in self._sides if len(self._sides) > 1 else ():
            if side.broken and not side.names:
                raise BenchmarkFileError(f"{side.target.name}: {side.broken[0].file} {side.broken[0].reason}")
        names = list(dict.fromkeys(name for one in self._sides for name in one.names))
        broken = list(dict.fromkeys(f"; {one.file} {one.reason}" for side in self._sides for one in side.broken))
        if self.names or (broken and not select):
            return
        if not names:
            where = ", ".join(paths or ["."])
            raise BenchmarkFileError(f"no benchmark in {where}: define a function `{PREFIX}...(b)`{''.join(broken)}")
        said = "no benchmark is selected" if callable(select) else no_match(select, names)
        raise BenchmarkFileError(said + "".join(broken))

    def measure(
        self,
        *,
        progress: Progress = lambda done, total, name: None,
        finished: Finished = lambda results: None,
        one_by_one: bool = False,
    ) -> list[RunResult]:
        """Measure all, as `measure` does; return a run for each target."""
        groups = grouped((job for one in self._sides for job in one.jobs), one_by_one)
        rounds = self._looks[0] * len(self.names) if groups and "time" in groups[0][0].settings.passes else 0
        total, done = rounds + sum(len(list(tasks(group, group[0].settings))) for group in groups), 0
        with contextlib.suppress(KeyboardInterrupt):
            for group in groups:
                done = self._measure(group, done, lambda done, name: progress(done, max(total, done + 1), name))
                for name in dict.fromkeys(job.name for job in group):
                    finished([one.finish(name) for one in self._sides])
            progress(total, total, "")
            for one in self._sides:
                one.complete = True
        return self.runs

    def _measure(self, group: Sequence[Job], done: int, progress: Callable[[int, str], None]) -> int:
        settings = group[0].settings
        for job, name in tasks(group, settings):
            progress(done, f"{job.name}: {name}")
            if not job.ended:
                job.do(name)
            done += 1
        undecided = partial(self._undecided, {job.name for job in group})
        for name in time_rounds(group if "time" in settings.passes else (), settings, self._looks, undecided):
            progress(done, f"{name}: time")
            done += 1
        return done

    def _undecided(self, names: Collection[str]) -> Collection[str]:
        """Return those of some benchmarks that need more processes."""
        if self._question is None:
            return ()
        runs = [replace(run, benchmarks=tuple(one for one in run.benchmarks if one.name in names)) for run in self.runs]
        return self._question.undecided(runs, len(self.names))


def _has(text: str, name: str) -> bool:
    return text in name
