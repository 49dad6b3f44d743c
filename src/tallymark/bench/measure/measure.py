"""Runs benchmarks: which passes, in which order, in fresh processes; and builds results from their answers.

Each round of timing covers all benchmarks on all targets, in random order. What else the machine does then affects all alike.
(With sequential blocks of processes, 11-26 % of identical code is called different; interleaved, 1.2 %.)

Each process reports how calm the machine was. A disturbed process is run again, and the calmest are kept: see
`passes.timed.probe`.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from tallymark.bench.discover import find_files
from tallymark.bench.measure.count_instructions import count_instructions
from tallymark.bench.measure.passes.timed import CALM
from tallymark.bench.measure.run_worker import Answer, run_cold, run_worker
from tallymark.bench.measure.target import Target
from tallymark.bench.result.findings import judge
from tallymark.bench.result.result import BenchmarkResult, Finding, RunResult, build
from tallymark.bench.settings import Settings

Progress = Callable[[int, int, str], None]


def measure(
    paths: Sequence[str] = (),
    *,
    targets: Sequence[Target] = (Target(),),
    settings: Settings | None = None,
    select: str | Callable[[str], bool] = "",
    progress: Progress = lambda done, total, name: None,
) -> list[RunResult]:
    """Measure the benchmarks in files, and in `bench_*.py` below directories, on each target; return a run for each.

    Args:
        paths: files and directories, from each target's root; the default is that root.
        targets: interpreters with their directories of code. The processes of several targets are interleaved.
        settings: how much to measure.
        select: a text that a benchmark's name must contain, or a function that returns True for each name to measure.
        progress: called with the number done, the total, and the next name.

    A benchmark that fails has a result with the status `failed` and the reason. Ctrl-C ends the run with what was measured
    until then (`complete` is False). Raises BenchmarkFileError when there is no file to measure.
    """
    settings = settings or Settings()
    wanted = select if callable(select) else partial(_has, select)
    measured = [_OnTarget(target, settings) for target in targets]
    with contextlib.suppress(KeyboardInterrupt):
        for one in measured:
            one.find(paths, wanted)
        tasks = list(_tasks(measured, settings))
        for done, (job, name) in enumerate(tasks):
            progress(done, len(tasks), f"{job.name}: {name}")
            if not job.ended:
                job.do(name)
        for _ in range(settings.processes):
            again = [job for one in measured for job in one.disturbed()]
            for done, job in enumerate(random.sample(again, len(again))):
                progress(len(tasks) - len(again) + done, len(tasks), f"{job.name}: time, again")
                job.do("time")
        progress(len(tasks), len(tasks), "")
        for one in measured:
            one.complete = True
    return [one.result() for one in measured]


def _has(text: str, name: str) -> bool:
    return text in name


def _tasks(measured: Sequence[_OnTarget], settings: Settings) -> Iterator[tuple[_Job, str]]:
    jobs = [job for one in measured for job in one.jobs]
    for name in settings.passes:
        if name not in ("time", "cold"):
            yield from ((job, name) for job in jobs)
    for name, rounds in (("cold", settings.cold), ("time", settings.processes)):
        for _ in range(rounds if name in settings.passes else 0):
            yield from ((job, name) for job in random.sample(jobs, len(jobs)))


@dataclass
class _Job:
    """One benchmark on one target, and what is known of it so far."""

    target: Target
    settings: Settings
    file: str
    listed: dict[str, Any]
    name: str
    known: dict[str, Any] = field(default_factory=dict)
    times: list[dict[str, Any]] = field(default_factory=list)
    cold: list[dict[str, float]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    ended: bool = False
    spent: float = 0.0

    def do(self, name: str) -> None:
        began = time.perf_counter()
        if name == "cold":
            answer = run_cold(self.target, self.file, self.listed["function"], self.listed["index"], self.settings.timeout)
        elif name == "instructions":
            answer = count_instructions(self.target, self._request(name), self.settings.timeout, self.settings.instructions)
        elif name == "time" and len(self.times) >= 3 and self.spent > self.settings.most:
            return
        else:
            answer = self._run(name)
            if name == "allocations" and answer.get("allocations", {}).get("arenas", 0) > 0:
                # Perhaps each call allocates a chunk for frames, at this depth of the stack only.
                answer = min(answer, self._run(name, depth=7), key=_arenas)
        self._take(name, answer)
        if name == "time":
            self.spent += time.perf_counter() - began

    def _run(self, name: str, depth: int = 0) -> Answer:
        return run_worker(self.target, self._request(name, depth), self.settings.timeout)

    def _request(self, name: str, depth: int = 0) -> dict[str, Any]:
        settings = self.settings
        return {
            "task": name,
            "file": self.file,
            "function": self.listed["function"],
            "index": self.listed["index"],
            "values": settings.values,
            "shortest": settings.shortest,
            "budget": settings.budget,
            "freelists": settings.freelists,
            "depth": depth,
        }

    def _take(self, name: str, answer: Answer) -> None:
        if "unavailable" in answer:
            self.reasons[name] = answer["unavailable"]
            self._note(answer)
        elif "skipped" in answer:
            self.known.update(status="skipped", reason=answer["skipped"])
            self.ended = True
        elif "failed" in answer and name in ("initialisation", "instructions"):
            # These passes run the op in ways that its author never meant. If that fails, the benchmark is not at fault.
            self.reasons[name] = answer["failed"]
        elif "failed" in answer:
            self.known.update(status="failed", reason=answer["failed"])
            self.ended = True
        else:
            self._note(answer)
            if name == "time":
                self.times.append(answer["time"])
            elif name == "cold":
                self.cold.append(answer)
            elif name == "initialisation":
                self.findings += [build(Finding, one, name) for one in answer["findings"]]
            elif name == "state":
                self.known["state"] = answer
            else:
                self.known.update(
                    {
                        key: answer[key]
                        for key in ("allocations", "warmup", "objects", "collections", "instructions")
                        if key in answer
                    }
                )

    def _note(self, answer: Answer) -> None:
        if answer.get("bytes_processed") is not None:
            self.known["bytes_processed"] = answer["bytes_processed"]
        kinds = {finding.kind for finding in self.findings}
        if answer.get("printed") and "prints" not in kinds:
            said = f"prints ({answer['printed']:,} bytes in one process, which were discarded): the output is part of its time"
            remedy = "Move the print out of b.loop(), or remove it."
            self.findings.append(Finding("prints", said, self.listed["line"], remedy=remedy))
        if answer.get("changes_gc") and "changes-gc" not in kinds:
            said = "changes the garbage collector's settings: they were restored, and its numbers mix both settings"
            self.findings.append(
                Finding(
                    "changes-gc",
                    said,
                    self.listed["line"],
                    remedy="Do not change them: times with the collector on and off are both measured.",
                )
            )

    def result(self) -> BenchmarkResult:
        known = dict(self.known)
        state = known.pop("state", None)
        if self.times:
            calm = sorted(self.times, key=_probe)[: self.settings.processes]
            known["time"] = {
                "processes": [one for one in self.times if one in calm],
                "disturbed": [one for one in self.times if one not in calm],
            }
        if self.cold and state:
            middle = {key: statistics.median(one[key] for one in self.cold) for key in ("imports", "setup", "first")}
            known["cold"] = {**middle, **{key: state.get(key) for key in ("state", "allocs", "bytes")}}
        known.update(
            name=self.name, file=self.file, line=self.listed["line"], params=self.listed["params"], reasons=self.reasons
        )
        result = build(BenchmarkResult, known, self.name)
        return replace(result, findings=(*self.findings, *(judge(result) if result.status == "ok" else ())))


def _probe(time: dict[str, Any]) -> float:
    return float(time["probe"])


def _arenas(answer: Answer) -> float:
    return float(answer["allocations"]["arenas"]) if "allocations" in answer else math.inf


class _OnTarget:
    """All benchmarks of one target."""

    def __init__(self, target: Target, settings: Settings) -> None:
        self.target, self._settings = target, settings
        self.jobs: list[_Job] = []
        self.complete = False
        self._broken: list[BenchmarkResult] = []
        self._environment: dict[str, Any] = {}

    def find(self, paths: Sequence[str], wanted: Callable[[str], bool]) -> None:
        """Ask a worker of this target which benchmarks each file has."""
        root = Path(self.target.root)
        for file in find_files([str(root / path) for path in paths] or [str(root)]):
            shown = str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
            request = {"task": "list", "file": str(file.resolve())}
            answer = run_worker(self.target, request, self._settings.timeout)
            self._environment = answer.get("environment", self._environment)
            if "failed" in answer:
                reason = f"does not import: {answer['failed']}"
                self._broken.append(BenchmarkResult(shown, shown, status="failed", reason=reason))
            for one in answer.get("benchmarks", ()):
                name = f"{shown}::{one['name']}"
                if wanted(name):
                    self.jobs.append(_Job(self.target, self._settings, str(file.resolve()), one, name))

    def disturbed(self) -> list[_Job]:
        """Return the benchmarks that have too few calm processes, and time left to run more."""
        timed = [job for job in self.jobs if job.times and not job.ended]
        calmest = min((_probe(time) for job in timed for time in job.times), default=0.0)
        return [
            job
            for job in timed
            if sum(_probe(time) <= CALM * calmest for time in job.times) < self._settings.processes
            and job.spent < self._settings.most
        ]

    def result(self) -> RunResult:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        found = [*self._broken, *(replace(job.result(), file=job.name.partition("::")[0]) for job in self.jobs)]
        environment = {"side": self.target.name, **self._environment}
        return RunResult(environment, asdict(self._settings), tuple(found), now, self.complete)
