"""What tables do not show: failures, empty columns and warnings, in full, or on one line each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tallymark.bench.compare.comparison import Comparison
from tallymark.bench.result.result import BenchmarkResult, Finding, RunResult
from tallymark.bench.show.layout import Line
from tallymark.bench.show.shorten import cells, cut, filled, middle, printable, shortened, split_name

COUNTED = {
    "allocations": "allocs, reallocs, bytes",
    "objects": "objects",
    "initialisation": "initialisation",
    "instructions": "instr",
}
FIRST_USE = "dear-first-use"  # of `bench cold` alone
NAME_WIDTH = 30  # columns for a name in a warning of one line
CODE_WIDTH = 24  # and for a statement in it, if it is too long
INDENT = "     "
NAMED = 2  # benchmarks that a warning names; if it is of more, it names the first
EXPLAIN = "--explain tells where each warning is from, and what to do about it."

_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?"
_PARTS = re.compile(rf"(`[^`]*`|{_NUMBER})")


@dataclass(frozen=True)
class Remark:
    """A line about a run, such as `FAILED bench_a.py::bench_a: raises KeyError`."""

    word: str
    subject: str  # with its colon, where it needs one
    text: str
    name: str = ""  # the benchmark
    line: int = 0  # of a statement in it
    kind: str = ""  # of a warning
    remedy: str = ""

    @property
    def full(self) -> str:
        return " ".join(filter(None, (self.word, self.subject, self.text)))

    def __str__(self) -> str:
        return f"{self.full}\n{INDENT}{self.remedy}" if self.remedy else self.full


def run_remarks(run: RunResult, cold: bool = False) -> Iterator[Remark]:
    """Yield what the tables of a run do not show. Warnings of a dear first use belong to the tables of what is cold."""
    for one in run.benchmarks:
        if one.status in ("failed", "skipped"):
            yield Remark(one.status.upper(), one.name + (":" if one.reason else ""), one.reason)
    reasons = {pair for one in run.benchmarks for pair in one.reasons.items() if pair[0] == "allocations" or not cold}
    yield from (Remark("EMPTY", f"{COUNTED.get(section, section)}:", why) for section, why in sorted(reasons))
    for one in run.benchmarks:
        yield from (warning(finding, one) for finding in one.findings if (finding.kind == FIRST_USE) is cold)
    if not run.complete:
        yield Remark("INTERRUPTED:", "", "this is what was measured until then")


def compared_remarks(comparison: Comparison) -> Iterator[Remark]:
    """Yield what the table of a comparison does not show."""
    for one in comparison.benchmarks:
        for side, result in (("old", one.old), ("new", one.new)):
            if result.status != "ok":
                yield Remark(result.status.upper(), f"{one.name}, on the {side} side:", result.reason)
    yield from (Remark("GONE", f"{name}:", "only on the old side") for name in comparison.only_old)
    yield from (Remark("NEW", f"{name}:", "only on the new side") for name in comparison.only_new)
    yield from (warning(finding) for finding in comparison.findings)
    for one in comparison.benchmarks:
        inherited = [finding for finding in one.new.findings if finding.kind not in ("noisy", "speed-changed", FIRST_USE)]
        yield from (warning(finding, one.new) for finding in (*one.findings, *inherited))


def warning(finding: Finding, one: BenchmarkResult | None = None) -> Remark:
    """Return a finding as a remark."""
    if one is None:
        return Remark("WARN", "", finding.message, kind=finding.kind, remedy=finding.remedy)
    where = f"{one.file}:{finding.line or one.line} {split_name(one.name)[1]}"
    line = finding.line or 0
    return Remark("WARN", where, finding.message, one.name, 0 if line == one.line else line, finding.kind, finding.remedy)


def told(remarks: Iterable[Remark], width: int, explain: bool = False) -> list[Line]:
    """Return remarks as lines: warnings on one line each within a width, or explained.

    Failures and the like are not broken into lines, nor cut: one looks for them in the logs of CI, and needs the whole reason.
    """
    found = list(remarks)
    warnings = [one for one in found if one.word == "WARN"]
    lines = [_coloured(_one_line(one.full)) for one in found if one.word != "WARN"]
    if explain:
        return [*lines, *_explained(warnings, width)]
    shown = _names(warnings)
    lines += [_coloured(_cut(_brief(group, shown), width)) for group in _alike(warnings)]
    if any(one.remedy or cells(_brief([one], shown)) > width for one in warnings):
        lines.append([(EXPLAIN, "")])
    return lines


def _explained(warnings: Sequence[Remark], width: int) -> Iterator[Line]:
    groups: dict[tuple[str, str], list[Remark]] = {}
    for one in warnings:
        groups.setdefault((one.kind, one.remedy), []).append(one)
    for (_, remedy), group in groups.items():
        for one in group:
            yield from _filled(one.full, width)
        if remedy:
            yield from ([(line, "")] for line in filled(f"Remedy: {_one_line(remedy)}", width, INDENT, INDENT))


def _names(warnings: Sequence[Remark]) -> dict[str, str]:
    """Return how each benchmark is called in a line: without its file, if that is clear, and not too long."""
    names = list(dict.fromkeys(printable(one.name) for one in warnings))
    own = [split_name(name)[1] for name in names]
    called = own if len(set(own)) == len(names) else names
    return dict(zip(names, shortened(called, NAME_WIDTH) or called, strict=True))


def _alike(warnings: Sequence[Remark]) -> Iterable[list[Remark]]:
    """Group warnings that say the same but for their figures."""
    groups: dict[tuple[str, ...], list[Remark]] = {}
    for one in warnings:
        groups.setdefault((one.kind, *_PARTS.sub(_blank, one.text).split("\0")), []).append(one)
    return groups.values()


def _blank(part: re.Match[str]) -> str:
    return part[0] if part[0].startswith("`") else "\0"


def _brief(group: Sequence[Remark], shown: dict[str, str]) -> str:
    names = list(dict.fromkeys(shown[printable(one.name)] + (f":{one.line}" if one.line else "") for one in group if one.name))
    subject = f"{names[0]} and {len(names) - 1} more" if len(names) > NAMED else " and ".join(names)
    return _one_line(" ".join(("WARN", f"{subject}:" if subject else "", _merged([one.text for one in group]))))


def _cut(text: str, width: int) -> str:
    """Cut a text to a line: first the code in it, in the middle, then its end."""
    if cells(text) > width:
        text = re.sub("`[^`]*`", lambda code: middle(code[0], CODE_WIDTH), text)
    return cut(text, width)


def _merged(texts: Sequence[str]) -> str:
    """Return texts that differ in figures as one: `17 to 43%`."""
    parts = []
    for same in zip(*map(_PARTS.split, texts), strict=True):
        if len(set(same)) > 1:
            ordered = sorted(same, key=_value)
            parts.append(f"{ordered[0]} to {ordered[-1]}")
        else:
            parts.append(same[0])
    return "".join(parts)


def _value(figure: str) -> float:
    return float(figure.replace(",", ""))


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def _filled(text: str, width: int) -> Iterator[Line]:
    first, *others = filled(_one_line(text), width, INDENT)
    yield _coloured(first)
    yield from ([(line, "")] for line in others)


def _coloured(line: str) -> Line:
    """Colour the word that a line begins with."""
    word = line.partition(" ")[0]
    style = {"WARN": "warning", "EMPTY": "warning", "INTERRUPTED:": "warning", "FAILED": "failure"}.get(word, "")
    return [(word, style), (line[len(word) :], "")]
