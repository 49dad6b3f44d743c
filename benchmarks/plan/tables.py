"""Figures as tables: one for each question that the benchmark plan asks."""

from __future__ import annotations

from plan.criteria import Criterion
from plan.figures import Figure, Figures, pivot
from plan.lifetimes import FEW, MANY
from plan.memory import PEERS, SERIES, STRATEGIES
from plan.original import COUNTERPARTS
from plan.ratios import judge
from tallymark.bench.show.report import NONE, Table
from tallymark.bench.units import format_bytes, format_count, format_seconds

#: Columns of the peers' table: what it is called, its file, its parameter.
CLIENTS = {
    "native": ("tallymark", "native"),
    "reference": ("tallymark", "reference"),
    "prometheus_client": ("prometheus_client", ""),
    "OpenTelemetry": ("opentelemetry", ""),
    "aioprometheus": ("aioprometheus", ""),
    "statsd": ("statsd", ""),
    "datadog": ("datadog", ""),
    "a dict": ("floor", ""),
}

OPS = {
    "inc": "inc()",
    "inc_two_tags": "inc(), 2 tags",
    "with_two_tags_then_inc": "with_tags(), 2 tags, then inc()",
    "inc_mapping": "2 tags from a mapping, then inc()",
    "set": "set()",
    "observe": "observe()",
    "observe_exponential": "observe(), exponential buckets",
    "with_timer": "with timer.time():",
    "with_timer_one_tag": "with timer.time(route=…):",
    "timed_function": "a timed function",
    "record_operation": "record_operation()",
    "record_error": "record_error()",
    "first_operation": "cold: a registry, an operation's metrics, their first record",
    "create_1000_series": "create a series",
    "render,series=100": "render 100 series",
    "render,series=10000": "render 10,000 series",
    "render,series=100000": "render 100,000 series",
}


def document_table(figures: Figures) -> Table:
    """The benchmarks of the Go library's tag-map optimisation plan: steady, and cold beside it."""
    headers = ("", "time", "AllocsPerOp", "BytesPerOp", "MemAllocs", "MemBytes", "GC/1000", "cold: time", "allocs", "bytes")
    steady = {row: one[""] for row, one in pivot(figures.benchmarks, "document/bench_steady.py").items()}
    cold = {row: one[""] for row, one in pivot(figures.benchmarks, "document/bench_cold_start.py").items()}
    rows = []
    for name, one in steady.items():
        first = cold.get(name)
        rows.append(
            (
                name.removeprefix("bench_"),
                format_seconds(one.time),
                format_count(one.allocs),
                format_bytes(one.bytes),
                f"{one.total_allocs:,}",
                format_bytes(one.total_bytes),
                NONE if one.collections is None else format_count(one.collections),
                NONE if first is None else format_seconds(first.time),
                NONE if first is None else format_count(first.allocs),
                NONE if first is None else format_bytes(first.bytes),
            )
        )
    return Table(headers, tuple(rows))


def strategies_table(figures: Figures) -> Table:
    """Time, allocations and bytes of each strategy for tags."""
    found = pivot(figures.benchmarks, "tag_strategies/bench_strategies.py")
    named = {
        "bench_with": "bind 2 tags to 1",
        "bench_with_inc": "bind, then inc()",
        "bench_inc_two_tags": "inc(), 2 tags",
        "bench_inc_ten_tags": "inc(), 10 tags",
        "bench_chained": "bind thrice, then inc()",
        "bench_tags": ".tags",
    }
    strategies = ("copy", "pool", "pool as proposed", "interned", "native")
    rows = [(text, *(_cell(found[op].get(one)) for one in strategies)) for op, text in named.items() if op in found]
    return Table(("", *strategies), tuple(rows))


def peers_table(figures: Figures, columns: tuple[str, ...] = tuple(CLIENTS)) -> Table:
    """Time and allocations of each client on the same work, and how many times cheaper the native engine is."""
    rows = []
    for op, text in OPS.items():
        cells = {name: client(figures, name, op) for name in CLIENTS}
        if cells["native"] is None:
            continue
        shown = [_cell(cells[one], sizes=False) for one in columns]
        rows.append((text, *shown, *(_ratio(cells[peer], cells["native"]) for peer in ("prometheus_client", "OpenTelemetry"))))
    return Table(("", *columns, "native to prometheus_client", "to OpenTelemetry"), tuple(rows))


def headline(figures: Figures) -> str:
    """Return what one record costs each client, as a sentence."""
    clients = {"native": "Tallymark", "prometheus_client": "`prometheus_client`", "OpenTelemetry": "OpenTelemetry"}
    found = {name: one for key, name in clients.items() if (one := client(figures, key, "inc_two_tags"))}
    costs = [f"{name} {format_seconds(one.time)} and {one.allocs:.0f} allocations" for name, one in found.items()]
    return f"`inc()` with 2 tags: {', '.join(costs)}."


def client(figures: Figures, name: str, op: str) -> Figure | None:
    """Return the figure of one client for a row."""
    file, engine = CLIENTS[name]
    function, _, params = op.partition(",")
    given = ",".join(filter(None, (f"engine={engine}" if engine else "", params)))
    return figures.get(f"peers/bench_{file}.py::bench_{function}" + (f"[{given}]" if given else ""))


def held_table(figures: Figures) -> Table:
    """What 100,000 live series cost each client."""
    rows = [_held(name, figures.held[name]) for name in PEERS if name in figures.held]
    return Table((f"{SERIES:,} live series, 2 tags", "memory each", "seen by the GC, each", "gc.collect()"), tuple(rows))


def processes_table(figures: Figures) -> Table:
    """What a record costs in a process' own memory, in memory that processes share, and in the peer's multi-process mode."""
    rows = []
    for op, text in OPS.items():
        own, shared = (figures.get(f"processes/bench_shared.py::bench_{op}[memory={one}]") for one in ("private", "shared"))
        peer = figures.get(f"processes/bench_multiprocess.py::bench_{op}")
        if shared is not None:
            rows.append((text, *(_cell(one, sizes=False) for one in (own, shared, peer)), _ratio(peer, shared)))
    return Table(("", "private", "shared", "prometheus_client, multi-process", "shared to prometheus_client"), tuple(rows))


def lifetimes_table(figures: Figures) -> Table:
    """What a scrape costs, and the disk holds, after few workers and after many."""
    rows = []
    for key, text, form in (("scrape", "a scrape", format_seconds), ("disk", "on disk", format_bytes)):
        for when, count in (("few", FEW), ("many", MANY)):
            cells = [form(one[f"{key}_{when}"]) for one in figures.lifetimes.values()]
            rows.append((f"{text} after {count:,} workers", *cells))
    return Table(("", *figures.lifetimes), tuple(rows) if figures.lifetimes else ())


def scrapes_table(figures: Figures) -> Table:
    """What a scrape costs for each series, with each client."""
    found = pivot(figures.benchmarks, "scrape/bench_scrape.py")
    rows = [(name.removeprefix("bench_"), params, _cell(one)) for name, each in found.items() for params, one in each.items()]
    return Table(("", "", "time, allocs, bytes"), tuple(rows))


def held_strategies_table(figures: Figures) -> Table:
    """What 100,000 bound instruments that are held cost by strategy."""
    rows = [_held(name, figures.held[f"strategy {name}"]) for name in STRATEGIES if f"strategy {name}" in figures.held]
    return Table((f"{SERIES:,} bound series held", "memory each", "seen by the GC, each", "gc.collect()"), tuple(rows))


def _held(name: str, one: dict[str, float]) -> tuple[str, ...]:
    shown = "a dict" if name == "floor" else name
    return (shown, f"{one['bytes']:,.0f} B", format_count(round(one["tracked"], 1)), format_seconds(one["collect"]))


def pressure_table(figures: Figures) -> Table:
    """What the garbage collector does while each strategy binds tags and records."""
    found = pivot(figures.benchmarks, "tag_strategies/bench_strategies.py").get("bench_with_inc", {})
    rows = []
    for name, one in found.items():
        if one.collections is None or one.pause is None:
            continue
        rows.append(
            (
                name,
                format_count(one.allocs),
                format_bytes(one.bytes),
                f"{one.total_allocs:,}",
                format_bytes(one.total_bytes),
                format_count(one.collections),
                format_seconds(one.pause),
            )
        )
    headers = ("bind, then inc()", "AllocsPerOp", "BytesPerOp", "MemAllocs", "MemBytes", "GC/1000 ops", "GC pause/1000 ops")
    return Table(headers, tuple(rows))


def growth_table(figures: Figures, what: str) -> Table:
    """Time per record as something grows: `series`, `tags` or `threads`."""
    found = pivot(figures.benchmarks, f"growth/bench_{what}.py")
    steps = sorted({int(step) for row in found.values() for step in row})
    rows = [
        (name.removeprefix("bench_"), *(format_seconds(row[str(step)].time) if str(step) in row else NONE for step in steps))
        for name, row in found.items()
    ]
    return Table((what, *(f"{step:,}" for step in steps)), tuple(rows))


def original_table(figures: Figures) -> Table:
    """The Go original's benchmarks and ours: allocations and bytes, and times where both ran here in turns."""
    timed = bool(figures.original_ratios)
    rows = []
    for theirs, (name, least) in COUNTERPARTS.items():
        ours, other = figures.get(name), figures.original.get(theirs)
        if ours is None or other is None:
            continue
        counts = (_counts(other["allocs"], other["bytes"]), _counts(ours.allocs, ours.bytes))
        rows.append((theirs, *counts, *(_times(figures, theirs, ours, other, least) if timed else ())))
    headers = ("allocs, bytes", "Go original", "native", *(("Go: time", "native", "cheaper", "at least") if timed else ()))
    return Table(headers, tuple(rows))


def _counts(allocs: float, size: float) -> str:
    return f"{format_count(round(allocs, 2))}, {format_bytes(size)}"


def _times(figures: Figures, theirs: str, ours: Figure, other: dict[str, float], least: float) -> tuple[str, ...]:
    if theirs not in figures.original_ratios:
        return NONE, format_seconds(ours.time), NONE, ""
    cheaper, _ = judge(figures.original_ratios[theirs])
    return format_seconds(other["time"]), format_seconds(ours.time), cheaper, f"{least:g}" if least else ""


def original_left_out(figures: Figures) -> str:
    """Return one line on the rows that have no times, and why; empty if all have some."""
    if not figures.original_ratios:
        return "Times need --go DIR, a checkout of the Go original: figures of two machines do not compare."
    missing = [theirs for theirs in COUNTERPARTS if theirs not in figures.original_ratios]
    return f"Left out, as the checkout has no such benchmark: {', '.join(missing)}." if missing else ""


def criteria_table(found: list[Criterion]) -> Table:
    """Each criterion, its figure, and the verdict."""
    return Table(("criterion", "figure", ""), tuple((one.text, one.figure, one.verdict) for one in found))


def _cell(one: Figure | None, sizes: bool = True) -> str:
    if one is None:
        return NONE
    text = f"{format_seconds(one.time)}, {format_count(round(one.allocs, 2))}"
    return f"{text}, {format_bytes(one.bytes)}" if sizes else text


def _ratio(theirs: Figure | None, ours: Figure | None) -> str:
    if theirs is None or ours is None:
        return NONE
    return f"{_figures(theirs.time / max(ours.time, 1e-12))}x"


def _figures(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.1f}" if ratio >= 0.95 else f"{ratio:.2g}"
