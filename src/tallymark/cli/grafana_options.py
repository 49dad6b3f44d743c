"""What `tallymark dashboards` and `tallymark rules` have in common: whose metrics, how they are named, and the objectives."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tallymark.bench.result.files import write_whole
from tallymark.cli import source_options
from tallymark.export.escaping import UNDERSCORES
from tallymark.grafana.endpoint import HISTOGRAMS, Endpoint
from tallymark.grafana.errors import GrafanaError
from tallymark.grafana.objective import Latency, Objective, parse_latency, parse_percent, parse_window
from tallymark.grafana.promql import ESCAPINGS, parse_selector
from tallymark.grafana.subject import KINDS
from tallymark.read import ReadError
from tallymark.read.errors import ParserMissingError

if TYPE_CHECKING:
    from decimal import Decimal

T = TypeVar("T")

__all__ = ["add_objective", "add_source", "latencies", "objective", "read_endpoint", "reported", "write"]

_UTF_8 = "Accept: text/plain;version=1.0.0;escaping=allow-utf-8, text/plain;q=0.5"


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the options that tell whose metrics, and what their scraper makes of them."""
    source_options.add_source(parser)
    selector_help = "only series that meet these conditions, such as 'job=\"api\"'"
    parser.add_argument("--selector", type=_checked(parse_selector), default=[], metavar="CONDITIONS", help=selector_help)
    only_help = "only this kind of work: %(choices)s; may be given again (default: all that the service has)"
    parser.add_argument("--only", action="append", default=[], choices=[kind.slug for kind in KINDS], help=only_help)
    escaping_help = (
        "what the scraper makes of names with dots: underscores, as Prometheus 2 does (default); allow-utf-8, as Prometheus 3,"
        " which leaves them as they are; dots; or values"
    )
    parser.add_argument("--escaping", choices=ESCAPINGS, default=UNDERSCORES, metavar="SCHEME", help=escaping_help)
    histograms_help = (
        "how Prometheus stores histograms: classic; native; or auto, native those with exponential buckets, which only the file"
        " that processes share tells (default: auto)"
    )
    parser.add_argument("--histograms", choices=HISTOGRAMS, default="auto", help=histograms_help)


def add_objective(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add the options that tell what part must go well."""
    objective_help = "the percentage that must not fail, such as 99.9"
    percent = _checked(parse_percent)
    parser.add_argument("--objective", type=percent, required=required, metavar="PERCENT", help=objective_help)
    window_help = "days or weeks that an objective is about, such as 28d or 4w (default: 30d)"
    parser.add_argument("--window", type=_checked(parse_window), default=30, metavar="DAYS", help=window_help)
    latency_help = (
        "in which time what does not fail must be done; after a colon its own percentage, as in 0.5:99 (default: that of"
        " --objective); may be given again"
    )
    parser.add_argument(
        "--latency", type=_checked(_check_latency), action="append", default=[], metavar="SECONDS", help=latency_help
    )
    by_help = "the labels for whose values each an objective holds (default: job), such as job,http_route; none: ''"
    parser.add_argument("--by", type=_labels, default=("job",), metavar="LABELS", help=by_help)


def objective(options: argparse.Namespace) -> Objective | None:
    """Return the objective that was given."""
    percent: Decimal | None = options.objective
    return Objective(percent, options.window) if percent is not None else None


def latencies(options: argparse.Namespace) -> list[Latency]:
    """Return the objectives for latency that were given.

    Raises:
        GrafanaError: there is no objective that they could be part of.
    """
    whole = objective(options)
    if whole is None and options.latency:
        raise GrafanaError("--latency needs --objective: the percentage that must not fail, such as 99.9")
    return [parse_latency(text, whole) for text in options.latency if whole]


def read_endpoint(options: argparse.Namespace) -> Endpoint:
    """Return what the source has now, as its scraper sees it.

    Raises:
        ReadError: it cannot be read.
    """
    if options.escaping != UNDERSCORES:  # names with dots are shown to who asks for them
        options.header.insert(0, _UTF_8)
    try:
        with source_options.opened_source(options) as source:
            snapshot = source.snapshot()
            return Endpoint(snapshot, source.name, escaping=options.escaping, histograms=options.histograms)
    except ParserMissingError:
        raise ParserMissingError("grafana") from None


def write(path: Path, text: str) -> None:
    """Write a file, and the folder that it is in. Who reads it meanwhile, as Prometheus does, finds the old text or the new.

    Raises:
        GrafanaError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise GrafanaError(f"{path} cannot be written: {error.strerror or error}") from None


def reported(command: str, run: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], int]:
    """Return a command whose errors are one line on standard error."""

    def run_reported(options: argparse.Namespace) -> int:
        try:
            run(options)
        except (GrafanaError, ReadError) as error:
            print(f"tallymark {command}: {error}", file=sys.stderr)
            return 1
        return 0

    return run_reported


def _checked(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return a function for argparse, which shows the message of no other error."""

    def parse_checked(text: str) -> T:
        try:
            return parse(text)
        except GrafanaError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse_checked


def _check_latency(text: str) -> str:
    parse_latency(text, Objective(parse_percent("99"), 30))
    return text


def _labels(text: str) -> tuple[str, ...]:
    return tuple([label.strip() for label in text.split(",") if label.strip()])
