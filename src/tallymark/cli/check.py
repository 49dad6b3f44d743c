"""`tallymark check`."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

from tallymark.check.check import Check, made_from
from tallymark.cli.source_options import add_source, opened_source
from tallymark.configuration.forms import FORMS
from tallymark.metric.shared.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["configure"]

_LINES = 10
_WIDEST = 80


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command to its parser."""
    parser.set_defaults(run=_run)
    add_source(parser)
    examples = ", ".join([form.example.partition(",")[0] for form in FORMS.values()])
    parser.add_argument(
        "backend", metavar="BACKEND", help=f"its URL, as TALLYMARK_REPORT takes it: {examples}".replace("%", "%%")
    )
    parser.add_argument("--dry-run", action="store_true", help="send nothing")
    parser.add_argument(
        "--lines", type=_count, default=_LINES, metavar="N", help=f"show so many lines of the report (default: {_LINES})"
    )


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more: {text!r}")
    return int(text)


def _run(options: argparse.Namespace) -> None:
    make = made_from(options.backend)
    with opened_source(options) as source:
        snapshot = source.snapshot()
        series = sum([len(family) for family in snapshot.families])
        _print(f"{source.name}: {_many(len(snapshot.families), 'metric')}, {series} series")
    check = Check(snapshot, make)
    _print(f"{check.place}")
    _print(f"  {check.promise}")
    out = len(snapshot.families) - len(check.told.families)
    if out:
        _print(f"  {_many(out, 'metric')} left out, as its options ask for")
    _show_lines(check, options.lines)
    _show_changes(check)
    if options.dry_run:
        _print("\nNothing was sent.")
        return
    sys.stdout.flush()
    sent = check.send(options.timeout)
    arrived = "It has arrived." if check.backend.at_least_once else "Nobody answers there: see whether it arrived."
    _print(f"\nSent {sent.bytes:,} bytes in {_many(sent.requests, 'request')}. {arrived}")


def _show_lines(check: Check, most: int) -> None:
    if not most:
        return
    _print("\nWhat it gets" if check.lines else "\nIt gets nothing.")
    width = _width()
    for line in check.lines[:most]:
        text = f"  {printable(line.text)}"
        _print(f"{text[: width - 1]}…" if sys.stdout.isatty() and len(text) > width else text)
    if len(check.lines) > most:
        _print(f"  and {_many(len(check.lines) - most, 'more line')}")


def _show_changes(check: Check) -> None:
    if not check.changes:
        _print("\nIt changes nothing.")
        return
    _print("\nWhat it changes")
    before = ""
    for metric, what, how in check.changes:
        if metric != before:
            before = metric
            _print(f"  {printable(metric)}")
        for text in _wrapped(f"    {what:<6}", printable(how)):
            _print(text)


def _wrapped(start: str, text: str) -> Iterator[str]:
    """Yield lines of a width that all can read."""
    yield from textwrap.wrap(
        text, _width(), initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False, break_long_words=False
    )


def _width() -> int:
    return min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _print(text: str) -> None:
    """Print a text. What the output cannot encode is printed as backslash escapes."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))
