"""The whole benchmark plan: `python benchmarks/run.py [--quick] [--go DIR] [--publish]`, which is `make bench`.

The plan is what `make bench` runs: every benchmark below this directory, with Tallymark's own toolkit. They run in fresh
processes, in random order round by round, so that what else the machine does affects all of them alike. The run ends with the
criteria, and fails if one is not met.
"""

from __future__ import annotations

import argparse
import io
import sys
from dataclasses import replace
from pathlib import Path

from plan import event_loops, lifetimes, memory, middlewares, original, scrapes, tables
from plan import figures as measured
from plan.criteria import FAIL, UNDECIDED, criteria
from plan.figures import Figures
from tallymark.bench import RunResult
from tallymark.bench.measure.measure import Progress
from tallymark.bench.show.progress import progress_bar
from tallymark.bench.show.report import Table
from tallymark.bench.show.tables import show_run, show_table


def gather(options: argparse.Namespace) -> Figures:
    """Measure everything that the options ask for."""
    with progress_bar() as progress:
        theirs, ratios = _original(options.go, progress)
        run = measured.take(options.quick, progress)
        replayed = measured.replay(progress)
        made = _figures(options, run)
        made = replace(made, ratios=measured.take_ratios(options.quick, progress))
    shown = io.StringIO()
    show_run(replayed, shown)
    post_mortem = shown.getvalue().splitlines()
    if not options.quick:
        made = replace(made, held=memory.measure_held(), lifetimes=lifetimes.measure_lifetimes())
        made = replace(made, scrapes=scrapes.measure_scrapes(), event_loops=event_loops.measure_event_loops())
        made = replace(made, middlewares=middlewares.measure_middlewares())
    return replace(made, original=theirs, original_ratios=ratios, post_mortem=post_mortem, suite=measured.run_suite())


def _original(checkout: Path | None, progress: Progress) -> tuple[dict[str, dict[str, float]], dict[str, list[float]]]:
    if checkout is None:
        return original.recorded(), {}
    names = [name for name, _ in original.COUNTERPARTS.values()]

    def ours() -> dict[str, float]:
        return {name: times[0] for name, times in measured.times_of(names, 1, progress).items()}

    return original.in_turns(checkout, ours, measured.ROUNDS)


def _figures(options: argparse.Namespace, run: RunResult) -> Figures:
    if not run.complete:
        raise KeyboardInterrupt
    found, failed = measured.condense(run.benchmarks)
    return Figures(
        command="make bench ARGS=--quick" if options.quick else "make bench",
        environment={key: run.environment.get(key) for key in ("python", "implementation", "cpu", "cpus", "commit")},
        created=run.created,
        benchmarks=found,
        failed=failed,
    )


def show(figures: Figures) -> bool:
    """Print every table; return True unless a criterion is missed: one that is undecided is not."""
    for title, table in sections(figures):
        if table.rows:
            print(f"## {title}\n")
            show_table(table, sys.stdout)
    print(tables.original_left_out(figures), "\n")
    print("## The post-mortem, replayed\n")
    print("\n".join(figures.post_mortem), "\n")
    for name, reason in figures.failed.items():
        print(f"FAILED {name}: {reason}")
    found = criteria(figures)
    print("## What must hold\n")
    show_table(tables.criteria_table(found), sys.stdout)
    if any(one.verdict == UNDECIDED for one in found):
        print("undecided: the interval holds the limit. `--again FILE --decide` measures it again.\n")
    return _holds(figures)


def _holds(figures: Figures) -> bool:
    return not figures.failed and not any(one.verdict == FAIL for one in criteria(figures))


def sections(figures: Figures) -> list[tuple[str, Table]]:
    """Return the tables with their titles, in the order of the report."""
    return [
        ("The benchmarks of the Go library's tag-map optimisation plan, steady and cold", tables.document_table(figures)),
        ("The Go original", tables.original_table(figures)),
        ("Strategies for tags (time, allocs, bytes)", tables.strategies_table(figures)),
        ("The garbage collector meanwhile", tables.pressure_table(figures)),
        ("What held series cost, by strategy", tables.held_strategies_table(figures)),
        ("The peers (time, allocs)", tables.peers_table(figures)),
        ("What live series cost", tables.held_table(figures)),
        ("Many processes (time, allocs)", tables.processes_table(figures)),
        ("What workers leave behind", tables.lifetimes_table(figures)),
        ("A scrape (time, allocs)", tables.scrapes_table(figures)),
        ("Growth with live series", tables.growth_table(figures, "series")),
        ("Growth with tags", tables.growth_table(figures, "tags")),
        ("Growth with threads", tables.growth_table(figures, "threads")),
    ]


def main() -> int:
    """Measure, show, and publish if asked; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute: the most telling rows, one process each")
    parser.add_argument("--go", type=Path, metavar="DIR", help="a checkout of the Go original: run its benchmarks too")
    parser.add_argument("--publish", action="store_true", help="rewrite the figures, charts and tables in README and docs")
    parser.add_argument("--again", type=Path, metavar="FILE", help="show or publish saved figures, and measure nothing")
    parser.add_argument("--decide", action="store_true", help="with --again: measure the ratios that were undecided again")
    options = parser.parse_args()
    try:
        figures = measured.load(options.again) if options.again else gather(options)
        if options.again and options.decide:
            with progress_bar() as progress:
                figures = measured.decide(figures, progress)
    except ValueError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    holds = show(figures)
    if options.publish:
        from plan.publish import publish

        publish(figures)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
