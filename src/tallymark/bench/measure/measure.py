"""One benchmark on one target: its passes in fresh processes, and a result from their answers. See session.py for the whole.

Times come last, in rounds: see rounds.py.
"""

from __future__ import annotations

import datetime
import math
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tallymark.bench.discover import find_files
from tallymark.bench.measure.count_instructions import count_instructions
from tallymark.bench.measure.run_worker import Answer, run_cold, run_worker
from tallymark.bench.measure.target import Target
from tallymark.bench.result.build import build
from tallymark.bench.result.findings import RETAINED, judge
from tallymark.bench.result.result import BenchmarkResult, Finding, RunResult
from tallymark.bench.settings import Settings

Progress = Callable[[int, int, str], None]


def tasks(jobs: Sequence[Job], settings: Settings) -> Iterator[tuple[Job, str]]:
    for name in settings.passes:
        if name not in ("time", "cold"):
            yield from ((job, name) for job in jobs)
    for _ in range(settings.cold if "cold" in settings.passes else 0):
        yield from ((job, "cold") for job in random.sample(jobs, len(jobs)))


@dataclass(eq=False)
class Job:
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

    def do(self, name: str) -> None:
        """Run a pass and take its answer."""
        self._guarded(lambda: self._do(name))

    def _guarded(self, act: Callable[[], None]) -> None:
        """Take an answer. One that a benchmark damaged fails this benchmark alone."""
        try:
            act()
            self.result()
        except Exception as error:
            self.known = {"status": "failed", "reason": nonsense(error)}
            del self.times[:], self.cold[:]
            self.ended = True

    def _do(self, name: str) -> None:
        if name == "cold":
            answer = run_cold(self.target, self.file, self.listed["function"], self.listed["index"], self.settings.timeout)
        elif name == "instructions":
            answer = count_instructions(self.target, self._request(name), self.settings.timeout, self.settings.instructions)
        else:
            answer = self._run(name)
            if name == "allocations" and answer.get("allocations", {}).get("arenas", 0) > 0:
                # Perhaps each call allocates a chunk for frames, at this depth of the stack only.
                answer = min(answer, self._run(name, depth=7), key=_arenas)
            if name == "allocations" and answer.get("allocations", {}).get("retained", 0) > RETAINED:
                self._look_at_kept(answer["allocations"])
        self._take(name, answer)

    def _look_at_kept(self, counted: dict[str, Any]) -> None:
        """Look again, at the whole process: another thread may have freed what one kept."""
        request = {**self._request("kept"), "retained": counted["retained"]}
        found = run_worker(self.target, request, self.settings.timeout)
        counted.update({key: found[key] for key in ("kept", "retained") if key in found})

    @property
    def side(self) -> tuple[Target, dict[str, Any]]:
        """What is timed: the target, and the request that its worker gets."""
        return self.target, {**self._request("time"), "warmup": self.settings.budget / 4}

    def take(self, answer: Answer, duet: str) -> None:
        """Take what one process of the rounds of timing answered, and the name of its duet."""
        self._guarded(lambda: self._take("time", answer, duet))

    def _run(self, name: str, depth: int = 0) -> Answer:
        return run_worker(self.target, {**self._request(name), "depth": depth}, self.settings.timeout)

    def _request(self, name: str) -> dict[str, Any]:
        settings = self.settings
        return {
            "task": name,
            "file": self.file,
            "function": self.listed["function"],
            "index": self.listed["index"],
            "name": self.listed["name"],
            "shortest": settings.shortest,
            "budget": settings.budget,
            "freelists": settings.freelists,
        }

    def _take(self, name: str, answer: Answer, duet: str = "") -> None:
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
                self.times.append({**answer["time"], "duet": duet})
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
            known["time"] = {"processes": self.times}
        if self.cold and state:
            middle = {key: statistics.median(one[key] for one in self.cold) for key in ("imports", "setup", "first")}
            known["cold"] = {**middle, **{key: state.get(key) for key in ("state", "allocs", "bytes")}}
        known.update(
            name=self.name,
            file=self.name.partition("::")[0],
            line=self.listed["line"],
            params=self.listed["params"],
            reasons=self.reasons,
        )
        result = build(BenchmarkResult, known, self.name)
        return replace(result, findings=(*self.findings, *(judge(result) if result.status == "ok" else ())))


def nonsense(error: Exception) -> str:
    """Return what is said of an answer that no worker would give."""
    return f"the answer of its process makes no sense ({type(error).__name__}: {error}): does it write to files of others?"


def _arenas(answer: Answer) -> float:
    return float(answer["allocations"]["arenas"]) if "allocations" in answer else math.inf


class OnTarget:
    """All benchmarks of one target."""

    def __init__(self, target: Target, settings: Settings) -> None:
        self.target, self.settings = target, settings
        self.jobs: list[Job] = []
        self.names: list[str] = []
        self.without: list[str] = []
        self.broken: list[BenchmarkResult] = []
        self.complete = False
        self._finished: dict[str, BenchmarkResult] = {}
        self._environment: dict[str, Any] = {}

    def find(self, paths: Sequence[str], wanted: Callable[[str], bool]) -> None:
        """Ask a worker of this target which benchmarks each file has."""
        root = Path(self.target.root)
        for file in find_files([str(root / path) for path in paths] or [str(root)]):
            shown = str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
            request = {"task": "list", "file": str(file.resolve())}
            self._take(shown, str(file.resolve()), run_worker(self.target, request, self.settings.timeout), wanted)

    def _take(self, shown: str, file: str, answer: Answer, wanted: Callable[[str], bool]) -> None:
        if "failed" in answer:
            reason = f"does not import: {answer['failed']}"
            self.broken.append(BenchmarkResult(shown, shown, status="failed", reason=reason))
            return
        try:
            jobs = [Job(self.target, self.settings, file, one, f"{shown}::{one['name']}") for one in answer["benchmarks"]]
            for job in jobs:
                job.result()
            self._environment = {**answer["environment"]}
        except Exception as error:
            self._take(shown, file, {"failed": nonsense(error)}, wanted)
            return
        self.names += [job.name for job in jobs]
        self.jobs += [job for job in jobs if wanted(job.name)]
        self.without += [] if jobs else [shown]

    def finish(self, name: str) -> BenchmarkResult | None:
        """Return the result of a benchmark of which nothing more is measured; None if it is not on this target."""
        for job in self.jobs:
            if job.name == name:
                self._finished[name] = job.result()
        return self._finished.get(name)

    def result(self) -> RunResult:
        """Return the run so far: what is finished, and what was begun, without what was not."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        found = [*self.broken, *filter(None, map(self._so_far, self.jobs))]
        environment = {"side": self.target.name, **self._environment}
        return RunResult(environment, asdict(self.settings), tuple(found), now, self.complete)

    def _so_far(self, job: Job) -> BenchmarkResult | None:
        if job.name in self._finished or job.ended:
            return self._finished.get(job.name) or job.result()
        if not (job.known or job.times or job.cold or job.reasons):
            return None
        result = job.result()
        lacking = [one for one in ("allocations", "objects", "collections", "cold", "time") if getattr(result, one) is None]
        reasons = {one: "interrupted before it was measured" for one in lacking if one in self.settings.passes}
        return replace(result, reasons={**reasons, **result.reasons})
