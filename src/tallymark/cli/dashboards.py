"""`tallymark dashboards`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tallymark.cli.grafana_options import add_objective, add_source, latencies, objective, read_endpoint, reported, write
from tallymark.grafana.errors import GrafanaError

__all__ = ["configure"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command to its parser."""
    parser.set_defaults(run=reported("dashboards", _run))
    add_source(parser)
    output_help = "directory to write to, a file for each dashboard (default: the current one)"
    parser.add_argument("-o", "--output", type=Path, default=Path(), metavar="DIR", help=output_help)
    name_help = (
        "the service, for dashboards of its own; without it, one set of dashboards lets its user choose among all services"
    )
    parser.add_argument("--name", default="", help=name_help)
    add_objective(parser, required=False)


def _run(options: argparse.Namespace) -> None:
    try:
        from tallymark.grafana.dashboards import DashboardsBuilder
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("tallymark"):
            raise
        raise GrafanaError("dashboards need the package grafana-foundation-sdk: pip install 'tallymark[grafana]'") from None
    asked = latencies(options)
    builder = DashboardsBuilder(
        read_endpoint(options),
        name=options.name,
        objective=objective(options),
        latencies=asked,
        selector=options.selector,
        by=options.by,
        only=options.only,
    )
    for uid, text in builder.dashboards().items():
        path = options.output / f"{uid}.json"
        write(path, text)
        print(path)
