"""The options of commands that read metrics from elsewhere."""

from __future__ import annotations

import argparse
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from tallymark.read import ReadError, open_source

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallymark.read import Source

__all__ = ["add_source", "opened_source", "seconds_from"]

_DAY = 86400


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the argument that tells what is read, and the options for it."""
    parser.add_argument(
        "source", metavar="URL|PATH",
        help="a Prometheus endpoint, as http://localhost:9464/metrics or localhost:9464; or the path of Registry(shared=PATH)",
    )  # fmt: skip
    group = parser.add_argument_group("the endpoint")
    group.add_argument("--user", metavar="NAME:PASSWORD", help="credentials; @FILE reads them from a file")
    group.add_argument("--bearer", metavar="TOKEN", help="a bearer token; @FILE reads it from a file")
    group.add_argument("--header", action="append", default=[], metavar="NAME:VALUE", help="a further field of each request")
    group.add_argument("--ca", metavar="FILE", help="trust certificates that these have signed, in PEM")
    group.add_argument("--insecure", action="store_true", help="do not verify the certificate")
    group.add_argument(
        "--timeout", type=seconds_from(0.001), default=10.0, metavar="N", help="seconds for one page (default: 10)"
    )


def seconds_from(least: float) -> Callable[[str], float]:
    """Return what reads a number of seconds for argparse: at least so many, and no more than a day has."""

    def parse(text: str) -> float:
        seconds = float(text)
        if not least <= seconds <= _DAY:
            raise argparse.ArgumentTypeError(f"must be from {least:g} to {_DAY}: {text!r}")
        return seconds

    parse.__name__ = "number of seconds"
    return parse


def opened_source(options: argparse.Namespace) -> Source:
    """Return what the options tell to read.

    Raises:
        ReadError: it cannot be read, or an option is not valid.
    """
    user, found, password = _secret(options.user).partition(":")
    if options.user is not None and not found:
        raise ReadError("--user takes a name and a password with a colon between them")
    if options.user is not None and options.bearer is not None:
        raise ReadError("--user and --bearer cannot be given both")
    return open_source(
        options.source, headers=dict(map(_field, options.header)), basic_auth=(user, password) if found else None,
        bearer_token=_secret(options.bearer), tls=_tls(options), timeout=options.timeout,
    )  # fmt: skip


def _secret(text: str | None) -> str:
    if not text or text[0] != "@":
        return text or ""
    try:
        return Path(text[1:]).read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise ReadError(f"{text[1:]} is not UTF-8 text: a file for --user or --bearer has one line") from None


def _field(text: str) -> tuple[str, str]:
    name, found, value = text.partition(":")
    if not found:
        raise ReadError(f"--header takes a name and a value with a colon between them, not {text!r}")
    return name.strip(), value.strip()


def _tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    if options.ca is None and not options.insecure:
        return None
    try:
        context = ssl.create_default_context(cafile=options.ca)
    except (OSError, ssl.SSLError) as error:
        raise ReadError(f"--ca {options.ca}: {error.strerror or error}") from None
    if options.insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
