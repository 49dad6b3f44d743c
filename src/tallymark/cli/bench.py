"""`tallymark bench` and its own commands."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tallymark.bench.compare.compare import compare, require_scipy
from tallymark.bench.compare.gate import Gate, parse_gate, where_commands
from tallymark.bench.compare.question import ask
from tallymark.bench.errors import BenchError, GateError
from tallymark.bench.instructions import choose_counter
from tallymark.bench.measure.interrupt import Interruption, held, interruptible
from tallymark.bench.measure.session import Session, find
from tallymark.bench.measure.target import Target, check_target, resolve
from tallymark.bench.result.files import check_writable, write_whole
from tallymark.bench.result.result import RunResult, load_run
from tallymark.bench.settings import QUICK, Settings
from tallymark.bench.show.markdown import comparison_markdown, run_markdown
from tallymark.bench.show.progress import tell
from tallymark.bench.show.tables import show_cold, show_comparison, show_run
from tallymark.cli.bench_output import delayed, measured, prepare_output, write
from tallymark.cli.bench_where import SUMMARY, configure_where, run_where
from tallymark.cli.intermixed import IntermixedParser

__all__ = ["configure"]

EPILOG = """\
exit status: 0 done, 1 a benchmark failed or a gate was not met, 2 the command line is not valid, 130 interrupted and 143
terminated (what was measured until then is shown and written)."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's own commands and their options to its parser."""
    parser.epilog = EPILOG
    own = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=IntermixedParser)
    run = _command(own, "run", "run the benchmarks in files, and in bench_*.py below directories", _run)
    run.add_argument("files", nargs="*", metavar="FILE", help="files and directories (default: the current one)")
    run.add_argument("--list", action="store_true", help="print the names of the benchmarks, and measure nothing")
    _measuring(run)
    _writing(run)
    show = _command(own, "show", "show a result again", _show)
    show.add_argument("result", metavar="RESULT.json", help="written by `run -o`, or by pyperf")
    _writing(show)
    cold = _command(own, "cold", "show what first use costs: fresh process, fresh state, steady", _cold)
    cold.add_argument("result", metavar="RESULT.json", help="written by `run -o`")
    _explaining(cold)
    compare = _command(own, "compare", "compare two results: what differs, and whether it is more than noise", _compare)
    compare.add_argument("old", metavar="OLD.json", help="result of the old side, written by `run -o`, or by pyperf")
    compare.add_argument("new", metavar="NEW.json", help="result of the new side")
    _comparing(compare)
    ab = _command(own, "ab", "measure two revisions, directories or environments, interleaved, and compare them", _ab)
    ab.add_argument("old", metavar="A", help="old side: a git revision, a directory, a virtual environment, or a Python")
    ab.add_argument("new", metavar="B", help="new side: any of these")
    ab.add_argument("files", nargs="*", metavar="FILE", help="files and directories, in each side's own directory")
    setup_help = "run this in each side's directory first, for example to build an extension"
    ab.add_argument("--setup", default="", metavar="COMMAND", help=setup_help)
    _measuring(ab)
    _comparing(ab)
    configure_where(_command(own, "where", SUMMARY, run_where))


def _command(own: Any, name: str, summary: str, run: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = own.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.set_defaults(run=lambda options: _reported(run, options), measured=False)
    return parser


def _measuring(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="under 3 seconds per benchmark, for a first look")
    parser.add_argument("--processes", type=_count, metavar="N", help="fresh processes to time (default: 10)")
    parser.add_argument("--values", type=_count, metavar="N", help="values in each process (default: 40; quick: 20)")
    parser.add_argument("--timeout", type=_seconds, metavar="S", help="kill a process after S seconds (default: 60; quick: 30)")
    freelists_help = (
        "when allocations are counted, CPython's free lists are in use (hot, the default), or emptied before each op (cold)"
    )
    parser.add_argument("--freelists", choices=("hot", "cold"), default="hot", help=freelists_help)
    instructions_help = "count instructions, with Valgrind where the processor's counter cannot be read: slow, and exact"
    parser.add_argument("--instructions", action="store_true", help=instructions_help)
    parser.add_argument("-k", dest="select", default="", metavar="TEXT", help="only benchmarks with this text in their names")


def _writing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help="write the result, every sample of it, as JSON")
    parser.add_argument("--pyperf", metavar="FILE", help="write the times for pyperf")
    _rendering(parser)


def _comparing(parser: argparse.ArgumentParser) -> None:
    gate_help = "fail if the new side is worse by more than these limits, such as 'time:3%%,allocs:0,bytes:0'"
    parser.add_argument("--gate", metavar="LIMITS", help=gate_help)
    parser.add_argument("-o", "--output", metavar="STEM", help="write both results, as STEM-old.json and STEM-new.json")
    _rendering(parser)


def _rendering(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--markdown", action="store_true", help="print Markdown, for a pull request")
    parser.add_argument("--html", metavar="FILE", help="write a page with the distributions drawn")
    _explaining(parser)


def _explaining(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--explain", action="store_true", help="tell where each warning is from, and what to do about it")


def _reported(run: Any, options: argparse.Namespace) -> int:
    """Run a command. An error of the toolkit is a message on standard error, and an exit status."""
    prepare_output()
    interruption = Interruption()
    try:
        with interruptible() as interruption:
            status: int = run(options)
    except KeyboardInterrupt:
        if not options.measured:
            tell("tallymark bench: interrupted before anything was measured")
        return interruption.status or 130
    except GateError as error:
        tell(f"tallymark bench: {error}")
        return 2
    except BenchError as error:
        tell(f"tallymark bench: {error}")
        return 1
    return interruption.status or status


def _settings(options: argparse.Namespace) -> Settings:
    chosen = {key: getattr(options, key) for key in ("processes", "values", "timeout") if getattr(options, key) is not None}
    gate = getattr(options, "gate", None)
    if options.instructions or (gate is not None and "instr" in parse_gate(gate).limits):
        chosen["instructions"] = "count"
        counter, why = choose_counter("count")
        if not counter and not options.instructions:
            raise GateError(f"gate: instructions cannot be counted here: {why}")
    return replace(QUICK if options.quick else Settings(), freelists=options.freelists, **chosen)


def _run(options: argparse.Namespace) -> int:
    check_writable(filter(None, (options.output, options.pyperf, options.html)))
    session = find(options.files, settings=_settings(options), select=options.select)
    if options.list:
        return _listed(session)
    (run,) = measured(session, options, [options.output] if options.output else [])
    with held():
        return _shown(run, options)


def _listed(session: Session) -> int:
    print("\n".join(session.names))
    failed = [one for run in session.runs for one in run.benchmarks]
    for one in failed:
        tell(f"FAILED {one.name}: {one.reason}")
    return 1 if failed else 0


def _show(options: argparse.Namespace) -> int:
    check_writable(filter(None, (options.output, options.pyperf, options.html)))
    return _shown(load_run(options.result), options)


def _shown(run: RunResult, options: argparse.Namespace) -> int:
    from tallymark.bench.result.pyperf import to_pyperf
    from tallymark.bench.show.html import run_html

    with delayed() as errors:
        write(errors, options.output, run.save)
        write(errors, options.pyperf, lambda path: write_whole(path, json.dumps(to_pyperf(run))))
        write(errors, options.html, lambda path: write_whole(path, run_html(run)))
        if options.markdown:
            print(run_markdown(run))
        else:
            show_run(run, sys.stdout, options.explain)
    return _status([run])


def _cold(options: argparse.Namespace) -> int:
    show_cold(load_run(options.result), sys.stdout, options.explain)
    return 0


def _compare(options: argparse.Namespace) -> int:
    gate = _checked(options)
    return _compared(load_run(options.old), load_run(options.new), gate, options)


def _ab(options: argparse.Namespace) -> int:
    gate, settings = _checked(options), _settings(options)
    names = (options.old, options.new)
    for name in names:
        check_target(name, options.setup)
    with contextlib.ExitStack() as stack:
        targets: list[Target] = [stack.enter_context(resolve(name, options.setup)) for name in names]
        question = ask(gate, options.quick)
        if question.more:
            settings = replace(settings, most=max(settings.most, Settings.most))
        session = find(options.files, targets=targets, settings=settings, select=options.select, question=question)
        old, new = session.runs
        if gate:
            gate.check_measurable(old.environment, new.environment)
        old, new = measured(session, options, _stems(options))
        with held():
            return max(_compared(old, new, gate, options), _status([old, new]))


def _checked(options: argparse.Namespace) -> Gate | None:
    """Check what can be known before anything is measured; return the gate."""
    gate = parse_gate(options.gate) if options.gate is not None else None
    require_scipy()
    check_writable(filter(None, (*_stems(options), options.html)))
    return gate


def _stems(options: argparse.Namespace) -> list[str]:
    return [f"{options.output}-{side}.json" for side in ("old", "new")] if options.output else []


def _compared(old: RunResult, new: RunResult, gate: Gate | None, options: argparse.Namespace) -> int:
    from tallymark.bench.show.html import comparison_html

    with delayed() as errors:
        for path, run in zip(_stems(options), (old, new), strict=False):
            write(errors, path, run.save)
        comparison = compare(old, new, change=ask(gate, quick=False).change)
        write(errors, options.html, lambda path: write_whole(path, comparison_html(comparison)))
        if options.markdown:
            print(comparison_markdown(comparison))
        else:
            show_comparison(comparison, sys.stdout, options.explain)
    violations = gate.check(comparison) if gate else []
    for violation in violations:
        tell(f"GATE {violation}")
    for command in where_commands(comparison, violations, getattr(options, "setup", "")):
        tell(f"WHERE {command}")
    return 1 if violations else 0


def _status(runs: Sequence[RunResult]) -> int:
    if not all(run.complete for run in runs):
        return 130
    return int(any(one.status == "failed" for run in runs for one in run.benchmarks))


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1000:
        raise argparse.ArgumentTypeError(f"must be from 1 to 1000: {text!r}")
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"must be above 0, and finite: {text!r}")
    return seconds


# argparse calls a type by its __name__ where `int` or `float` itself rejects the text.
_count.__name__, _seconds.__name__ = "number", "number of seconds"
