"""Warnings that follow from a benchmark's numbers. Those that follow from its source are in `measure/initialisation/`."""

from __future__ import annotations

from collections.abc import Iterator

from tallymark.bench.result.result import BenchmarkResult, Finding

RETAINED = 0.01  # blocks per op; less may be a list or a dict that grew by chance during the reading
_NOISY = 0.10
_DEAR = 3.0
_SLOW = 0.1  # seconds: a process then has a value or two


def judge(result: BenchmarkResult) -> tuple[Finding, ...]:
    """Return the warnings that follow from a result's numbers."""
    return tuple(_judged(result))


def _judged(result: BenchmarkResult) -> Iterator[Finding]:
    counted, line = result.allocations, result.line
    if result.warmup is not None and not result.warmup.steady:
        low, high = min(result.warmup.series, default=0), max(result.warmup.series, default=0)
        yield Finding(
            "never-steady",
            f"never reaches a steady state: its last {len(result.warmup.series)} ops made {low} to {high} allocations each",
            line,
            remedy="Repeat the same work each time: bound what grows, or make it above b.loop().",
        )
    if counted is not None and counted.retained > RETAINED:
        yield Finding(
            "retaining",
            f"retains {counted.retained:.3g} blocks per op: {counted.kept or 'it is slower, or larger, the longer it runs'}",
            line,
            remedy="Drop what an op makes before the next, or clear it within the op.",
        )
    if counted is not None and counted.arenas > 0:
        yield Finding(
            "arena-churn",
            f"allocates {counted.arenas:.3g} arenas per op: each is a call to the operating system",
            line,
            remedy="Compare with care: the time depends on how full memory was when the benchmark began.",
        )
    if counted is not None and counted.other_threads > RETAINED:
        yield Finding(
            "other-threads",
            f"other threads made {counted.other_threads:.3g} allocations per op meanwhile; they are not in the counts",
            line,
            remedy="Stop these threads, or measure their work in a benchmark of its own.",
        )
    if result.cold is not None and result.time is not None:
        first, steady = result.cold.state, max(result.time.median, 1e-9)
        if first > _DEAR * steady and first - steady > 2e-6:
            yield Finding(
                "dear-first-use",
                f"the first op on fresh state costs {first * 1e6:.3g} µs, {first / steady:.0f} times a later one",
                line,
                remedy="A service pays this once; code that makes its objects anew pays it every time.",
            )
    if result.time is not None and result.time.median >= _SLOW:
        processes = result.time.processes
        values = sum(len(one.values) for one in processes)
        yield Finding(
            "slow-op",
            f"an op takes {result.time.median:.2g} s: it took longer to measure than others, and has {values} values",
            line,
            remedy="If a smaller input shows the same, measure that: a figure needs many values.",
        )
    if result.time is not None and len(result.time.figures) < len(result.time.processes):
        count, of = len(result.time.figures), len(result.time.processes)
        yield Finding(
            "speed-changed",
            f"the machine's speed changed: the time is of its fast level, which {count} of {of} processes met",
            line,
            remedy="To compare, measure both sides in turns: `tallymark bench ab`.",
        )
    if result.time is not None and result.time.spread > _NOISY:
        yield Finding(
            "noisy",
            f"too noisy: half the processes lie more than {result.time.spread:.0%} from the median",
            line,
            remedy="Stop what else runs on the machine, or raise --processes.",
        )
