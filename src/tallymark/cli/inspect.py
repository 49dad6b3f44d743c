"""`tallymark inspect`."""

from __future__ import annotations

import argparse
import sys

from tallymark.export.prometheus import render_prometheus
from tallymark.metric.shared.contents import read_contents
from tallymark.metric.shared.inspect import json_text, snapshot_of, text_lines
from tallymark.metric.shared.printable import printable

__all__ = ["configure"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command to its parser."""
    parser.set_defaults(run=_run)
    parser.add_argument("path", metavar="PATH", help="the path that Registry(shared=PATH) was given; it is only read")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON, for programs")
    form.add_argument("--prometheus", action="store_true", help="print the metrics as a scrape would: Prometheus text")


def _run(options: argparse.Namespace) -> None:
    contents = read_contents(options.path)
    if options.prometheus:
        _print_exposition(render_prometheus(snapshot_of(contents)))
        return
    for line in (json_text(contents),) if options.json else text_lines(contents):
        _print_encodable(line)


def _print_encodable(text: str) -> None:
    """Print a text. What the output cannot encode is printed as backslash escapes."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))


def _print_exposition(exposition: bytes) -> None:
    """Print Prometheus text as it is; on a terminal, print control characters as backslash escapes."""
    if sys.stdout.isatty():
        for line in exposition.decode().removesuffix("\n").split("\n"):
            _print_encodable(printable(line))
    else:
        sys.stdout.buffer.write(exposition)
