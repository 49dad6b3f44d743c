"""Tallymark's engines beside prometheus_client, on the same work: `python benchmarks/peers.py [--rounds N] [--quick]`.

Each side runs in fresh processes, the sides interleaved, because between processes a figure varies by 15-22 %. A process warms
up, takes 15 timings of 5 ms or more, and reports their median less that of an empty loop of the same shape; what is shown is
the median over processes, and the ratio of two sides. Times mean something only beside each other. Allocations are counted at
CPython's allocators, in a pass of their own.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from tallymark.bench.allocations import allocations_per_op

SIDES = ("native", "reference", "prometheus_client")
SERIES = 100_000

Loop = Callable[[Iterable[None]], None]

# Each case as the statement that a user would write: for Tallymark, and for prometheus_client (nothing: it cannot).
CASES = {
    "a bare C method call": ("text.isascii()", "text.isascii()"),
    "`inc()`": ("counter.inc()", "counter.inc()"),
    "`inc()`, 2 tags": ("tagged.inc(method='GET', status='200')", "tagged.labels('GET', '200').inc()"),
    "`with_tags()`, 2 tags, then `inc()`": (
        "tagged.with_tags(method='GET', status='200').inc()",
        "tagged.labels('GET', '200').inc()",
    ),
    "2 tags from a mapping, then `inc()`": ("tagged.with_tags(mapping).inc()", "tagged.labels(**mapping).inc()"),
    "3 chained `with_tags()`, then `inc()`": (
        "tagged.with_tags(service='web').with_tags(method='POST').with_tags(status='200').inc()",
        "",
    ),
    "`observe()`, 12 buckets": ("histogram.observe(0.7)", "histogram.observe(0.7)"),
    "`.tags`": ("bound.tags", ""),
    "`with timer.time():`": ("with timer.time(): pass", "with timer.time(): pass"),
    "`with timer.time(route=…):`": ("with timer.time(route='/'): pass", "with timer_tagged.labels('/').time(): pass"),
    "a timed function": ("timed()", "timed()"),
    "`record_operation()`": (
        "ops.record_operation('auth', 'success', 0.012)",
        "operations.labels('auth', 'success').inc(); durations.labels('auth', 'success').observe(0.012)",
    ),
    "`record_error()`": ("ops.record_error('auth', 'ValueError', 'user')", "errors.labels('auth', 'ValueError', 'user').inc()"),
    "`with ops.operation():`": ("with ops.operation('auth'): pass", ""),
    "`inc()`, 2 tags, on a `NullRegistry`": ("null.inc(method='GET', status='200')", ""),
}


def tallymark_names(engine: str) -> dict[str, Any]:
    """Return what the statements of Tallymark's cases name."""
    import tallymark as tm

    registry = tm.Registry(engine=engine)
    tagged = registry.counter("tagged")
    timer = registry.timer("timer")
    return {
        "counter": registry.counter("counter"),
        "tagged": tagged,
        "bound": tagged.with_tags(method="GET", status="200"),
        "histogram": registry.histogram("histogram", buckets=tm.exponential_buckets(0.001, 2.5, 12)),
        "timer": timer,
        "timed": timer.time()(lambda: None),
        "ops": tm.OperationalMetrics(registry),
        "null": tm.NullRegistry().counter("null"),
    }


def prometheus_names() -> dict[str, Any]:
    """Return what the statements of prometheus_client's cases name."""
    import prometheus_client as pc

    registry = pc.CollectorRegistry()
    timer = pc.Histogram("timer", "Timer.", registry=registry)
    return {
        "counter": pc.Counter("counter", "Counter.", registry=registry),
        "tagged": pc.Counter("tagged", "Tagged.", ["method", "status"], registry=registry),
        "histogram": pc.Histogram("histogram", ".", buckets=[0.001 * 2.5**i for i in range(12)], registry=registry),
        "timer": timer,
        "timer_tagged": pc.Histogram("timer_tagged", "Timer.", ["route"], registry=registry),
        "timed": timer.time()(lambda: None),
        **operational_peers(registry),
    }


def operational_peers(registry: Any) -> dict[str, Any]:
    """Return prometheus_client's metrics for what `OperationalMetrics` records of an operation."""
    import prometheus_client as pc

    tags = ["operation", "status"]
    return {
        "operations": pc.Counter("operations", "Operations.", tags, registry=registry),
        "durations": pc.Histogram("durations", "Durations.", tags, registry=registry),
        "errors": pc.Counter("errors", "Errors.", ["operation", "error_type", "error_category"], registry=registry),
    }


def looped(statement: str, names: dict[str, Any]) -> Loop:
    """Return a function that runs a statement once for each item that it is given."""
    scope = {**names, "mapping": {"method": "GET", "status": "200"}, "text": "text"}
    exec(f"def loop(iterations):\n for _ in iterations:\n  {statement}", scope)
    loop: Loop = scope["loop"]
    return loop


def measure(side: str) -> dict[str, list[float]]:
    """Return nanoseconds and allocations per op of each case of a side, in this process."""
    is_peer = side == "prometheus_client"
    names = prometheus_names() if is_peer else tallymark_names(side)
    figures = {}
    for case, statements in CASES.items():
        if statement := statements[is_peer]:
            loop = looped(statement, names)
            figures[case] = [steady(loop), allocations_per_op(loop).allocs]
    first = prometheus_first if is_peer else partial(tallymark_first, side)
    figures["cold: a registry, an operation's metrics, their first record"] = [
        statistics.median(_timed(lambda _: first(), 1) for _ in range(200))
    ]
    return figures | measure_many(*(prometheus_many() if is_peer else tallymark_many(side)))


def tallymark_first(engine: str) -> None:
    """Record the first operation of a service."""
    import tallymark as tm

    tm.OperationalMetrics(tm.Registry(engine=engine)).record_operation("auth", "success", 0.012)


def prometheus_first() -> None:
    """Record the first operation of a service."""
    import prometheus_client as pc

    metrics = operational_peers(pc.CollectorRegistry())
    metrics["operations"].labels("auth", "success").inc()
    metrics["durations"].labels("auth", "success").observe(0.012)


def tallymark_many(engine: str) -> tuple[Callable[[str], None], Callable[[], bytes]]:
    """Return what creates a series, and what renders them all."""
    import tallymark as tm

    registry = tm.Registry(engine=engine, limits=tm.TagLimits(max_series=SERIES + 1))
    counter = registry.counter("requests", description="Requests.")
    return lambda user: counter.inc(method="GET", user=user), lambda: tm.render_prometheus(registry.snapshot())


def prometheus_many() -> tuple[Callable[[str], None], Callable[[], bytes]]:
    """Return what creates a series, and what renders them all."""
    import prometheus_client as pc

    registry = pc.CollectorRegistry()
    counter = pc.Counter("requests", "Requests.", ["method", "user"], registry=registry)
    return lambda user: counter.labels("GET", user).inc(), lambda: pc.generate_latest(registry)


def measure_many(create: Callable[[str], None], render: Callable[[], bytes]) -> dict[str, list[float]]:
    """Return what many series cost: to create, to keep, to render."""
    users = [str(i) for i in range(SERIES)]
    create("the first")
    before = resident()
    start = perf_counter_ns()
    for user in users:
        create(user)
    created = perf_counter_ns() - start
    kept = resident() - before
    render()
    return {
        "create a series": [created / SERIES],
        "bytes per series, 2 tags": [kept / SERIES + sys.getsizeof(users[-1])],
        f"render {SERIES:,} series": [statistics.median(_timed(lambda _: render(), 1) for _ in range(5))],
    }


def resident() -> int:
    """Return the bytes of this process that are in memory. (The values' texts are made before, and added.)"""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def steady(loop: Loop) -> float:
    """Return the median nanoseconds per op after warm-up, without the loop's own."""
    _timed(loop, 5_000)
    n = max(1_000, int(1_000 * 5e6 / _timed(loop, 1_000)))
    empty = looped("pass", {})
    return (statistics.median(_timed(loop, n) for _ in range(15)) - statistics.median(_timed(empty, n) for _ in range(15))) / n


def _timed(loop: Callable[[Any], object], n: int) -> float:
    iterations = itertools.repeat(None, n)
    start = perf_counter_ns()
    loop(iterations)
    return perf_counter_ns() - start


def compare(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the medians of each case and side over `rounds` fresh processes a side, interleaved."""
    samples: dict[str, dict[str, list[list[float]]]] = {}
    for _ in range(rounds):
        for side in SIDES:
            output = subprocess.run([sys.executable, __file__, "--side", side], check=True, capture_output=True, text=True)
            for case, figures in json.loads(output.stdout).items():
                samples.setdefault(case, {}).setdefault(side, []).append(figures)
    return {
        case: {side: [statistics.median(column) for column in zip(*rows, strict=True)] for side, rows in sides.items()}
        for case, sides in samples.items()
    }


def show(figures: dict[str, dict[str, list[float]]], rounds: int) -> None:
    """Print the table, in Markdown: time or bytes, and allocations per op behind the comma."""
    print(f"Python {sys.version.split()[0]}; medians over {rounds} processes a side, interleaved.\n")
    print("| op |", " | ".join(SIDES), "| native is |")
    print("| --- |", " | ".join(["---:"] * len(SIDES)), "| ---: |")
    for case, sides in figures.items():
        peer = sides.get("prometheus_client")
        ratio = _ratio(peer[0] / sides["native"][0]) if peer and "bare" not in case else ""
        print(f"| {case} |", " | ".join([_figure(case, sides.get(side)) for side in SIDES]), f"| {ratio} |")


def _ratio(times: float) -> str:
    return f"{times:.0f} times cheaper" if times >= 1 else f"{1 / times:.0f} times dearer"


def _figure(case: str, figure: list[float] | None) -> str:
    if figure is None:
        return "–"
    amount = figure[0]
    text = f"{amount:,.0f} B" if "bytes" in case else f"{amount / 1e6:,.0f} ms" if amount > 1e6 else f"{amount:,.0f} ns"
    return f"{text}, {abs(round(figure[1], 2)):g}" if len(figure) > 1 else text


def main() -> None:
    """Compare, or, with --side, measure one side in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="fresh processes for each side (default 10)")
    parser.add_argument("--quick", action="store_true", help="three rounds")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        gc.disable()
        print(json.dumps(measure(arguments.side)))
        return
    rounds = 3 if arguments.quick else arguments.rounds
    show(compare(rounds), rounds)


if __name__ == "__main__":
    main()
