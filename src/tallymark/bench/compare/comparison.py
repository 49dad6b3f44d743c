"""A comparison of two runs, as data."""

from __future__ import annotations

from dataclasses import dataclass, field

from tallymark.bench.compare.stats import Interval
from tallymark.bench.result.result import BenchmarkResult, ColdResult, Finding, RunResult

__all__ = ["BenchmarkComparison", "ColdComparison", "Comparison", "CountComparison", "TimeComparison", "TimeSide"]


@dataclass(frozen=True)
class TimeSide:
    """The figures of one side's processes, in seconds per op; which figures, `TimeComparison.statistic` says."""

    processes: int  # whose figures count
    median: float
    interval: Interval  # of the median, by order statistics
    minimum: float  # the smallest figure
    minimum_quantile: float  # with 95 % confidence, the minimum lies below this quantile of all figures
    spread: float  # half the interquartile range as a share of the median


@dataclass(frozen=True)
class TimeComparison:
    """The times of two sides.

    `statistic` tells what decides. `pairs`: the ratios within the pairs of processes that took their values in turns, by
    Wilcoxon's signed-rank test; `ratio` and `interval` are of Hodges and Lehmann's estimate, and need not be those of the
    sides' medians. `median` and `fast level` (`TimeResult.statistic`): both sides' figures, by Mann-Whitney's U; `ratio` is
    that of their medians, and `interval` by bootstrap.

    `ratio` is new / old. It is None when a time is not above 0, which may happen as the empty loop's time is subtracted. `p`
    is two-sided; `adjusted` is Holm's over all benchmarks, and `attainable` the least that so many processes can have.
    `noise` is the share by which an A/A comparison may differ: None when it is not given and cannot be estimated.
    """

    old: TimeSide
    new: TimeSide
    ratio: float | None
    interval: Interval | None
    p: float
    adjusted: float
    significant: bool
    noise: float | None
    statistic: str = "median"
    pairs: int = 0
    attainable: float = 0.0

    @property
    def change(self) -> float | None:
        """How much longer the new side takes, as a share: 0.03 is 3 % slower."""
        return None if self.ratio is None else self.ratio - 1

    @property
    def differs(self) -> bool:
        """True if the sides differ significantly, and by more than the machine's noise."""
        return self.significant and abs(self.change or 0.0) > (self.noise or 0.0)

    def undecided(self, change: float) -> bool:
        """Return True if neither is known: that the sides differ, nor that they do not differ by a share of `change`."""
        if self.differs or self.interval is None:
            return False
        return self.interval.high >= 1 + change or self.interval.low <= 1 / (1 + change)


@dataclass(frozen=True)
class CountComparison:
    """A count per op on both sides. No statistics: counts are exact, or their repetitions show how much they vary."""

    old: float
    new: float
    exact: bool = True  # on both sides all repetitions agree
    apart: bool = True  # the repetitions of the two sides do not overlap

    @property
    def delta(self) -> float:
        return round(self.new - self.old, 9)


@dataclass(frozen=True)
class ColdComparison:
    """What the first use costs on both sides; `allocs` and `bytes` are of the first op on fresh state."""

    old: ColdResult
    new: ColdResult
    allocs: CountComparison | None = None
    bytes: CountComparison | None = None

    @property
    def dearer(self) -> bool:
        return self.allocs is not None and self.allocs.delta > 0


@dataclass(frozen=True)
class BenchmarkComparison:
    """A benchmark that is on both sides. A section is None if a side did not measure it."""

    old: BenchmarkResult
    new: BenchmarkResult
    time: TimeComparison | None = None
    allocs: CountComparison | None = None
    bytes: CountComparison | None = None
    objects: CountComparison | None = None
    instr: CountComparison | None = None
    types: dict[str, float] = field(default_factory=dict)  # objects by type: the differences, largest first
    cold: ColdComparison | None = None
    findings: tuple[Finding, ...] = ()
    reallocs: CountComparison | None = None

    @property
    def name(self) -> str:
        return self.new.name

    @property
    def measured(self) -> bool:
        return self.old.status == self.new.status == "ok"


@dataclass(frozen=True)
class Comparison:
    """Two runs compared. `findings` are about the runs; a benchmark's own are in `benchmarks`."""

    old: RunResult
    new: RunResult
    alpha: float
    noise: float | None  # as given, or the median of the benchmarks' estimates
    benchmarks: tuple[BenchmarkComparison, ...]
    only_old: tuple[str, ...] = ()
    only_new: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    def __getitem__(self, name: str) -> BenchmarkComparison:
        for one in self.benchmarks:
            if one.name == name:
                return one
        raise KeyError(name)
