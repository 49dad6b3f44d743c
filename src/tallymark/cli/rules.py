"""`tallymark rules`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tallymark.cli.grafana_options import add_objective, add_source, latencies, objective, read_endpoint, reported, write
from tallymark.grafana.rules import RulesBuilder
from tallymark.grafana.rules_file import rules_text

__all__ = ["configure"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command to its parser."""
    parser.set_defaults(run=reported("rules", _run))
    add_source(parser)
    add_objective(parser, required=True)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="file to write (default: standard output)")
    parser.add_argument("--runbook", default="", metavar="URL", help="what the alerts tell people to read")
    grafana_help = "where Grafana is: the alerts link to the dashboards of `tallymark dashboards` there"
    parser.add_argument("--grafana", default="", metavar="URL", help=grafana_help)
    parser.add_argument("--name", default="", help="as given to `tallymark dashboards`, for those links")


def _run(options: argparse.Namespace) -> None:
    whole, asked = objective(options), latencies(options)
    if whole is None:
        return  # the parser requires it
    builder = RulesBuilder(
        read_endpoint(options),
        whole,
        asked,
        selector=options.selector,
        by=options.by,
        only=options.only,
        runbook=options.runbook,
        grafana=options.grafana,
        name=options.name,
    )
    text = rules_text(builder.groups())
    for note in builder.notes():
        print(f"tallymark rules: {note}", file=sys.stderr)
    if options.output is None:
        sys.stdout.buffer.write(text.encode())
    else:
        write(options.output, text)
