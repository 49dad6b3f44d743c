"""`tallymark demo`."""

from __future__ import annotations

import argparse
import math

from tallymark.demo.run import run

__all__ = ["configure"]

_LEAST_RATE, _MOST_RATE = 0.01, 10_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command to its parser."""
    parser.set_defaults(run=_run)
    parser.add_argument(
        "--seconds", type=_seconds, default=10.0, metavar="N", help="seconds to run; 0: until Ctrl-C (default: 10)"
    )
    port_help = "serve the metrics on this port, or on the next free one; 0: any free port (default: 9464)"
    parser.add_argument("--port", type=_port, default=9464, metavar="PORT", help=port_help)
    parser.add_argument("--rate", type=_rate, default=200.0, metavar="R", help="at most R requests per second (default: 200)")


def _run(options: argparse.Namespace) -> None:
    run(seconds=options.seconds, port=options.port, rate=options.rate)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"must be at least 0, and finite: {text!r}")
    return seconds


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"must be from 0 to 65535: {text!r}")
    return port


def _rate(text: str) -> float:
    rate = float(text)
    if not _LEAST_RATE <= rate <= _MOST_RATE:
        raise argparse.ArgumentTypeError(f"must be from {_LEAST_RATE} to {_MOST_RATE}: {text!r}")
    return rate


# argparse calls a type by its __name__ where `float` or `int` itself rejects the text.
_seconds.__name__, _port.__name__, _rate.__name__ = "number of seconds", "port number", "rate"
