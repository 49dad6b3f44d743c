"""`tallymark bench where`: the lines that an op's cost comes from, and those whose cost differs between two revisions."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path

from tallymark.bench.errors import BenchError
from tallymark.bench.measure.target import Target, resolve
from tallymark.bench.measure.where import where
from tallymark.bench.result.profile import METRICS, Profile

__all__ = ["SUMMARY", "configure_where", "run_where"]

SUMMARY = "show which lines an op's allocations, bytes, objects and time come from; with A and B, the lines that changed"


def configure_where(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    parser.usage = "tallymark bench where [options] [A B] FILE::NAME"
    parser.add_argument(
        "names",
        nargs="+",
        metavar="[A B] FILE::NAME",
        help="a benchmark: FILE::NAME, FILE::NAME[params], or a FILE with one benchmark; before it, two sides as for `ab`",
    )
    parser.add_argument(
        "--by", choices=METRICS, default="allocs", help="what lines are ordered by, and drawn (default: allocs)"
    )
    parser.add_argument("--top", type=_lines, default=20, metavar="N", help="how many lines to show (default: 20)")
    parser.add_argument(
        "--seconds", type=_seconds, default=2.0, metavar="S", help="for how long to sample the time (default: 2)"
    )
    parser.add_argument(
        "--timeout", type=_seconds, default=60.0, metavar="S", help="kill a process after S seconds (default: 60)"
    )
    parser.add_argument("--setup", default="", metavar="COMMAND", help="run this in the directory of A and of B first")
    parser.add_argument("--flame", metavar="FILE.svg", help="write a flame graph; of B, if there are two sides")
    parser.add_argument("--speedscope", metavar="FILE.json", help="write a file for https://www.speedscope.app; of B")
    parser.add_argument("--pstats", metavar="FILE", help="write a file for Python's pstats; of B")


def run_where(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from tallymark.bench.compare.lines import line_changes
    from tallymark.bench.show.where import changes_text, show_text, where_text, width_of

    *sides, name = options.names
    if len(sides) not in (0, 2):
        raise BenchError("where takes a benchmark, or two sides and a benchmark: tallymark bench where [A B] FILE::NAME")
    for path in filter(None, (options.flame, options.speedscope, options.pstats)):
        if not Path(path).absolute().parent.is_dir():
            raise BenchError(f"{path} cannot be written: there is no such directory")
    with contextlib.ExitStack() as stack:
        targets = [stack.enter_context(resolve(one, options.setup)) for one in sides] or [Target()]
        profiles = [where(name, target=one, seconds=options.seconds, timeout=options.timeout) for one in targets]
    _write(profiles[-1], options)
    width = width_of(sys.stdout)
    if len(profiles) == 1:
        show_text(where_text(profiles[0], options.by, options.top, width), sys.stdout)
    else:
        old, new = profiles
        show_text(changes_text(old, new, line_changes(old, new, options.by), options.top, width), sys.stdout)
    return 0


def _write(profile: Profile, options: argparse.Namespace) -> None:
    from tallymark.bench.show.flame import flame_svg
    from tallymark.bench.show.profiles import to_pstats, to_speedscope

    if options.flame:
        Path(options.flame).write_text(flame_svg(profile, options.by), encoding="utf-8")
    if options.speedscope:
        Path(options.speedscope).write_text(json.dumps(to_speedscope(profile, options.by)), encoding="utf-8")
    if options.pstats:
        Path(options.pstats).write_bytes(to_pstats(profile, options.by))


def _lines(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more: {text!r}")
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 86400:
        raise argparse.ArgumentTypeError(f"must be above 0, and less than a day: {text!r}")
    return seconds


_lines.__name__, _seconds.__name__ = "number", "number of seconds"
