"""How far the toolkit can be trusted: it measures what is known, and writes docs/trust.md.

    python benchmarks/trust.py            # half an hour
    python benchmarks/trust.py --quick    # a minute, for a first look; writes nothing

- Equal sides must not be called different, and 2, 5 and 10 % more work must be found: by time, and by instructions.
- Allocations must be those that CPython's source tells.
- Times must be those of pyperf.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tallymark.bench import QUICK, Settings, Target, compare, measure, parse_gate
from tallymark.bench.compare.question import Question
from tallymark.bench.measure.environment import describe
from tallymark.bench.settings import PASSES
from tallymark.bench.units import format_count, format_percent, format_seconds
from trusted.counts import counted
from trusted.pyperf import beside_pyperf

PAGE = Path(__file__).resolve().parent.parent / "docs" / "trust.md"

# An op does as much work as SIZE says: with 5 % more, a side does 5 % more.
OPS = {
    "sum": ("items = [1.5] * SIZE", "sum(items)"),
    "sort": ("items = [i * 7919 % SIZE for i in range(SIZE)]", "sorted(items)"),
    "json": ("import json; items = list(range(SIZE))", "json.dumps(items)"),
    "dict": (
        "words = [f'w{i * 7919}' for i in range(SIZE)]; known = dict.fromkeys(words, 1)",
        "[known[word] for word in words]",
    ),
}
SIZE = 1000
GATE = "instr:1%"

COMPARISONS = f"""\
Both sides run the same op, in turns, as `tallymark bench ab` runs them: a sum, a sort, a dump to JSON, and look-ups in a dict.
Sides that are equal should not be called different. A side that has more work to do should. *Undecided*: neither was a
difference found, nor one of 5 % excluded; the toolkit then says so. By instructions, *different* means that the gate
`{GATE}` fails."""
ALLOCATIONS = """\
What an op asks of CPython's allocators, as counted in fresh processes, beside what follows from CPython's source. Objects are
counted on Python 3.13 and later."""
TIMES = """\
Processes of this toolkit and of pyperf alternate. A time is the median of the processes' medians; where the machine's speed
changed between them, that of its fast level, for both. pyperf does not subtract its loop, some 10 ns an op."""


@dataclass(frozen=True)
class Found:
    """One comparison: what it says, and what it took."""

    change: float
    low: float
    high: float
    pairs: int
    differs: bool
    undecided: bool
    seconds: float  # a side


def by_time(more: int, runs: int, settings: Settings) -> Iterator[Found]:
    """Yield comparisons by time of sides of which the new one has so many percent more to do."""
    question = Question()
    for op, targets in _sides(more, runs):
        began = time.perf_counter()
        sides = measure(targets=targets, settings=replace(settings, passes=("time",)), question=question)
        took = (time.perf_counter() - began) / 2
        (one,) = compare(*sides).benchmarks
        assert one.time is not None, one.new.reason
        change, interval = one.time.change, one.time.interval
        assert change is not None
        assert interval is not None
        undecided = one.time.undecided(question.change)
        found = Found(change, interval.low - 1, interval.high - 1, one.time.pairs, one.time.differs, undecided, took)
        print(f"  {op:5} {_signed(change):>6} [{_signed(found.low)}, {_signed(found.high)}] {found.pairs} pairs", end=" ")
        print("DIFFERS" if found.differs else "undecided" if undecided else "~", f"{took:.1f} s", flush=True)
        yield found


def by_instructions(more: int, runs: int, settings: Settings) -> Iterator[Found]:
    """Yield comparisons by instructions; a side differs if it does not keep the gate of 1 %."""
    gate = parse_gate(GATE)
    for op, targets in _sides(more, runs):
        began = time.perf_counter()
        counting = replace(settings, passes=("instructions",), instructions="count")
        comparison = compare(*measure(targets=targets, settings=counting))
        took = (time.perf_counter() - began) / 2
        counted = comparison.benchmarks[0].instr
        assert counted is not None, comparison.benchmarks[0].new.reason
        change, violations = counted.new / counted.old - 1, gate.check(comparison)
        print(f"  {op:5} {_signed(change):>6} {'DIFFERS' if violations else '~'} {took:.1f} s", flush=True)
        yield Found(change, change, change, 0, bool(violations), False, took)


def _sides(more: int, runs: int) -> Iterator[tuple[str, list[Target]]]:
    """Yield an op, and two directories with a benchmark of it, so many times; each op in turn."""
    with tempfile.TemporaryDirectory() as directory:
        for run in range(runs):
            op = list(OPS)[run % len(OPS)]
            targets = []
            for name, size in (("old", SIZE), ("new", SIZE * (100 + more) // 100)):
                root = Path(directory) / f"{run}" / name
                root.mkdir(parents=True)
                setup, body = (text.replace("SIZE", str(size)) for text in OPS[op])
                source = f"def bench_{op}(b):\n    {setup}\n    for _ in b.loop():\n        {body}\n"
                (root / "bench_op.py").write_text(source, encoding="utf-8")
                targets.append(Target(name, root=str(root)))
            yield op, targets


def _signed(share: float) -> str:
    return format_percent(share, signed=True)


def compared_table(results: dict[tuple[str, int], list[Found]]) -> str:
    """Return a row for each kind of comparison."""
    headers = ("", "comparisons", "called different", "undecided", "change, median", "pairs, median", "time a side, median")
    rows = []
    for (how, more), found in results.items():
        work = f"{more} % more work" if more else "equal sides"
        timed = how == "time"
        rows.append(
            (
                f"{work}, by {how}",
                str(len(found)),
                f"**{sum(one.differs for one in found)}**",
                str(sum(one.undecided for one in found)) if timed else "-",
                _signed(statistics.median(one.change for one in found)),
                f"{statistics.median(one.pairs for one in found):.0f}" if timed else "-",
                format_seconds(statistics.median(one.seconds for one in found)),
            )
        )
    return markdown(headers, rows)


def markdown(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(headers) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headers, rule, *rows))


def counts_table() -> str:
    headers = ("op", "allocs", "known", "bytes", "known", "objects", "known")
    rows = []
    for one in counted():
        cells = [f"`{one.op}`"]
        for value, known in zip(one.counted, one.known, strict=True):
            cells += ["-" if value is None else format_count(value), "-" if known is None else format_count(known)]
        rows.append(tuple(cells))
    return markdown(headers, rows)


def pyperf_table(rounds: int, settings: Settings) -> str:
    headers = ("op", "this toolkit", "pyperf", "ratio")
    rows = []
    for one in beside_pyperf(rounds, settings):
        print(f"  {one.op} {one.ours / one.theirs:.3f}", flush=True)
        rows.append((f"`{one.op}`", format_seconds(one.ours), format_seconds(one.theirs), f"{one.ours / one.theirs:.3f}"))
    return markdown(headers, rows)


def page(command: str, compared: str, counts: str, pyperf: str | None, without_instructions: str) -> str:
    """Return the text of docs/trust.md."""
    known = describe()
    machine = f"{known['cpu']}, {known['cpus']} CPUs, {known['system']}; {known['implementation']} {known['python']}"
    parts = [
        "# How far the benchmark toolkit can be trusted",
        f"This page is written by `{command}`, which measures what is known. Machine: {machine}.",
        "## Comparisons",
        f"{COMPARISONS}{without_instructions}",
        compared,
        "## Allocations",
        ALLOCATIONS,
        counts,
    ]
    if pyperf is not None:
        parts += ["## Times, beside pyperf's", TIMES, pyperf]
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--equal", type=int, metavar="N", help="comparisons of equal sides (default: 40; quick: 2)")
    parser.add_argument(
        "--slower", type=int, metavar="N", help="comparisons for each amount of more work (default: 10; quick: 1)"
    )
    parser.add_argument(
        "--more", type=int, nargs="+", metavar="PERCENT", help="more work (default: 2 5 10, by instructions 1 too)"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="processes beside pyperf's, 0 for none (default: 10; quick: 1)")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter values; no page unless --output is given")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to write the page (default: docs/trust.md)")
    options = parser.parse_args(arguments)
    quick, settings = options.quick, QUICK if options.quick else Settings()
    equal, slower, rounds = (
        default if given is None else given
        for given, default in (
            (options.equal, 2 if quick else 40),
            (options.slower, 1 if quick else 10),
            (options.rounds, 1 if quick else 10),
        )
    )
    results: dict[tuple[str, int], list[Found]] = {}
    ways = {"time": (by_time, equal, slower, [2, 5, 10])}
    if "instructions" in PASSES:  # far fewer tell as much: counts hardly vary
        ways["instructions"] = (by_instructions, equal // 4, max(1, slower // 2), [1, 2, 5, 10])
    for how, (way, equals, slowers, percents) in ways.items():
        for more in (0, *(options.more or (percents[-1:] if quick else percents))):
            print(f"{more} % more work, by {how}:", flush=True)
            results[how, more] = list(way(more, slowers if more else equals, settings))
    print("beside pyperf:", flush=True)
    pyperf = pyperf_table(rounds, settings) if rounds else None
    command = " ".join(["python benchmarks/trust.py", *(sys.argv[1:] if arguments is None else arguments)])
    missing = "" if "instructions" in ways else " Instructions were not counted here."
    shown = {key: found for key, found in results.items() if found}
    text = page(command, compared_table(shown), counts_table(), pyperf, missing)
    output = options.output or (None if quick else PAGE)
    if output:
        output.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
