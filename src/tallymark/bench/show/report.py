"""Reports as tables and lines of text. How they look in a terminal, in Markdown or in HTML is decided elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tallymark.bench.compare.comparison import BenchmarkComparison, Comparison, CountComparison, TimeComparison, TimeSide
from tallymark.bench.result.result import BenchmarkResult, Finding, RunResult
from tallymark.bench.units import (
    format_bytes,
    format_count,
    format_instructions,
    format_p,
    format_percent,
    format_rate,
    format_seconds,
)

NONE = "-"
COUNTED = {"allocations": "allocs, bytes", "objects": "objects", "initialisation": "initialisation", "instructions": "instr"}


@dataclass(frozen=True)
class Table:
    """Cells of text. The first column names the row; the others are figures."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def run_table(run: RunResult) -> Table:
    """Return the steady state of each benchmark that was measured."""
    throughput = any(one.bytes_processed for one in run.benchmarks)
    counted = any(one.instructions for one in run.benchmarks)
    headers = ("", "time", "allocs", "bytes", "objects", "GC/1000 ops", "throughput", "instr")
    shown = [i for i, one in enumerate(headers) if {"throughput": throughput, "instr": counted}.get(one, True)]
    rows = [_steady(one) for one in run.benchmarks if one.status == "ok"]
    return Table(tuple(headers[i] for i in shown), tuple(tuple(row[i] for i in shown) for row in rows))


def _steady(one: BenchmarkResult) -> tuple[str, ...]:
    time, counted = one.time, one.allocations
    return (
        one.name,
        NONE if time is None else f"{format_seconds(time.median)} ±{time.spread:.0%}",
        NONE if counted is None else format_count(counted.allocs),
        NONE if counted is None else format_bytes(counted.bytes),
        NONE if one.objects is None else format_count(sum(one.objects.values())),
        NONE if one.collections is None else format_count(one.collections.per_1000),
        format_rate(one.bytes_processed / time.median) if one.bytes_processed and time and time.median > 0 else NONE,
        NONE if one.instructions is None else format_instructions(one.instructions.per_op),
    )


def cold_table(run: RunResult) -> Table:
    """Return what the first use costs: in a fresh process, on fresh state in a warm one, and how it compares to steady."""
    headers = ("", "fresh process", "= import", "+ setup", "+ first op", "fresh state", "allocs", "steady", "first/steady")
    return Table(headers, tuple(_cold(one) for one in run.benchmarks if one.status == "ok" and one.cold is not None))


def _cold(one: BenchmarkResult) -> tuple[str, ...]:
    cold = one.cold
    assert cold is not None  # noqa: S101
    steady = one.time.median if one.time else 0.0
    times = (cold.process, cold.imports, cold.setup, cold.first, cold.state)
    return (
        one.name,
        *map(format_seconds, times),
        NONE if cold.allocs is None else format_count(cold.allocs),
        format_seconds(steady) if one.time else NONE,
        f"{cold.state / steady:.1f}" if steady > 0 else NONE,
    )


def totals_table(run: RunResult) -> Table:
    """Return what all counted ops requested (Go's MemAllocs and MemBytes), and what the garbage collector cost."""
    headers = ("", "ops", "total allocs", "total bytes", "GC pause/1000 ops", "time, GC on", "time, GC off")
    return Table(headers, tuple(_totals(one) for one in run.benchmarks if one.status == "ok"))


def _totals(one: BenchmarkResult) -> tuple[str, ...]:
    counted, collected = one.allocations, one.collections
    return (
        one.name,
        NONE if counted is None else f"{counted.ops:,}",
        NONE if counted is None else f"{counted.total_allocs:,}",
        NONE if counted is None else format_bytes(counted.total_bytes),
        NONE if collected is None else format_seconds(collected.pause),
        NONE if collected is None else format_seconds(collected.time_on),
        NONE if collected is None else format_seconds(collected.time_off),
    )


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
    """Yield what a table does not show: what failed or was skipped, why columns are empty, and the warnings."""
    for one in run.benchmarks:
        if one.status == "failed":
            yield f"FAILED {one.name}: {one.reason}"
        elif one.status == "skipped":
            yield f"SKIPPED {one.name}{': ' + one.reason if one.reason else ''}"
    reasons = {(COUNTED.get(section, section), why) for one in run.benchmarks for section, why in one.reasons.items()}
    yield from (f"EMPTY {section}: {why}" for section, why in sorted(reasons))
    for one in run.benchmarks:
        yield from (warning(finding, one) for finding in one.findings)
    if not run.complete:
        yield "INTERRUPTED: this is what was measured until then"


def warning(finding: Finding, one: BenchmarkResult | None = None) -> str:
    """Return a finding as text, with its remedy below."""
    where = "" if one is None else f" {one.file}:{finding.line or one.line} {one.name.rpartition('::')[2]}"
    remedy = f"\n     {finding.remedy}" if finding.remedy else ""
    return f"WARN{where} {finding.message}{remedy}"


def comparison_table(comparison: Comparison) -> Table:
    """Return both sides of each benchmark, metric by metric."""
    headers = ("", "old", "new", "delta", "p", "")
    return Table(headers, tuple(row for one in comparison.benchmarks if one.measured for row in _compared(one)))


def _compared(one: BenchmarkComparison) -> Iterator[tuple[str, ...]]:
    if one.time is None:
        yield (one.name, NONE, NONE, NONE, "", "")
    else:
        yield _time_row(one.name, one.time)
        yield ("  minimum", format_seconds(one.time.old.minimum), format_seconds(one.time.new.minimum), "", "", "")
    if one.allocs is not None:
        yield _count_row("  allocs", one.allocs)
    if one.bytes is not None:
        yield _count_row("  bytes", one.bytes)
    if one.objects is not None:
        types = ", ".join(f"{kind} {format_count(delta, signed=True)}" for kind, delta in list(one.types.items())[:4])
        yield (*_count_row("  objects", one.objects)[:-1], types)
    if one.instr is not None:
        yield _instruction_row(one.instr)
    if one.cold is not None:
        old, new = one.cold.old, one.cold.new
        note = "! first use costs more" if one.cold.dearer else ""
        yield ("  fresh state", format_seconds(old.state), format_seconds(new.state), "", "", "")
        if one.cold.allocs is not None:
            yield (*_count_row("  its allocs", one.cold.allocs)[:-1], note)


def _time_row(name: str, time: TimeComparison) -> tuple[str, ...]:
    n = f"n={time.old.processes}+{time.new.processes}"
    old, new = _side(time.old), _side(time.new)
    if time.change is None or time.interval is None or not time.significant:
        return (name, old, new, "~", format_p(time.adjusted), n)
    low, high = (format_percent(one - 1, signed=True) for one in (time.interval.low, time.interval.high))
    within = time.noise is not None and abs(time.change) <= time.noise
    note = f"{n} within the noise of ±{format_percent(time.noise or 0.0)}" if within else n
    return (name, old, new, f"{format_percent(time.change, signed=True)} [{low}, {high}]", format_p(time.adjusted), note)


def _side(side: TimeSide) -> str:
    return f"{format_seconds(side.median)} ±{side.spread:.0%}"


def _count_row(name: str, count: CountComparison) -> tuple[str, ...]:
    figure = format_bytes if name.strip() == "bytes" else format_count
    delta = figure(count.delta, signed=True) if count.delta else "0"
    how = "exact" if count.exact else ("" if count.apart else "~")
    return (name, figure(count.old), figure(count.new), delta, how, "")


def _instruction_row(count: CountComparison) -> tuple[str, ...]:
    delta = format_percent(count.delta / count.old, signed=True) if count.apart and count.old else "~"
    return ("  instr", format_instructions(count.old), format_instructions(count.new), delta, "", "")


def comparison_remarks(comparison: Comparison) -> Iterator[str]:
    """Yield what the table of a comparison does not show."""
    for one in comparison.benchmarks:
        for side, result in (("old", one.old), ("new", one.new)):
            if result.status != "ok":
                yield f"{result.status.upper()} {one.name}, on the {side} side: {result.reason}"
    yield from (f"GONE {name}: only on the old side" for name in comparison.only_old)
    yield from (f"NEW {name}: only on the new side" for name in comparison.only_new)
    yield from (warning(finding) for finding in comparison.findings)
    for one in comparison.benchmarks:
        inherited = [finding for finding in one.new.findings if finding.kind not in ("noisy", "dear-first-use")]
        yield from (warning(finding, one.new) for finding in (*one.findings, *inherited))


def comparison_about(comparison: Comparison) -> str:
    """Return one line on how sure a comparison is."""
    noise = "unknown" if comparison.noise is None else f"±{format_percent(comparison.noise)}"
    test = f"Mann-Whitney U on process medians, Holm, alpha {comparison.alpha:g}"
    return f"~: no significant difference ({test}) · A/A noise {noise}"
