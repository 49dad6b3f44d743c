"""Compares two runs: what changed, how certain that is, and what makes the comparison doubtful.

The unit of statistics is the process, as the values of one process resemble each other. Where two processes took their values
in turns it is the pair, see pairs.py.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tallymark.bench.compare.checks import same_machine
from tallymark.bench.compare.comparison import (
    BenchmarkComparison,
    ColdComparison,
    Comparison,
    CountComparison,
    TimeComparison,
    TimeSide,
)
from tallymark.bench.compare.instructions import compare_instructions, instruction_findings
from tallymark.bench.compare.pairs import center, center_interval, last_weight, log_ratios, sequential_p
from tallymark.bench.compare.stats import CONFIDENCE, Interval, holm, mann_whitney, median_interval, ratio_interval, split_noise
from tallymark.bench.errors import BenchError
from tallymark.bench.result.levels import LEAST, fast_level, low
from tallymark.bench.result.result import AllocationResult, BenchmarkResult, ColdResult, Finding, RunResult, TimeResult
from tallymark.bench.units import format_percent

ALPHA = 0.01  # with 0.05, one comparison of equal sides in twenty would be called different
CHANGE = 0.05
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


def compare(
    old: RunResult,
    new: RunResult,
    *,
    alpha: float = ALPHA,
    noise: float | None = None,
    change: float = CHANGE,
) -> Comparison:
    """Compare two runs, benchmark by benchmark. The same data gives the same result.

    `alpha` is the probability at which a difference counts as significant, after Holm's correction over all benchmarks.
    `noise` is the machine's A/A noise as a share; without it, it is estimated for each benchmark: for pairs, how far the
    interval goes towards no change; else by `split_noise`. `change` is the share that one cares for: where it is undecided
    whether there is one, a warning says so.

    Raises BenchError when SciPy is not installed, and ValueError for an alpha or a noise out of range.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, not {alpha!r}")
    if noise is not None and not 0 <= noise < math.inf:
        raise ValueError(f"noise must be a share, such as 0.02, not {noise!r}")
    require_scipy()
    olds, news = [{one.name: one for one in run.benchmarks} for run in (old, new)]
    looks = old.settings.get("looks", ())
    pairs = [_pair(olds[name], news[name], noise, looks) for name in news if name in olds]
    pairs = [_with_doubt(one, change) for one in _adjust(pairs, alpha)]
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


def require_scipy() -> None:
    """Raise BenchError, with the remedy, if SciPy cannot be imported."""
    try:
        import scipy.stats  # noqa: F401
    except ImportError:
        raise BenchError(HINT) from None


def _pair(old: BenchmarkResult, new: BenchmarkResult, noise: float | None, looks: Sequence[int]) -> BenchmarkComparison:
    if not old.status == new.status == "ok":
        return BenchmarkComparison(old, new)
    time = _times(old.time, new.time, noise, looks) if old.time and new.time else None
    a, b = old.allocations, new.allocations
    return BenchmarkComparison(
        old=old,
        new=new,
        time=time,
        allocs=_counts(a, b, 0) if a and b else None,
        bytes=_counts(a, b, 1) if a and b else None,
        reallocs=_reallocs(a, b) if a and b else None,
        objects=None if old.objects is None or new.objects is None else _totals(old.objects, new.objects),
        types=_types(old.objects or {}, new.objects or {}) if old.objects is not None and new.objects is not None else {},
        cold=_colds(old.cold, new.cold) if old.cold and new.cold else None,
        instr=compare_instructions(old.instructions, new.instructions),
        findings=(*_pair_findings(old, new, time), *instruction_findings(old, new)),
    )


def _times(old: TimeResult, new: TimeResult, noise: float | None, looks: Sequence[int]) -> TimeComparison | None:
    old, new = (TimeResult(tuple(one for one in side.processes if one.values)) for side in (old, new))
    if not old.processes or not new.processes:
        return None
    differences = log_ratios(old, new)
    if len(differences) > 1:
        return _of_pairs(old, new, noise, differences, looks or (len(differences),))
    olds, news, statistic = _figures(old, new)
    a, b = _side(olds), _side(news)
    ratio = b.median / a.median if a.median > 0 and b.median > 0 else None
    p = mann_whitney(olds, news)
    interval = None if ratio is None else ratio_interval(olds, news)
    noise = noise if noise is not None else _pooled_noise(olds, news)
    attainable = min(1.0, 2 / math.comb(a.processes + b.processes, a.processes))
    return TimeComparison(a, b, ratio, interval, p, p, False, noise, statistic, attainable=attainable)


def _of_pairs(
    old: TimeResult, new: TimeResult, noise: float | None, differences: Sequence[float], looks: Sequence[int]
) -> TimeComparison:
    p = sequential_p(differences, looks)
    attainable = sequential_p(range(1, len(differences) + 1), looks)
    logs = center_interval(differences, 1 - (1 - CONFIDENCE) * last_weight(len(differences), looks))
    interval = Interval(math.exp(logs.low), math.exp(logs.high), logs.confidence)
    change = center(differences)
    if noise is None:
        noise = math.expm1(change - logs.low if change > 0 else logs.high - change)
    sides = _side(old.figures), _side(new.figures)
    return TimeComparison(*sides, math.exp(change), interval, p, p, False, noise, "pairs", len(differences), attainable)


def _figures(old: TimeResult, new: TimeResult) -> tuple[Sequence[float], Sequence[float], str]:
    """Return the figures of both sides that decide, and what they are.

    If either side met several speeds of the machine, the fast level of both counts. Which figures are of that level is
    decided without regard to their sides: so equal sides are no more often called different than the test allows. If one side
    has hardly any there, the sides themselves are the levels.
    """
    if old.statistic == new.statistic == "median":
        return old.medians, new.medians, "median"
    olds, news = [[low(one.values) for one in side.processes] for side in (old, new)]
    limit = max(fast_level([*olds, *news]))
    fast = [[one for one in side if one <= limit] for side in (olds, news)]
    if min(map(len, fast)) >= LEAST:
        olds, news = fast
    return olds, news, "fast level"


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
    olds, news = [[each[which] for each in one.samples] or [value] for one, value in zip((old, new), values, strict=True)]
    return _of_samples(values, olds, news, old.exact and new.exact)


def _reallocs(old: AllocationResult, new: AllocationResult) -> CountComparison:
    values = [old.reallocs, new.reallocs]
    olds, news = [one.realloc_samples or (one.reallocs,) for one in (old, new)]
    return _of_samples(values, olds, news, len(set(olds)) == len(set(news)) == 1)


def _of_samples(values: Sequence[float], olds: Sequence[float], news: Sequence[float], exact: bool) -> CountComparison:
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
    rows = zip(timed, holm([time.p for _, time in timed]), holm([time.attainable for _, time in timed]), strict=True)
    for (index, time), p, attainable in rows:
        findings = pairs[index].findings
        if attainable >= alpha:
            findings += (_too_few(time, len(timed), alpha),)
        pairs[index] = replace(pairs[index], time=replace(time, adjusted=p, significant=p < alpha), findings=findings)
    return pairs


def _too_few(time: TimeComparison, benchmarks: int, alpha: float) -> Finding:
    among = f" times {benchmarks} benchmarks" if benchmarks > 1 else ""
    text = (
        f"p cannot reach {alpha:g} with {time.old.processes} + {time.new.processes} processes: "
        f"at best it is {time.attainable:.2g}{among}"
    )
    return Finding("too-few-processes", text, remedy="Run more processes on both sides: 10 or more tell most changes apart.")


def _with_doubt(one: BenchmarkComparison, change: float) -> BenchmarkComparison:
    """Add a warning if it is not known whether a time changed by so much."""
    time = one.time
    if time is None or time.interval is None or not time.undecided(change):
        return one
    low, high = (format_percent(end - 1, signed=True) for end in (time.interval.low, time.interval.high))
    text = f"undecided whether its time changed by {format_percent(change)}: the change lies between {low} and {high}"
    # The width of an interval goes with the square root of the number; it must fit between no change and the change.
    wide = math.log(time.interval.high / time.interval.low) / math.log1p(change)
    count = max(time.pairs or time.old.processes, 1) * max(1.5, wide**2)
    more = f"Measure with --processes {math.ceil(count)}" if count <= 1000 else "Measure on a machine that is calmer"
    pairs = "" if time.pairs else ", and both sides in turns: `tallymark bench ab`"
    found = Finding("undecided", text, one.new.line, remedy=f"{more}{pairs}.")
    return replace(one, findings=(*one.findings, found))


def _pair_findings(old: BenchmarkResult, new: BenchmarkResult, time: TimeComparison | None) -> list[Finding]:
    found = []
    if time is not None:
        for side, which in ((time.old, "old"), (time.new, "new")):
            if not time.pairs and side.spread > SPREAD_LIMIT:
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
    if not (differing or same_machine(flat_old, flat_new)):
        differing.append("two machines")
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
