"""The command `tallymark`. Each of its commands is a module, which is loaded only when that command is asked for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from tallymark.version import __version__

__all__ = ["main"]

COMMANDS = {
    "demo": "run a small service under load, show its metrics live, and serve them for curl or Prometheus",
    "top": "show live what goes on at a Prometheus endpoint, or in a file that processes share",
    "inspect": "show what is in a file that processes share: metrics, processes, and space used",
    "check": "show what a backend would get from a source of metrics and what it changes, and send it one report",
    "bench": "measure benchmarks: time, allocations and bytes per op, cold and steady apart",
    "dashboards": "write Grafana dashboards for the metrics that a service has",
    "rules": "write recording and alerting rules of Prometheus for a service and its objectives",
}
"""Each command, which is a module of this package with a function `configure(parser)`, and what it is for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, by default that of the process; return the exit status.

    0: done. 1: the command failed. 2: the command line is not valid (from argparse, as `SystemExit`). 130: interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if sys.stdout is None:  # `tallymark demo >&-`
        print("tallymark: standard output is closed", file=sys.stderr)
        return 1
    parser = _parser(given)
    options = parser.parse_args(given)
    if "run" not in options:
        parser.print_help(sys.stderr)
        return 2
    try:
        status = int(options.run(options) or 0)
        sys.stdout.flush()
    except BrokenPipeError:  # `tallymark demo | head`: the reader has seen enough
        _discard_output()
    except OSError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    else:
        return status
    return 0


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """Return a parser of all commands, with the options of the one that is asked for."""
    parser = argparse.ArgumentParser(prog="tallymark", description="Metrics for Python services.")
    parser.add_argument("--version", action="version", version=f"tallymark {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    asked = next((argument for argument in given if not argument.startswith("-")), None)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name == asked:
            import_module(f"tallymark.cli.{name}").configure(command)
    return parser


def _discard_output() -> None:
    # What is still buffered would be written when the interpreter ends, and fail again.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
