"""`tallymark top`."""

from __future__ import annotations

import argparse

from tallymark.cli.source_options import add_source, opened_source, seconds_from
from tallymark.top.controls import SORTS, Controls
from tallymark.top.run import run

__all__ = ["configure"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command to its parser."""
    parser.set_defaults(run=_run)
    add_source(parser)
    parser.add_argument(
        "--every", type=seconds_from(0.1), default=1.0, metavar="N", help="seconds between readings (default: 1)"
    )
    parser.add_argument("--once", action="store_true", help="read twice, print what went on between, and end")
    parser.add_argument("--sort", choices=SORTS, default=SORTS[0], help="order of operations and routes (default: rate)")
    parser.add_argument("--filter", default="", metavar="TEXT", help="show only what has this text in its name or tags")


def _run(options: argparse.Namespace) -> None:
    with opened_source(options) as source:
        run(source, Controls(options.sort, options.filter, False, False), every=options.every, once=options.once)
