"""Compares two runs: what changed, how certain that is, and what makes the comparison doubtful.

The unit of statistics is the process: its median is one observation, as the values of one process resemble each other.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tallymark.bench.compare.comparison import (
    BenchmarkComparison,
    ColdComparison,
    Comparison,
    CountComparison,
    TimeComparison,
    TimeSide,
)
from tallymark.bench.compare.instructions import compare_instructions, instruction_findings
from tallymark.bench.compare.stats import CONFIDENCE, holm, mann_whitney, median_interval, ratio_interval, split_noise
from tallymark.bench.errors import BenchError
from tallymark.bench.result.result import AllocationResult, BenchmarkResult, ColdResult, Finding, RunResult, TimeResult

SPREAD_LIMIT = 0.10  # above it a side is called noisy
HINT = "comparing needs SciPy: pip install '.[bench]' in a clone of Tallymark, or scipy"

#: What must be equal for two runs to be comparable, and the keys that hold it in their environments.
COMPARABLE: Mapping[str, tuple[str, ...]] = {
    "Python version": ("python",),
    "implementation": ("implementation",),
    "build": ("build",),
    "allocator": ("allocator",),
    "global interpreter lock": ("gil",),
    "machine": ("cpu", "machine"),
    "counting of allocations": ("allocations",),
}


def compare(old: RunResult, new: RunResult, *, alpha: float = 0.05, noise: float | None = None) -> Comparison:
    """Compare two runs, benchmark by benchmark. The same data gives the same result.

    `alpha` is the probability at which a difference counts as significant, after Holm's correction over all benchmarks.
    `noise` is the machine's A/A noise as a share; without it, it is estimated for each benchmark by `split_noise`.
    Raises BenchError when SciPy is not installed, and ValueError for an alpha or a noise out of range.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, not {alpha!r}")
    if noise is not None and not 0 <= noise < math.inf:
        raise ValueError(f"noise must be a share, such as 0.02, not {noise!r}")
    try:
        import scipy.stats  # noqa: F401
    except ImportError:
        raise BenchError(HINT) from None
    olds, news = [{one.name: one for one in run.benchmarks} for run in (old, new)]
    pairs = _adjust([_pair(olds[name], news[name], noise) for name in news if name in olds], alpha)
    estimates = [one.time.noise for one in pairs if one.time is not None and one.time.noise is not None]
    return Comparison(
        old=old,
        new=new,
        alpha=alpha,
        noise=noise if noise is not None else (statistics.median(estimates) if estimates else None),
        benchmarks=tuple(pairs),
        only_old=tuple(name for name in olds if name not in news),
        only_new=tuple(name for name in news if name not in olds),
        findings=tuple(_run_findings(old, new)),
    )


def _pair(old: BenchmarkResult, new: BenchmarkResult, noise: float | None) -> BenchmarkComparison:
    if not old.status == new.status == "ok":
        return BenchmarkComparison(old, new)
    time = _times(old.time, new.time, noise) if old.time and new.time else None
    a, b = old.allocations, new.allocations
    return BenchmarkComparison(
        old=old,
        new=new,
        time=time,
        allocs=_counts(a, b, 0) if a and b else None,
        bytes=_counts(a, b, 1) if a and b else None,
        objects=None if old.objects is None or new.objects is None else _totals(old.objects, new.objects),
        types=_types(old.objects or {}, new.objects or {}) if old.objects is not None and new.objects is not None else {},
        cold=_colds(old.cold, new.cold) if old.cold and new.cold else None,
        instr=compare_instructions(old.instructions, new.instructions),
        findings=(*_pair_findings(old, new, time), *instruction_findings(old, new)),
    )


def _times(old: TimeResult, new: TimeResult, noise: float | None) -> TimeComparison | None:
    olds, news = [[one.median for one in side.processes if one.values] for side in (old, new)]
    if not olds or not news:
        return None
    a, b = _side(olds), _side(news)
    ratio = b.median / a.median if a.median > 0 and b.median > 0 else None
    p = mann_whitney(olds, news)
    interval = None if ratio is None else ratio_interval(olds, news)
    return TimeComparison(a, b, ratio, interval, p, p, False, noise if noise is not None else _pooled_noise(olds, news))


def _side(medians: Sequence[float]) -> TimeSide:
    n, median, spread = len(medians), statistics.median(medians), 0.0
    if n > 1 and median > 0:
        low, _, high = statistics.quantiles(medians, n=4, method="inclusive")
        spread = (high - low) / 2 / median
    return TimeSide(n, median, median_interval(medians), min(medians), 1 - (1 - CONFIDENCE) ** (1 / n), spread)


def _pooled_noise(old: Sequence[float], new: Sequence[float]) -> float | None:
    # The variance of a ratio is the sum of its sides' variances. An A/A comparison of one side has twice that side's variance.
    # Hence the mean square.
    known = [one for one in (split_noise(old), split_noise(new)) if one is not None]
    return math.sqrt(statistics.fmean(one * one for one in known)) if known else None


def _counts(old: AllocationResult, new: AllocationResult, which: int) -> CountComparison:
    values = [(one.allocs, one.bytes)[which] for one in (old, new)]
    exact = old.exact and new.exact
    olds, news = [[each[which] for each in one.samples] or [value] for one, value in zip((old, new), values, strict=True)]
    apart = exact or max(olds) < min(news) or max(news) < min(olds)
    return CountComparison(values[0], values[1], exact, apart)


def _totals(old: dict[str, float], new: dict[str, float]) -> CountComparison:
    return CountComparison(sum(old.values()), sum(new.values()))


def _types(old: dict[str, float], new: dict[str, float]) -> dict[str, float]:
    deltas = {name: round(new.get(name, 0.0) - old.get(name, 0.0), 9) for name in old | new}
    return {name: delta for name, delta in sorted(deltas.items(), key=lambda one: (-abs(one[1]), one[0])) if delta}


def _colds(old: ColdResult, new: ColdResult) -> ColdComparison:
    both = [(old.allocs, new.allocs), (old.bytes, new.bytes)]
    allocs, size = [None if a is None or b is None else CountComparison(a, b) for a, b in both]
    return ColdComparison(old, new, allocs, size)


def _adjust(pairs: list[BenchmarkComparison], alpha: float) -> list[BenchmarkComparison]:
    timed = [(index, one.time) for index, one in enumerate(pairs) if one.time is not None]
    best = [2 / math.comb(time.old.processes + time.new.processes, time.old.processes) for _, time in timed]
    rows = zip(timed, holm([time.p for _, time in timed]), best, holm(best), strict=True)
    for (index, time), p, alone, attainable in rows:
        findings = pairs[index].findings
        if attainable >= alpha:
            findings += (_too_few(time, min(alone, 1.0), len(timed), alpha),)
        pairs[index] = replace(pairs[index], time=replace(time, adjusted=p, significant=p < alpha), findings=findings)
    return pairs


def _too_few(time: TimeComparison, best: float, benchmarks: int, alpha: float) -> Finding:
    among = f" times {benchmarks} benchmarks" if benchmarks > 1 else ""
    text = (
        f"p cannot reach {alpha:g} with {time.old.processes} + {time.new.processes} processes: at best it is {best:.2g}{among}"
    )
    return Finding("too-few-processes", text, remedy="Run more processes on both sides: 10 or more tell most changes apart.")


def _pair_findings(old: BenchmarkResult, new: BenchmarkResult, time: TimeComparison | None) -> list[Finding]:
    found = []
    if time is not None:
        for side, which in ((time.old, "old"), (time.new, "new")):
            if side.spread > SPREAD_LIMIT:
                text = f"the {which} side is noisy: its process medians spread by ±{side.spread:.0%}"
                found.append(Finding("noisy", text, new.line, remedy="Close what else runs, or measure more processes."))
        if time.ratio is None:
            text = "takes no longer than the empty loop that is subtracted: its times have no ratio"
            found.append(Finding("unmeasurable", text, new.line, remedy="Let one op do more."))
    if old.bytes_processed != new.bytes_processed and None not in (old.bytes_processed, new.bytes_processed):
        text = f"an op processes {old.bytes_processed} bytes on the old side and {new.bytes_processed} on the new"
        found.append(Finding("workload-differs", text, new.line, remedy="Compare the same work."))
    return found


def _run_findings(old: RunResult, new: RunResult) -> list[Finding]:
    found = []
    flat_old, flat_new = _flat(old.environment), _flat(new.environment)
    differing = [text for label, keys in COMPARABLE.items() if (text := _difference(label, keys, flat_old, flat_new))]
    if differing:
        remedy = "Numbers differ between Python versions, builds and machines: run both sides alike."
        found.append(Finding("versions-differ", f"the runs are not alike: {'; '.join(differing)}", remedy=remedy))
    if text := _difference("free lists", ("freelists",), _flat(old.settings), _flat(new.settings)):
        found.append(Finding("settings-differ", f"the runs' settings are not alike: {text}", remedy="Run both sides alike."))
    for run, which in ((old, "old"), (new, "new")):
        if not run.complete:
            found.append(
                Finding("incomplete", f"the {which} run was interrupted: it lacks some results", remedy="Run it again.")
            )
    return found


def _difference(label: str, keys: Sequence[str], old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    for key in keys:
        if key in old and key in new and old[key] != new[key]:
            values = f"{old[key]} and {new[key]}"
            return f"{label} {values}" if len(values) <= 100 else label
    return ""


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}_") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat
