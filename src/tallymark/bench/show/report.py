"""Reports as tables and lines of text. How they look in a terminal, in Markdown or in HTML is decided elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from tallymark.bench.compare.comparison import BenchmarkComparison, Comparison, CountComparison, TimeComparison, TimeSide
from tallymark.bench.result.result import BenchmarkResult, ColdResult, RunResult
from tallymark.bench.show.remarks import compared_remarks, run_remarks
from tallymark.bench.show.table import NONE, Better, Table, Worse, without_empty
from tallymark.bench.units import (
    format_bytes,
    format_count,
    format_instructions,
    format_p,
    format_percent,
    format_rate,
    format_seconds,
)

TESTS = {
    "pairs": "Wilcoxon's signed-rank test on pairs of processes",
    "median": "Mann-Whitney U on process medians",
    "fast level": "Mann-Whitney U on processes at the machine's fast level",
}


def run_table(run: RunResult) -> Table:
    """Return the steady state of each benchmark that was measured."""
    headers = ("", "time", "instr", "allocs", "reallocs", "bytes", "objects", "GC/1000 ops", "throughput")
    return without_empty(Table(headers, tuple(_steady(one) for one in run.benchmarks if one.status == "ok")))


def _steady(one: BenchmarkResult) -> tuple[str, ...]:
    time, counted = one.time, one.allocations
    return (
        one.name,
        NONE if time is None else f"{format_seconds(time.median)} ±{time.spread:.0%}",
        NONE if one.instructions is None else format_instructions(one.instructions.per_op),
        NONE if counted is None else format_count(counted.allocs),
        NONE if counted is None else format_count(counted.reallocs),
        NONE if counted is None else format_bytes(counted.bytes),
        NONE if one.objects is None else format_count(sum(one.objects.values())),
        NONE if one.collections is None else format_count(one.collections.per_1000),
        format_rate(one.bytes_processed / time.median) if one.bytes_processed and time and time.median > 0 else NONE,
    )


def cold_tables(run: RunResult) -> list[Table]:
    """Return what the first use costs: in a fresh process, and on fresh state in a warm one, beside steady.

    Two more tables tell what all counted ops requested (Go's MemAllocs and MemBytes), and what the garbage collector cost.
    """
    cold = [(one, one.cold) for one in run.benchmarks if one.status == "ok" and one.cold is not None]
    process = ("", "fresh process", "= import", "+ setup", "+ first op")
    state = ("", "fresh state", "allocs", "steady", "first/steady")
    totals = ("", "ops", "total allocs", "total bytes")
    collector = ("", "GC/1000 ops", "GC pause/1000 ops", "time, GC on", "time, GC off")
    tables = [
        Table(process, tuple((one.name, *_process(known)) for one, known in cold)),
        Table(state, tuple((one.name, *_state(one, known)) for one, known in cold)),
        Table(totals, tuple(_totals(one) for one in run.benchmarks if one.status == "ok" and one.allocations is not None)),
        Table(
            collector, tuple(_collector(one) for one in run.benchmarks if one.status == "ok" and one.collections is not None)
        ),
    ]
    return [without_empty(table) for table in tables if table.rows]


def _process(cold: ColdResult) -> tuple[str, ...]:
    return tuple(map(format_seconds, (cold.process, cold.imports, cold.setup, cold.first)))


def _state(one: BenchmarkResult, cold: ColdResult) -> tuple[str, ...]:
    steady = one.time.median if one.time else 0.0
    return (
        format_seconds(cold.state),
        NONE if cold.allocs is None else format_count(cold.allocs),
        format_seconds(steady) if one.time else NONE,
        f"{cold.state / steady:.1f}" if steady > 0 else NONE,
    )


def _totals(one: BenchmarkResult) -> tuple[str, ...]:
    counted = one.allocations
    assert counted is not None  # noqa: S101
    return (one.name, f"{counted.ops:,}", f"{counted.total_allocs:,}", format_bytes(counted.total_bytes))


def _collector(one: BenchmarkResult) -> tuple[str, ...]:
    found = one.collections
    assert found is not None  # noqa: S101
    return (one.name, format_count(found.per_1000), *map(format_seconds, (found.pause, found.time_on, found.time_off)))


def about(run: RunResult) -> str:
    """Return one line on where and how a run was made."""
    known = run.environment
    parts = [f"{known.get('implementation') or 'Python'} {known.get('python', '?')}"]
    if known.get("cpu"):
        parts.append(f"{known['cpu']} ({known.get('cpus', '?')} CPUs)")
    if known.get("commit"):
        parts.append(f"commit {str(known['commit'])[:10]}{' and changes' if known.get('modified') else ''}")
    processes = max((len(one.time.processes) for one in run.benchmarks if one.time), default=0)
    parts.append(f"{processes} processes a benchmark")
    return " · ".join(parts)


def remarks(run: RunResult) -> Iterator[str]:
    """Yield in full what a table does not show: what failed or was skipped, why columns are empty, and the warnings."""
    return map(str, run_remarks(run))


def comparison_table(comparison: Comparison) -> Table:
    """Return both sides of each benchmark, metric by metric, below its name."""
    headers = ("", "old", "new", "delta", "p", "n", "")
    return without_empty(Table(headers, tuple(row for one in comparison.benchmarks if one.measured for row in _compared(one))))


def _compared(one: BenchmarkComparison) -> Iterator[tuple[str, ...]]:
    yield (one.name, "", "", "", "", "", "")
    if one.time is not None:
        yield _time_row(one.time)
        yield _times_row("  minimum", one.time.old.minimum, one.time.new.minimum)
    if one.allocs is not None:
        yield _count_row("  allocs", one.allocs)
    if one.reallocs is not None and (one.reallocs.old or one.reallocs.new):
        yield _count_row("  reallocs", one.reallocs)
    if one.bytes is not None:
        yield _count_row("  bytes", one.bytes)
    if one.objects is not None:
        types = ", ".join(f"{kind} {format_count(delta, signed=True)}" for kind, delta in list(one.types.items())[:4])
        yield _count_row("  objects", one.objects, types)
    if one.instr is not None:
        yield _instruction_row(one.instr)
    if one.cold is not None:
        yield _times_row("  fresh state", one.cold.old.state, one.cold.new.state)
        if one.cold.allocs is not None:
            yield _count_row("  its allocs", one.cold.allocs, "! first use costs more" if one.cold.dearer else "")


def _time_row(time: TimeComparison) -> tuple[str, ...]:
    sides = ("  time", _side(time.old), _side(time.new))
    p = format_p(time.adjusted)
    n = f"{time.pairs} pairs" if time.pairs else f"{time.old.processes}+{time.new.processes}"
    if time.change is None or time.interval is None or not time.significant:
        return (*sides, "~", p, n, "")
    low, high = (format_percent(one - 1, signed=True).removesuffix("%") for one in (time.interval.low, time.interval.high))
    delta = f"{format_percent(time.change, signed=True)} [{low}, {high}]"
    if time.differs:
        return (*sides, _judged(delta, time.change), p, n, "")
    return (*sides, delta, p, n, f"within the noise of ±{format_percent(time.noise or 0.0)}")


def _side(side: TimeSide) -> str:
    return f"{format_seconds(side.median)} ±{side.spread:.0%}"


def _times_row(name: str, old: float, new: float) -> tuple[str, ...]:
    return (name, format_seconds(old), format_seconds(new), "", "", "", "")


def _count_row(name: str, count: CountComparison, note: str = "") -> tuple[str, ...]:
    figure = format_bytes if name.strip() == "bytes" else format_count
    delta = figure(count.delta, signed=True) if count.delta else "0"
    how = "exact" if count.exact else ("" if count.apart else "~")
    return (name, figure(count.old), figure(count.new), _judged(delta, count.delta if count.apart else 0.0), how, "", note)


def _judged(text: str, change: float) -> str:
    return Worse(text) if change > 0 else Better(text) if change < 0 else text


def _instruction_row(count: CountComparison) -> tuple[str, ...]:
    delta = format_percent(count.delta / count.old, signed=True) if count.apart and count.old else "~"
    sides = format_instructions(count.old), format_instructions(count.new)
    return ("  instr", *sides, _judged(delta, count.delta if count.apart else 0.0), "", "", "")


def comparison_remarks(comparison: Comparison) -> Iterator[str]:
    """Yield in full what the table of a comparison does not show."""
    return map(str, compared_remarks(comparison))


def comparison_about(comparison: Comparison) -> str:
    """Return one line on how sure a comparison is."""
    noise = "unknown" if comparison.noise is None else f"±{format_percent(comparison.noise)}"
    used = {one.time.statistic for one in comparison.benchmarks if one.time}
    tests = " and ".join(text for statistic, text in TESTS.items() if statistic in used)
    return f"~: no significant difference ({tests}, Holm, alpha {comparison.alpha:g}) · A/A noise {noise}"
