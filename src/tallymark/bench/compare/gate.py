"""Limits that a comparison must keep: `time:3%,allocs:0,bytes:0`."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tallymark.bench.compare.checks import incomparable, missing, unmeasurable
from tallymark.bench.compare.comparison import BenchmarkComparison, Comparison, CountComparison, TimeComparison
from tallymark.bench.compare.instructions import RESOLUTION
from tallymark.bench.errors import GateError
from tallymark.bench.units import format_count, format_instructions, format_p, format_percent

COUNTS = ("allocs", "reallocs", "bytes", "objects", "instr")
KINDS = ("time", *COUNTS)
SECTIONS = {"instr": "instructions"}  # of a result, where they have another name


@dataclass(frozen=True)
class Limit:
    """How much worse the new side may be: a share of the old side's figure, or an amount per op."""

    amount: float
    relative: bool

    def allows(self, old: float, new: float, resolution: float = 0.0) -> bool:
        """Return True if `new` is within the limit. What is known to a resolution reaches a limit from half of it below."""
        if resolution:
            limit = self.amount * abs(old) if self.relative else self.amount
            return new - old < max(limit - resolution / 2, resolution / 2)
        return new - old <= (self.amount * abs(old) if self.relative else self.amount) + 1e-9

    def __str__(self) -> str:
        return format_percent(self.amount) if self.relative else format_count(self.amount)


@dataclass(frozen=True)
class Gate:
    """Limits by what they are for: time, allocs, reallocs, bytes, objects, instr."""

    limits: dict[str, Limit]

    def check(self, comparison: Comparison) -> list[str]:
        """Return a line for each limit that is exceeded; none if all hold.

        A time exceeds its limit when it grew significantly, by more than the limit *and* by more than the machine's A/A noise.
        A limit of what was not measured or not compared counts as exceeded: otherwise a benchmark that fails, or that is gone,
        would pass any gate. Figures of two machines or two Pythons are not compared, but for counts of one Python.
        """
        refused = {
            kind: reason
            for kind in self.limits
            if (reason := incomparable(kind, comparison.old.environment, comparison.new.environment))
        }
        checked = Gate({kind: limit for kind, limit in self.limits.items() if kind not in refused})
        return [
            *missing(comparison),
            *(f"{kind} cannot be checked: {reason}" for kind, reason in refused.items()),
            *(line for one in comparison.benchmarks for line in checked._lines(one)),
        ]

    def check_measurable(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """Raise GateError if two environments cannot give what this gate checks: better before measuring than after."""
        for kind in self.limits:
            if reason := unmeasurable(kind, old) or unmeasurable(kind, new) or incomparable(kind, old, new):
                raise GateError(f"gate: {kind} cannot be checked: {reason}")

    def _lines(self, one: BenchmarkComparison) -> Iterator[str]:
        if not one.measured:
            return
        for kind, limit in self.limits.items():
            found: TimeComparison | CountComparison | None = getattr(one, kind)
            if found is None:
                reason = (
                    one.new.reasons.get(SECTIONS.get(kind, kind))
                    or one.new.reasons.get("allocations")
                    or "one side did not measure it"
                )
                yield f"{one.name}: {kind} cannot be checked against the limit of {limit}: {reason}"
            elif isinstance(found, TimeComparison):
                yield from _slower(one.name, found, limit)
            elif found.apart and not limit.allows(found.old, found.new, RESOLUTION * found.old if kind == "instr" else 0.0):
                figure = format_instructions if kind == "instr" else format_count
                change = f"{figure(found.old)} -> {figure(found.new)}"
                yield f"{one.name}: {kind} {change}, but the gate allows {limit} more"


def where_commands(comparison: Comparison, lines: list[str], setup: str = "") -> list[str]:
    """Return the commands that show, by line, what changed in the benchmarks that the lines of `Gate.check` speak of."""
    names = [
        one.name for one in comparison.benchmarks if one.measured and any(line.startswith(f"{one.name}: ") for line in lines)
    ]
    sides = [str(run.environment.get("side", "")) for run in (comparison.old, comparison.new)]
    between = [*(["--setup", setup] if setup else []), *sides] if all(sides) and sides[0] != sides[1] else []
    return [shlex.join(["tallymark", "bench", "where", *between, name]) for name in names]


def _slower(name: str, found: TimeComparison, limit: Limit) -> Iterator[str]:
    if found.change is None or not found.significant or found.change <= max(limit.amount, found.noise or 0.0):
        return
    change, p = format_percent(found.change, signed=True), format_p(found.adjusted)
    noise = "" if found.noise is None else f"; the machine's noise is {format_percent(found.noise)}"
    yield f"{name}: time {change} (p {p}{noise}), but the gate allows {limit} more"


def parse_gate(text: str) -> Gate:
    """Return the gate that a text describes, such as `time:3%,allocs:0,bytes:5%`.

    Times take a percentage; counts (allocs, reallocs, bytes, objects, instr) an amount per op, or a percentage. Raises
    GateError, naming the part that is not valid.
    """
    limits: dict[str, Limit] = {}
    for part in text.split(","):
        kind, colon, amount = (one.strip() for one in part.partition(":"))
        if not colon or kind not in KINDS:
            raise GateError(f"gate: {part.strip()!r} is not one of {', '.join(f'{one}:LIMIT' for one in KINDS)}")
        if kind in limits:
            raise GateError(f"gate: {kind} has two limits; give one")
        limits[kind] = _limit(kind, amount)
    return Gate(limits)


def _limit(kind: str, text: str) -> Limit:
    relative = text.endswith("%")
    try:
        amount = float(text.removesuffix("%"))
    except ValueError:
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise GateError(f"gate: {kind}:{text} needs a number that is not negative, such as 0 or 3%")
    if kind == "time" and not relative:
        raise GateError(f"gate: time:{text} needs a percentage, such as time:3%")
    return Limit(amount / 100 if relative else amount, relative)
