"""Compares counts of instructions: hash seed by hash seed, and only those of one kind of counter."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from tallymark.bench.compare.comparison import CountComparison
from tallymark.bench.result.result import BenchmarkResult, Finding, InstructionResult

#: The share by which counts of equal work may differ, as memory lies elsewhere. Less is no difference.
RESOLUTION = 0.001


def compare_instructions(old: InstructionResult | None, new: InstructionResult | None) -> CountComparison | None:
    """Return both sides' means over the hash seeds that they share; None if a side has none, or the counters differ.

    The sides lie apart if they differ by half the resolution, and by more than medians of equal work do: 1.5 times the mean
    interquartile range of a seed's readings, by the root of the number of all readings, for each side. For random work that is
    2.3 standard deviations of the difference. Equal work under callgrind does not differ at all.
    """
    if old is None or new is None or old.counter != new.counter:
        return None
    seeds = [seed for seed in old.seeds if seed in new.seeds]
    if not seeds:
        return None
    sides = [[one.samples[one.seeds.index(seed)] for seed in seeds] for one in (old, new)]
    a, b = (statistics.fmean(map(statistics.median, samples)) for samples in sides)
    unsure = sum(_unsure(samples) for samples in sides)
    return CountComparison(a, b, exact=not unsure, apart=abs(b - a) > max(RESOLUTION / 2 * a, unsure))


def _unsure(samples: Sequence[Sequence[float]]) -> float:
    return 1.5 * statistics.fmean(map(_quartile_range, samples)) / math.sqrt(sum(map(len, samples)))


def _quartile_range(readings: Sequence[float]) -> float:
    if len(readings) < 2:
        return 0.0
    low, _, high = statistics.quantiles(readings, n=4, method="inclusive")
    return high - low


def instruction_findings(old: BenchmarkResult, new: BenchmarkResult) -> list[Finding]:
    """Return warnings about sides that were counted differently."""
    a, b = old.instructions, new.instructions
    if a is None or b is None:
        return []
    if a.counter != b.counter:
        text = f"instructions were counted by {a.counter} on the old side and by {b.counter} on the new: they are not compared"
        return [Finding("counters-differ", text, new.line, remedy="Count both sides on one machine.")]
    if a.path != b.path:
        differing = next(((x, y) for x, y in zip(a.path, b.path, strict=False) if x != y), ("", ""))
        text = f"the sides import from different paths, {differing[0] or a.path} and {differing[1] or b.path}"
        remedy = "Paths alone change instructions by up to 1 %: use `tallymark bench ab`, or one checkout."
        return [Finding("paths-differ", text, new.line, remedy=remedy)]
    return []
