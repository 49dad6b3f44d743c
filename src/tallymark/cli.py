"""The command `tallymark`."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence

from tallymark.bench.command import add_parser as add_bench
from tallymark.version import __version__

__all__ = ["main"]

_MOST_REQUESTS = 10_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, by default that of the process; return the exit status.

    0: done. 1: it could not be done. 2: the command line makes no sense (from argparse, as `SystemExit`). 130: interrupted.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if "run" not in options:
        parser.print_help(sys.stderr)
        return 2
    try:
        return int(options.run(options) or 0)
    except BrokenPipeError:  # `tallymark demo | head`: the reader has seen enough
        _discard_output()
    except OSError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tallymark", description="Metrics for Python services.")
    parser.add_argument("--version", action="version", version=f"tallymark {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    summary = "run a small service under load, show how it does, and serve its metrics for curl or Prometheus"
    demo = commands.add_parser("demo", help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    demo.set_defaults(run=_demo)
    demo.add_argument("--seconds", type=_seconds, default=10.0, metavar="N", help="how long; 0: until Ctrl-C (default: 10)")
    port_help = "of the metrics, or the next free one; 0: any that is free (default: 9464)"
    demo.add_argument("--port", type=_port, default=9464, metavar="PORT", help=port_help)
    demo.add_argument("--rate", type=_rate, default=200.0, metavar="R", help="most requests a second (default: 200)")
    summary = "look into a file that processes share: their metrics, the processes, the space used"
    inspect = commands.add_parser("inspect", help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    inspect.set_defaults(run=_inspect)
    inspect.add_argument("path", metavar="PATH", help="what Registry(shared=PATH) was given; it is opened to be read alone")
    form = inspect.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON, for programs")
    form.add_argument("--prometheus", action="store_true", help="print the metrics as a scrape would: Prometheus text")
    add_bench(commands)
    return parser


def _demo(options: argparse.Namespace) -> None:
    from tallymark.demo.run import run  # here, so that other commands need not wait for it

    run(seconds=options.seconds, port=options.port, rate=options.rate)


def _inspect(options: argparse.Namespace) -> None:
    from tallymark.metric.shared.contents import read_contents
    from tallymark.metric.shared.inspect import json_text, snapshot_of, text_lines

    contents = read_contents(options.path)
    if options.prometheus:
        from tallymark.export.prometheus import render_prometheus

        _print_exposition(render_prometheus(snapshot_of(contents)))
        return
    for line in (json_text(contents),) if options.json else text_lines(contents):
        _print_encodable(line)


def _print_encodable(text: str) -> None:
    """Print a text, of which the output cannot encode a part, with that part as backslash escapes."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))


def _print_exposition(exposition: bytes) -> None:
    """Print a format, as it is; on a terminal with its control characters as backslash escapes."""
    from tallymark.metric.shared.printable import printable

    if sys.stdout.isatty():
        for line in exposition.decode().removesuffix("\n").split("\n"):
            _print_encodable(printable(line))
    else:
        sys.stdout.buffer.write(exposition)


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
    if not 0 < rate <= _MOST_REQUESTS:
        raise argparse.ArgumentTypeError(f"must be above 0, and at most {_MOST_REQUESTS}: {text!r}")
    return rate


# argparse calls a type by its __name__ where `float` or `int` itself refuses the text.
_seconds.__name__, _port.__name__, _rate.__name__ = "number of seconds", "port number", "rate"


def _discard_output() -> None:
    # What is still buffered would be written when the interpreter ends, and fail again.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
